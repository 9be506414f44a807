/** The host inside the database: programs over plv8.execute. */
import type { SyncHost } from '../core/drivers.ts';
import { FailureError } from '../core/program.ts';
import type { Parameter } from '../core/program.ts';

function rowValue(row: unknown): unknown {
  return (row as { row: unknown }).row;
}

/** A server error as a FailureError. Must be called before the error leaves plv8.subtransaction. */
function databaseError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof FailureError) return error;
  const { sqlerrcode, message, detail, hint, context } = error as Plv8Error;
  if (!sqlerrcode) return error;
  return new FailureError({
    sqlstate: sqlerrcode,
    message,
    ...(detail && { detail }),
    ...(hint && { hint }),
    ...(context && { context }),
  });
}

/** A SQLSTATE as the number PostgreSQL keeps it as: six bits a character, the first lowest (MAKE_SQLSTATE). */
function packed(state: string): number {
  return Array.from(state).reduce(
    (sum, character, index) => sum + ((character.charCodeAt(0) - 48) & 63) * 64 ** index,
    0,
  );
}

/** The way back: PL/V8 makes an error with these fields a server error; it reads `code`, maint_v8 `sqlerrcode`. */
export function serverError(error: unknown): unknown {
  if (!(error instanceof FailureError)) return error;
  const { sqlstate, message, detail, hint, context } = error.failure;
  return Object.assign(new Error(message), {
    sqlerrcode: sqlstate,
    code: packed(sqlstate),
    detail,
    hint,
    context,
  });
}

function rowsOf(text: string, run: () => unknown): unknown[] {
  let rows: unknown;
  try {
    rows = run();
  } catch (error) {
    throw databaseError(error);
  }
  if (!Array.isArray(rows)) throw new Error(`a query must return rows: ${text.trim().slice(0, 80)}`);
  return rows.map(rowValue);
}

export const plv8Host: SyncHost = {
  query: (text: string, parameters: readonly Parameter[]) =>
    rowsOf(text, () => (parameters.length === 0 ? plv8.execute(text) : plv8.execute(text, parameters))),

  subtransaction(body: () => unknown): unknown {
    // PL/V8 passes on neither the value nor the error's own fields, so both are kept here.
    let value: unknown;
    const thrown: unknown[] = [];
    try {
      plv8.subtransaction(() => {
        try {
          value = body();
        } catch (error) {
          thrown.push(error);
          throw error;
        }
      });
    } catch (error) {
      throw thrown.length === 0 ? error : thrown[0];
    }
    return value;
  },

  clock: () => Date.now(),
};

/** Plans by text: few, of programs whose queries are always the same. */
const plans = new Map<string, Plv8PreparedPlan>();

const asText = (parameter: Parameter): string | null =>
  parameter === null || typeof parameter === 'string' ? parameter : JSON.stringify(parameter);

/**
 * For programs that run for every statement of an application: parses and plans each of their queries once in a session.
 * Parameters go as text, which their casts in the query read; left to be inferred, PL/V8 keeps a plan whose parameters
 * point to memory that is gone.
 */
export const keptPlansHost: SyncHost = {
  ...plv8Host,
  query: (text: string, parameters: readonly Parameter[]) =>
    rowsOf(text, () => {
      let plan = plans.get(text);
      if (!plan) {
        plan = plv8.prepare(
          text,
          parameters.map(() => 'pg_catalog.text'),
        );
        plans.set(text, plan);
      }
      return plan.execute(parameters.map(asText));
    }),
};
