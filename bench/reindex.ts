/** The automatic REINDEX of step 7 under a write load, against `reindexdb --concurrently` on the same set. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type pg from 'pg';
import { runWorker } from '../src/worker/worker.ts';
import type { Bench } from './support/bench.ts';
import { createDatabase } from './support/database.ts';
import type { BenchDatabase } from './support/database.ts';
import { aim, ratio, say, table } from './support/print.ts';

const indexes = 20;
const rowsOfTable = { full: 400_000, short: 30_000 };
/** One after the other on each side. */
const jobs = 1;
const writers = 2;
const aimedAt = 0.95;

/** Tables of one set, each with an index of which half is bloat. */
async function makeSet(client: pg.Client, schema: string, rows: number): Promise<void> {
  await client.query(`create schema ${schema}`);
  for (let number = 0; number < indexes; number += 1) {
    const name = `${schema}.t${number}`;
    await client.query(`create table ${name} (id int, note text) with (autovacuum_enabled = off)`);
    await client.query(`insert into ${name} select n, md5(n::text) from generate_series(1, ${rows}) as n`);
    await client.query(`create index i${number} on ${name} (note, md5(note))`);
    await client.query(`delete from ${name} where id % 2 = 0`);
    await client.query('select pg_stat_force_next_flush()');
    await client.query(`vacuum analyze ${name}`);
  }
}

async function bytesOf(client: pg.Client, schema: string): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>(
    `select sum(pg_relation_size(c.oid))::float8 as bytes
     from pg_class as c where c.relnamespace = $1::regnamespace and c.relkind = 'i'`,
    [schema],
  );
  return rows[0]?.bytes ?? 0;
}

/** Inserts and updates in both sets until told to stop. Returns how many there were. */
function writeLoad(database: BenchDatabase, schemas: readonly string[]): { stop(): Promise<number> } {
  let stopped = false;
  let writes = 0;
  const write = async (writer: number): Promise<void> => {
    const client = await database.connect();
    while (!stopped) {
      for (const schema of schemas) {
        const name = `${schema}.t${(writes + writer) % indexes}`;
        await client.query(`insert into ${name} values (1, md5(random()::text))`);
        writes += 1;
      }
      // Some two hundred writes a second of each: a load, not a contest for the processor.
      await sleep(10);
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  return {
    async stop() {
      stopped = true;
      await all;
      return writes;
    },
  };
}

function reindexdb(): string | null {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  const paths = versions
    .map((version) => `${root}/${version}/bin/reindexdb`)
    .filter((path) => existsSync(path));
  return paths.at(-1) ?? null;
}

interface Outcome {
  seconds: number;
  before: number;
  after: number;
}

async function byWorker(database: BenchDatabase, client: pg.Client, schema: string): Promise<Outcome> {
  const before = await bytesOf(client, schema);
  await client.query('delete from maint.reindex_plan');
  await client.query(
    `select maint.configure('features.index_health.auto_reindex', 'true', 'schema:${schema}')`,
  );
  const { rows } = await client.query<{ plan: { queued: number } }>(
    `select maint.run(true, '{index_health}') -> 'cleanup' -> 'automatic_reindex' as plan`,
  );
  const queued = rows[0]?.plan.queued;
  if (queued !== indexes) throw new Error(`${String(queued)} rebuilds were queued`);
  const controller = new AbortController();
  const worker = runWorker({
    urls: [database.url],
    concurrency: jobs,
    actionsOnly: true,
    signal: controller.signal,
  });
  let seconds = 0;
  for (let left = indexes; left > 0;) {
    await sleep(200);
    const { rows: counts } = await client.query<{ left: number; failed: number; seconds: number }>(
      `select count(*) filter (where a.status in ('queued', 'running'))::int as left,
         count(*) filter (where a.status in ('failed', 'skipped', 'expired'))::int as failed,
         extract(epoch from max(a.finished_at) - min(a.started_at))::float8 as seconds
       from maint.action as a where a.target ->> 'schema' = $1`,
      [schema],
    );
    const count = counts[0];
    if (count === undefined || count.failed > 0) throw new Error('a rebuild did not succeed');
    ({ left, seconds } = count);
  }
  controller.abort();
  await worker;
  await client.query(`select maint.reset('features.index_health.auto_reindex', 'schema:${schema}')`);
  return { seconds, before, after: await bytesOf(client, schema) };
}

async function byReindexdb(
  command: string,
  database: BenchDatabase,
  client: pg.Client,
  schema: string,
): Promise<Outcome> {
  const before = await bytesOf(client, schema);
  const url = new URL(database.url);
  const started = performance.now();
  await promisify(execFile)(command, [
    '--concurrently',
    ...Array.from({ length: indexes }, (_, number) => `--index=${schema}.i${number}`),
    `--dbname=${url.href}`,
  ]);
  return { seconds: (performance.now() - started) / 1000, before, after: await bytesOf(client, schema) };
}

export const reindex: Bench = {
  name: 'reindex',
  title: `automatic REINDEX of ${indexes} bloated indexes under a write load, against reindexdb --concurrently`,
  async measure(server, { short }) {
    const command = reindexdb();
    if (command === null) {
      say('left out: there is no reindexdb on this machine');
      return;
    }
    const database = await createDatabase(server, 'bench_reindex');
    const client = await database.connect();
    // This machine has its load from us.
    await client.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0')`);
    const rows = short ? rowsOfTable.short : rowsOfTable.full;
    const sets = ['ours_first', 'theirs_first', 'theirs_last', 'ours_last'] as const;
    for (const set of sets) await makeSet(client, set, rows);
    await client.query('checkpoint');
    const load = writeLoad(database, sets);
    const outcomes: Record<string, Outcome> = {};
    // In both orders, so that what the first one leaves in memory helps each side alike.
    for (const set of sets) {
      outcomes[set] = set.startsWith('ours')
        ? await byWorker(database, client, set)
        : await byReindexdb(command, database, client, set);
    }
    const writes = await load.stop();
    const megabytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
    table(
      ['', 'MB before', 'MB after', 'seconds', 'MB after a second'],
      Object.entries(outcomes).map(([set, { before, after, seconds }]) => [
        set.replace('ours', 'pg-maint').replace('theirs', 'reindexdb').replace('_', ', '),
        megabytes(before),
        megabytes(after),
        seconds.toFixed(2),
        (after / 1024 / 1024 / seconds).toFixed(1),
      ]),
    );
    say(`${writes} rows were inserted meanwhile`);
    const { rows: spent } = await client.query<{ action: number; between: number }>(
      `select avg(extract(epoch from a.finished_at - a.started_at))::float8 as action,
         avg(extract(epoch from a.started_at - a.before))::float8 as between
       from (
         select started_at, finished_at,
           lag(finished_at) over (partition by target ->> 'schema' order by started_at) as before
         from maint.action) as a`,
    );
    say(
      `an action of pg-maint took ${(spent[0]?.action ?? 0).toFixed(2)} s, and ${(spent[0]?.between ?? 0).toFixed(2)} s passed before the next one began`,
    );
    const speedOf = (prefix: string): number => {
      const of = Object.entries(outcomes).filter(([set]) => set.startsWith(prefix));
      const sum = (figure: (each: Outcome) => number): number =>
        of.reduce((all, [, each]) => all + figure(each), 0);
      return sum(({ before, after }) => before - after) / sum(({ seconds }) => seconds);
    };
    const share = speedOf('ours') / speedOf('theirs');
    aim(`at least ${aimedAt} of reindexdb's throughput: ${ratio(share)}`, share >= aimedAt);
    const { rows: recorded } = await client.query<{ count: number }>(
      `select count(*)::int as count from maint.actions
       where status = 'succeeded' and size_before > size_after and size_after > 0`,
    );
    aim(
      `sizes before and after are recorded of all: ${recorded[0]?.count ?? 0}`,
      recorded[0]?.count === 2 * indexes,
    );
    await database.drop();
  },
};
