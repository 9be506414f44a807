/** The host over a connection: the same programs, awaited. Engine `worker` and the parity tests run on it. */
import type pg from 'pg';
import { runAsync } from '../core/drivers.ts';
import type { AsyncHost } from '../core/drivers.ts';
import { pinnedSettings, setConfigList } from '../core/pinned-settings.ts';
import { FailureError, failureOf, query, queryOne } from '../core/program.ts';
import type { Parameter, Program } from '../core/program.ts';
import { runMaintenance } from '../core/run.ts';
import type { RunRequest } from '../core/run.ts';
import { sqlstate } from '../core/sqlstate.ts';
import { steps } from '../steps/index.ts';
import type { JsonObject } from '../steps/step.ts';

interface ServerError extends Error {
  code: string;
  detail?: string;
  hint?: string;
  where?: string;
}

function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error && typeof (error as Partial<ServerError>).code === 'string' && 'severity' in error
  );
}

function databaseError(error: unknown): unknown {
  if (!isServerError(error)) return error;
  return new FailureError({
    sqlstate: error.code,
    message: error.message,
    ...(error.detail && { detail: error.detail }),
    ...(error.hint && { hint: error.hint }),
    ...(error.where && { context: error.where }),
  });
}

function wireValue(parameter: Parameter): unknown {
  return parameter !== null && typeof parameter === 'object' ? JSON.stringify(parameter) : parameter;
}

/** A host over a connection on which a transaction is open. Nested attempts are nested savepoints. */
export function connectionHost(client: pg.ClientBase): AsyncHost {
  return {
    async query(text, parameters) {
      try {
        const result = await client.query<{ row: unknown }>(text, parameters.map(wireValue));
        return result.rows.map(({ row }) => row);
      } catch (error) {
        throw databaseError(error);
      }
    },

    async subtransaction(body, budgetMs) {
      const started = performance.now();
      await client.query('savepoint attempt');
      try {
        // Ends a single query that would outlive the budget, which the driver looks at between queries only.
        if (budgetMs !== null)
          await client.query(`set local statement_timeout = ${Math.max(1, Math.ceil(budgetMs))}`);
        const value = await body();
        await client.query('release savepoint attempt');
        return value;
      } catch (error) {
        await client.query('rollback to savepoint attempt; release savepoint attempt');
        const failure = failureOf(error);
        const budgetUsedUp = budgetMs !== null && performance.now() - started >= budgetMs;
        if (failure.sqlstate === sqlstate.queryCanceled && budgetUsedUp) {
          throw new FailureError({ ...failure, sqlstate: sqlstate.timeBudgetExceeded });
        }
        throw error;
      }
    },

    clock: () => performance.now(),
  };
}

/** Runs a program in one transaction of its own on this connection. */
export async function runInTransaction<Value>(
  client: pg.ClientBase,
  program: Program<Value>,
): Promise<Value> {
  await client.query('begin');
  try {
    const value = await runAsync(program, connectionHost(client));
    await client.query('commit');
    return value;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

export interface RunOptions {
  force?: boolean;
  /** Names or numbers of steps. */
  only?: readonly string[];
  dryRun?: boolean;
  /** The row of maint.run_log that was made when the run was queued. */
  runId?: number;
}

/**
 * What maint.run does, from outside: for servers without a JavaScript language. Returns the result dictionary or
 * the skipped answer. Throws what the server throws; then nothing was recorded.
 */
export async function runOverConnection(
  client: pg.ClientBase,
  options: RunOptions = {},
): Promise<JsonObject> {
  return await runInTransaction(client, runWithGuards(options));
}

const pinned = setConfigList({ ...pinnedSettings, search_path: 'pg_catalog, maint, pg_temp' }, 'transaction');

interface Guarded {
  request?: RunRequest;
  skipped?: JsonObject;
}

function* runWithGuards(options: RunOptions): Program<JsonObject> {
  const { force = false, only, dryRun = false, runId } = options;
  // As maint.run has it: what the server writes, it writes the same way then.
  yield* query(`select pg_catalog.jsonb_build_array(${pinned}) as row`);
  if (runId !== undefined) {
    const status = yield* queryOne<string | null>('select maint.take_queued_run($1::bigint) as row', [runId]);
    if (status !== 'queued')
      return { status: 'skipped', reason: 'not_queued', detail: `it is ${status ?? 'gone'}` };
  }
  const guarded = yield* queryOne<Guarded>(
    `select maint.start_run($1::boolean,
       (select pg_catalog.array_agg(o.step) from pg_catalog.jsonb_array_elements_text($2::jsonb) as o (step)),
       $3::boolean) as row`,
    [force, only ?? null, dryRun],
  );
  if (guarded.skipped) {
    if (runId !== undefined) yield* endQueuedRun(runId, 'skipped', guarded.skipped);
    return guarded.skipped;
  }
  if (!guarded.request) throw new Error('maint.start_run returned neither a request nor a reason to skip');
  const lockTimeout = Number(guarded.request.settings.database['operational.maintenance_tasks.lock_timeout']);
  yield* query("select pg_catalog.to_jsonb(pg_catalog.set_config('lock_timeout', $1::text, true)) as row", [
    `${lockTimeout}ms`,
  ]);
  const request = runId === undefined ? guarded.request : { ...guarded.request, run_id: runId };
  const result = yield* runMaintenance(steps, request);
  if (runId !== undefined && dryRun) yield* endQueuedRun(runId, result['status'] as string, result);
  return result;
}

function* endQueuedRun(runId: number, status: string, answer: JsonObject): Program<void> {
  yield* query('select maint.end_queued_run($1::bigint, $2::text, $3::jsonb, null) as row', [
    runId,
    status,
    answer,
  ]);
}
