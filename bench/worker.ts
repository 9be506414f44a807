/** What a worker costs while it has nothing to do: queries that the server sees, and memory. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { outDirectory } from '../build/paths.ts';
import type { Bench } from './support/bench.ts';
import { createDatabase } from './support/database.ts';
import type { Server } from './support/database.ts';
import { aim, say, table } from './support/print.ts';

/** Several rounds of every chore but those that come by the hour. */
const watchSeconds = 120;
/** pg-boss looks after its queues for the first time two minutes after a start, and then does what it else does once a day. */
const settleSeconds = 135;
const queriesAim = 1;
const megabytesAim = 120;

/** Resident memory of a process in megabytes: now, and the most it ever was. */
function resident({ pid }: ChildProcess): { now: number; most: number } {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const megabytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
    if (!found) throw new Error(`no ${name} for the worker`);
    return Math.round(Number(found[1]) / 1024);
  };
  return { now: megabytes('VmRSS'), most: megabytes('VmHWM') };
}

/** Statements at the top level in that database since the last reset. */
interface Counted {
  statements: number;
  transactions: number;
  often: { calls: number; query: string }[];
}

async function counted(client: pg.Client, database: string): Promise<Counted> {
  const { rows } = await client.query<Counted>(
    `select (select coalesce(sum(s.calls), 0)::int from pg_stat_statements as s
         join pg_database as d on d.oid = s.dbid where d.datname = $1 and s.toplevel) as statements,
       (select (xact_commit + xact_rollback)::int from pg_stat_database where datname = $1) as transactions,
       (select jsonb_agg(jsonb_build_object('calls', o.calls, 'query', o.query) order by o.calls desc) from (
         select s.calls, left(regexp_replace(s.query, '\\s+', ' ', 'g'), 70) as query from pg_stat_statements as s
         join pg_database as d on d.oid = s.dbid where d.datname = $1 and s.toplevel
         order by s.calls desc limit 8) as o) as often`,
    [database],
  );
  const [row] = rows;
  if (!row) throw new Error('nothing counted');
  return row;
}

async function measure(server: Server): Promise<void> {
  const name = 'bench_worker';
  const database = await createDatabase(server, name);
  const onlooker = new pg.Client({ connectionString: server.url });
  await onlooker.connect();
  await onlooker.query('create extension if not exists pg_stat_statements');
  const worker = spawn(
    process.execPath,
    [join(outDirectory, 'worker/pg-maint.js'), 'worker', '--database', database.url],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    const settled = await database.connect();
    const idle = `select from maint.run_log where status = 'success'
      and not exists (select from maint.action where status in ('queued', 'running'))
      and not exists (select from maint_boss.job where state <= 'active')
      and not exists (select from maint.query_text where parsed_at is null)`;
    while ((await settled.query(idle)).rowCount === 0) await sleep(200);
    await settled.end();
    await sleep(settleSeconds * 1000);
    await onlooker.query('select pg_stat_statements_reset()');
    const before = await counted(onlooker, name);
    await sleep(watchSeconds * 1000);
    const after = await counted(onlooker, name);
    const memory = resident(worker);
    const perSecond = (count: number): string => (count / watchSeconds).toFixed(2);
    const statements = after.statements - before.statements;
    table(
      ['an idle worker, one database', ''],
      [
        ['statements per second', perSecond(statements)],
        ['transactions per second', perSecond(after.transactions - before.transactions)],
        ['resident memory, MB', String(memory.now)],
        ['the most it was, with a run, MB', String(memory.most)],
      ],
    );
    say(`\nthe most frequent in ${watchSeconds} s:`);
    for (const { calls, query } of after.often) say(`${String(calls).padStart(5)}  ${query}`);
    say();
    aim(`under ${queriesAim} query per second`, statements / watchSeconds < queriesAim);
    aim(`under ${megabytesAim} MB`, memory.now < megabytesAim);
  } finally {
    worker.kill('SIGTERM');
    await once(worker, 'exit');
    await onlooker.end();
    await database.drop();
  }
}

export const worker: Bench = { name: 'worker', title: 'an idle worker', measure };
