/** `pg-maint worker` as a process, with what it said; for servers that are not those of createDatabase. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { repository } from '../../build/paths.ts';
import { actionKey } from '../../src/steps/step.ts';
import type { Action, JsonObject } from '../../src/steps/step.ts';
import { eventually } from '../cluster/own-cluster.ts';

export interface WorkerProcess {
  child: ChildProcess;
  /** All that it has said. */
  log(): string;
  /** Ends it in order: [exit code, signal]. */
  stop(): Promise<[number | null, string | null]>;
}

export function spawnWorkerAt(
  t: ExecutionContext,
  url: string,
  words: readonly string[] = [],
  nodeOptions: readonly string[] = [],
): WorkerProcess {
  const child = spawn(
    process.execPath,
    [...nodeOptions, join(repository, 'src/worker/cli.ts'), 'worker', '--database', url, ...words],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (part: Buffer) => (said += part.toString()));
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  return {
    child,
    log: () => said,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return [child.exitCode, child.signalCode];
      const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
      child.kill('SIGTERM');
      return await ended;
    },
  };
}

/** Switches off what would keep actions from being done on a machine that others load, and runs that come by themselves. */
export const keepToTheTest = `
  select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.max_wal_mb_per_second', '0'),
    maint.configure('operational.safeguards.min_free_disk_percent', '0'),
    maint.configure('operational.safeguards.actions_per_hour', '0'),
    maint.configure('operational.safeguards.max_actions_per_window', '0'),
    maint.unschedule()`;

/** Queues an action on the index public.`index` of public.`table`, with its job. Returns its number. */
export async function queueOn(
  client: pg.ClientBase,
  kind: 'drop_index' | 'reindex_index' | 'create_index',
  table: string,
  index: string,
): Promise<number> {
  const of = kind === 'create_index' ? table : index;
  const { rows: oids } = await client.query<{ oid: number }>(
    'select $1::regclass::oid::int8::float8 as oid',
    [`public.${of}`],
  );
  const target: JsonObject = { schema: 'public', table, index, oid: oids[0]!.oid };
  if (kind === 'create_index')
    target['statement'] = `create index concurrently ${index} on public.${table} using btree (a)`;
  await client.query('begin');
  const { rows } = await client.query<{ id: number }>(
    `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, target, reason, queued_at)
     values ($1, 0, 0, 10, $2, $3::jsonb, 'a test', clock_timestamp()) returning action_id::float8 as id`,
    [actionKey({ kind, target } as unknown as Action), kind, JSON.stringify(target)],
  );
  await client.query('select maint.enqueue_action($1)', [rows[0]!.id]);
  await client.query('commit');
  return rows[0]!.id;
}

/** Waits until a query gives a row, and returns the first. */
export async function waitFor<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  text: string,
  values: unknown[] = [],
): Promise<Row> {
  return await eventually(async () => (await client.query<Row>(text, values)).rows[0] ?? null);
}
