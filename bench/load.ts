/** pgbench with and without pg-maint at work in its database: what the users of a server notice of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { repository } from '../build/paths.ts';
import { findPostgres } from '../build/postgres.ts';
import { run } from '../build/run.ts';
import type { Bench } from './support/bench.ts';
import { growCatalog } from './support/catalog.ts';
import { createDatabase, requireSuccess, runMaintenance } from './support/database.ts';
import type { BenchDatabase } from './support/database.ts';
import { aim, milliseconds, say, table } from './support/print.ts';
import { p99 } from './support/statistics.ts';

interface Size {
  /** Of pgbench: 100,000 accounts each. */
  scale: number;
  /** Of one round; there is one forced run in each round with pg-maint. */
  seconds: number;
  /** Rounds without and with, each. */
  pairs: number;
}

/** A forced run every minute, as issue 4 has it. */
const full: Size = { scale: 20, seconds: 60, pairs: 6 };
/** To see that it works: runs come six times as often, so that it exaggerates. */
const short: Size = { scale: 5, seconds: 10, pairs: 2 };

const clients = 4;
/** Beside the tables of pgbench, so that a run has something to look at. */
const moreTables = 100;
const leastShareOfTransactions = 0.99;
const mostTimesLatency = 1.05;

interface Round {
  perSecond: number;
  /** Of each transaction, in milliseconds. */
  latencies: number[];
}

async function pgbench(words: readonly string[], url: string, folder: string): Promise<string> {
  const postgres = await findPostgres({ headers: false });
  if (postgres === null) throw new Error('no PostgreSQL on this machine');
  const { stdout } = await run(join(postgres.binDirectory, 'pgbench'), [...words, url], { cwd: folder });
  return stdout;
}

/** One round, with the latency of every transaction from pgbench's own log. */
async function round(url: string, folder: string, seconds: number): Promise<Round> {
  const words = ['--no-vacuum', `--client=${clients}`, '--jobs=2', `--time=${seconds}`, '--log'];
  const said = await pgbench(words, url, folder);
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(said)?.[1]);
  const latencies: number[] = [];
  for (const name of readdirSync(folder).filter((each) => each.startsWith('pgbench_log'))) {
    const file = join(folder, name);
    // Client, number, microseconds, and more that is not needed.
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (line !== '') latencies.push(Number(line.split(' ')[2]) / 1000);
    }
    rmSync(file);
  }
  if (!(perSecond > 0) || latencies.length === 0) throw new Error(`pgbench says no rate: ${said}`);
  return { perSecond, latencies };
}

/** `pg-maint worker` as it is shipped, at its post. Returns what ends it. */
async function startWorker(client: pg.Client, url: string): Promise<() => Promise<void>> {
  const program = join(repository, 'build/out/worker/pg-maint.js');
  const child = spawn(process.execPath, [program, 'worker', '--database', url], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  for (let waited = 0; ; waited += 1) {
    const { rowCount } = await client.query('select from maint.worker where pid = $1', [child.pid]);
    if (rowCount === 1) break;
    if (waited === 600 || child.exitCode !== null) throw new Error('the worker does not come to its post');
    await sleep(100);
  }
  return async () => {
    child.kill('SIGTERM');
    await ended;
  };
}

/** The same with a worker at work and a forced run in its midst. */
async function roundWith(client: pg.Client, url: string, folder: string, seconds: number): Promise<Round> {
  const stop = await startWorker(client, url);
  try {
    const measured = round(url, folder, seconds);
    await sleep((seconds * 1000) / 4);
    requireSuccess(await runMaintenance(client));
    return await measured;
  } finally {
    await stop();
  }
}

/** Every round begins with the same: nothing to be written, no rows to be cleaned up. */
async function settle(client: pg.Client): Promise<void> {
  await client.query('vacuum analyze pgbench_branches, pgbench_tellers, pgbench_accounts');
  await client.query('truncate pgbench_history');
  await client.query('checkpoint');
}

async function measure(database: BenchDatabase, folder: string, size: Size): Promise<[Round[], Round[]]> {
  const { url } = database;
  await pgbench(['--initialize', '--quiet', `--scale=${size.scale}`], url, folder);
  const client = await database.connect();
  await growCatalog(client, 0, moreTables);
  await client.query('vacuum analyze');
  // The first one looks at what later ones find done: B-trees that were never checked, for instance.
  requireSuccess(await runMaintenance(client));
  const without: Round[] = [];
  const having: Round[] = [];
  const ways = [
    async (): Promise<unknown> => without.push(await round(url, folder, size.seconds)),
    async (): Promise<unknown> => having.push(await roundWith(client, url, folder, size.seconds)),
  ] as const;
  await settle(client);
  await round(url, folder, Math.min(10, size.seconds));
  for (let pair = 0; pair < size.pairs; pair += 1) {
    // First one, then the other: what drifts in one direction, such as the size of the tables, hits both alike.
    for (const way of pair % 2 === 0 ? ways : [...ways].reverse()) {
      await settle(client);
      await way();
    }
  }
  return [without, having];
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

export const load: Bench = {
  name: 'load',
  title: 'pgbench with pg-maint (a worker, a forced run in each round) as a ratio to pgbench without',
  async measure(server, { short: isShort }) {
    const size = isShort ? short : full;
    const folder = mkdtempSync(join(tmpdir(), 'pg-maint-bench-'));
    try {
      const database = await createDatabase(server, 'bench_load');
      const [without, having] = await measure(database, folder, size);
      await database.drop();
      print(without, having, size);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function print(without: readonly Round[], having: readonly Round[], size: Size): void {
  say(
    `${size.pairs} rounds of ${size.seconds} s without and with, in turn; ${clients} clients, scale ${size.scale}`,
  );
  const line = (name: string, one: readonly Round[], other: readonly Round[]): [string[], number, number] => {
    const tps = [one, other].map((rounds) => sum(rounds.map(({ perSecond }) => perSecond)) / rounds.length);
    const late = [one, other].map((rounds) => p99(rounds.flatMap(({ latencies }) => latencies)));
    const [tpsRatio, lateRatio] = [tps, late].map(([a = NaN, b = NaN]) => b / a) as [number, number];
    const cells = [
      name,
      ...tps.map((value) => value.toFixed(0)),
      tpsRatio.toFixed(3),
      ...late.map(milliseconds),
      lateRatio.toFixed(3),
    ];
    return [cells, tpsRatio, lateRatio];
  };
  const pairs = without.map((one, pair) => line(`pair ${pair + 1}`, [one], having.slice(pair, pair + 1))[0]);
  const [all, tpsRatio, lateRatio] = line('all', without, having);
  const rates = without.map(({ perSecond }) => perSecond);
  table(['', 'tps without', 'with', 'ratio', 'p99 without', 'with', 'ratio'], [...pairs, all]);
  say();
  say(
    `the rounds without differ among themselves by ${((Math.max(...rates) / Math.min(...rates) - 1) * 100).toFixed(1)} %`,
  );
  aim(
    `at least ${leastShareOfTransactions} of the transactions per second: ${tpsRatio.toFixed(3)}`,
    tpsRatio >= leastShareOfTransactions,
  );
  aim(
    `at most ${mostTimesLatency} times the p99 latency: ${lateRatio.toFixed(3)}`,
    lateRatio <= mostTimesLatency,
  );
}
