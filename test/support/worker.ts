/** A worker for a test's database, in this process or in one that can be killed; and actions queued by hand. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { repository } from '../../build/paths.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { actionKey } from '../../src/steps/step.ts';
import type { Action, ActionTargets, JsonObject } from '../../src/steps/step.ts';
import type { TestDatabase } from './database.ts';
import { waitForRow } from './maintenance.ts';

export interface ActionRecord {
  status: string;
  outcome: string | null;
  statement: string | null;
  inverse: { settings: Record<string, string>; statements: string[] } | null;
  attempts: number;
  size_before: number | null;
  size_after: number | null;
  error: JsonObject | null;
}

/**
 * Other tests load the server while this one runs, the disk may be full, and a run that comes by itself would do more
 * than the test asked for; all have tests of their own.
 */
async function keepToTheTest(database: TestDatabase, schedule: boolean): Promise<void> {
  const client = await database.client();
  await client.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.max_wal_mb_per_second', '0'),
    maint.configure('operational.safeguards.min_free_disk_percent', '0')`);
  if (!schedule) await client.query('select maint.unschedule()');
}

/** Stopped at the test's end at the latest. Does what is queued; runs that are due only with `schedule`. */
export function startWorker(
  t: ExecutionContext,
  database: TestDatabase,
  options: { concurrency?: number; stopSeconds?: number; schedule?: boolean } = {},
): { stop(): Promise<void>; log: string[] } {
  const { schedule = false, ...more } = options;
  const controller = new AbortController();
  const log: string[] = [];
  const ended = keepToTheTest(database, schedule).then(() =>
    runWorker({
      urls: [database.url],
      signal: controller.signal,
      log: (line) => log.push(line),
      ...more,
    }),
  );
  const stop = async (): Promise<void> => {
    controller.abort();
    await ended;
  };
  t.teardown(stop);
  return { stop, log };
}

/** `pg-maint worker` in a process of its own, killed at the test's end at the latest. */
export async function spawnWorker(t: ExecutionContext, database: TestDatabase): Promise<ChildProcess> {
  await keepToTheTest(database, false);
  const child = spawn(
    process.execPath,
    [join(repository, 'src/worker/cli.ts'), 'worker', '--database', database.url],
    { stdio: 'ignore' },
  );
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

/** Queues an action as maint.record_step does, without a finding. Returns its number. */
export async function queueAction<Kind extends keyof ActionTargets>(
  database: TestDatabase,
  kind: Kind,
  target: ActionTargets[Kind],
  evidence: JsonObject = {},
): Promise<number> {
  const key = actionKey({ kind, target } as unknown as Action);
  const [row] = await database.query<{ id: number }>(
    `with queued as (
       insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, target, reason, evidence,
         queued_at)
       values ($1, 0, 0, 10, $2, $3::jsonb, 'test', $4::jsonb, clock_timestamp())
       returning action_id)
     select action_id::int as id from queued`,
    [key, kind, JSON.stringify(target), JSON.stringify(evidence)],
  );
  await database.query('select maint.enqueue_action($1)', [row!.id]);
  return row!.id;
}

export async function actionRecord(database: TestDatabase, id: number): Promise<ActionRecord> {
  const [row] = await database.query<ActionRecord>(
    `select status, outcome, statement, inverse, attempts, size_before::int, size_after::int, error
     from maint.action where action_id = $1`,
    [id],
  );
  return row!;
}

/** Waits for the action's end and returns its row. */
export async function ended(database: TestDatabase, id: number, seconds?: number): Promise<ActionRecord> {
  const query = 'select from maint.action where action_id = $1 and finished_at is not null';
  await waitForRow(database, query, [id], seconds);
  return await actionRecord(database, id);
}

/** The session of this database whose statement matches and waits for a lock: a query of its pid. */
export function waitingFor(statement: string): string {
  return `select pid from pg_stat_activity
    where query ~ '${statement}' and wait_event_type = 'Lock' and datname = current_database()`;
}

export async function oidOf(database: TestDatabase, schema: string, name: string): Promise<number> {
  const [row] = await database.query<{ oid: number }>(
    `select c.oid::int8::int as oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2`,
    [schema, name],
  );
  return row!.oid;
}

/** Runs what an action's inverse says, as maint.undo would. */
export async function runInverse(database: TestDatabase, inverse: ActionRecord['inverse']): Promise<void> {
  const client = await database.client();
  for (const [name, value] of Object.entries(inverse!.settings))
    await client.query(`set ${pg.escapeIdentifier(name)} = ${pg.escapeLiteral(value)}`);
  for (const statement of inverse!.statements) await client.query(statement);
}
