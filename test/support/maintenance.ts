/** What tests of steps need: runs on either host, findings, and sessions that hold something up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { runOverConnection } from '../../src/worker/host.ts';
import type { RunOptions } from '../../src/worker/host.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import type { TestDatabase } from './database.ts';

/** The parts of the result dictionary that tests read. */
export interface RunResult {
  run_id: number;
  status: string;
  reason?: string;
  cleanup: JsonObject;
  steps: Record<
    string,
    {
      number: number;
      status: string;
      reason: string | null;
      error: { sqlstate: string; message: string } | null;
      coverage: {
        examined: number;
        of: number | null;
        unexamined: { what: string; reason: string; standing: string; detail?: string; remedy?: string }[];
      } | null;
    }
  >;
  unexamined: Record<'gap' | 'accepted' | 'not_yet' | 'chosen', number>;
  actions: Record<string, number>;
  alerts: { step: number; severity: string; message: string }[];
  integrity_check: {
    status: string;
    issues: { check: string; severity: string; object: string | null; summary: string }[];
    checks: Record<
      string,
      { status: string; reason?: string; detail?: string; examined?: number; total?: number }
    >;
  };
  bypass_status: { active: { feature: string }[] };
  would_report?: { kind: string; summary: string }[];
  would_queue?: { kind: string; target: JsonObject }[];
}

export interface FindingRow {
  finding_id: number;
  kind: string;
  severity: string;
  schema_name: string | null;
  table_name: string | null;
  object_name: string | null;
  summary: string;
  detail: JsonObject;
  remedy: string | null;
}

/**
 * `select maint.run(...)`, as psql would; with MAINT_TEST_HOST=node the same by the host in Node, for servers without
 * a JavaScript language.
 */
export async function run(database: TestDatabase, options: RunOptions = {}): Promise<RunResult> {
  const { force = true, only, dryRun = false } = options;
  if (process.env['MAINT_TEST_HOST'] === 'node') return await runFromNode(database, options);
  const [row] = await database.query<{ result: RunResult }>('select maint.run($1, $2, $3) as result', [
    force,
    only ?? null,
    dryRun,
  ]);
  if (!row) throw new Error('maint.run returned no row');
  return row.result;
}

/** Throws unless the step did its work. It may be partial, with every part that it could not examine named, but none failed. */
export function requireDone(result: RunResult, name: string): void {
  const step = result.steps[name];
  const gaps = (step?.coverage?.unexamined ?? []).filter(({ standing }) => standing === 'gap');
  const done =
    step?.status === 'success' ||
    (step?.status === 'partial' && gaps.length > 0 && gaps.every(({ reason }) => reason !== 'failed'));
  if (!done) throw new Error(JSON.stringify(step));
}

/** One connection of each database for the runs of the host in Node, as the runs in the database share one. */
const runners = new WeakMap<TestDatabase, Promise<pg.Client>>();

/** The same run by the host in Node. */
export async function runFromNode(database: TestDatabase, options: RunOptions = {}): Promise<RunResult> {
  const runner = runners.get(database) ?? database.client();
  runners.set(database, runner);
  const client = await runner;
  // Where the server is stopped between two runs, the next one connects anew.
  client.once('end', () => runners.delete(database));
  return (await runOverConnection(client, { force: true, ...options })) as unknown as RunResult;
}

/** Open findings of a kind, or of all kinds that start with `kind` when it ends with a dot. */
export async function openFindings(database: TestDatabase, kind: string): Promise<FindingRow[]> {
  return await database.query<FindingRow>(
    `select finding_id::int, kind, severity, schema_name, table_name, object_name, summary, detail, remedy
     from maint.findings
     where resolved_at is null and (kind = $1 or ($1 like '%.' and starts_with(kind, $1)))
     order by schema_name, table_name, object_name, kind`,
    [kind],
  );
}

/** The names of the objects that open findings of a kind are about, as schema.object. */
export async function foundNames(database: TestDatabase, kind: string): Promise<string[]> {
  const findings = await openFindings(database, kind);
  return findings.map(({ schema_name, object_name }) => `${schema_name ?? ''}.${object_name ?? ''}`);
}

/** Queued actions as `kind schema.index`. */
export async function queuedActions(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ action: string }>(
    `select kind || ' ' || (target ->> 'schema') || '.' || (target ->> 'index') as action
     from maint.actions where status = 'queued' order by 1`,
  );
  return rows.map(({ action }) => action);
}

/** Asks again until the query gives a row; throws after `seconds`. */
export async function waitForRow(
  database: TestDatabase,
  text: string,
  params: unknown[] = [],
  seconds = 20,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while ((await database.query(text, params)).length === 0) {
    if (Date.now() > deadline) throw new Error(`no row within ${seconds} s: ${text}`);
    await sleep(20);
  }
}

/** A statement under way on a connection of its own. */
export interface UnderWay {
  pid: number;
  /**
   * Settles when the statement has ended, given up its locks and had its rows counted; `null` or the error it ended
   * with. Never rejects.
   */
  ended: Promise<Error | null>;
}

export async function startStatement(database: TestDatabase, text: string): Promise<UnderWay> {
  const client = await database.client();
  const pid = await backendPid(client);
  const outcome = client.query(text).then(
    () => null,
    (error: unknown) => error as Error,
  );
  const ended = outcome.then(async (error) => {
    await settled(client);
    return error;
  });
  return { pid, ended };
}

/** An error is told before the locks are given up; they are once the session answers again, or is gone. */
async function settled(client: pg.Client): Promise<void> {
  await Promise.allSettled([client.query('select pg_catalog.pg_stat_force_next_flush()')]);
}

async function backendPid(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  return rows[0]!.pid;
}

/** Cancels a statement under way and waits for its end. */
export async function cancel(database: TestDatabase, statement: UnderWay): Promise<void> {
  await database.query('select pg_catalog.pg_cancel_backend($1)', [statement.pid]);
  await statement.ended;
}

/** An open transaction that has run some statements; `end` commits it. */
export async function openTransaction(
  database: TestDatabase,
  ...statements: string[]
): Promise<{ client: pg.Client; end(): Promise<void> }> {
  const client = await database.client();
  await client.query('begin');
  for (const statement of statements) await client.query(statement);
  return {
    client,
    async end() {
      await client.query('commit');
    },
  };
}

/** Waits until a concurrent build or drop waits for somebody else's lock. */
export async function waitUntilBlocked(database: TestDatabase, { pid }: UnderWay): Promise<void> {
  await waitForRow(database, 'select from pg_catalog.pg_locks where pid = $1 and not granted', [pid]);
}
