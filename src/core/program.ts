/**
 * A program is a generator that yields requests and is resumed with their answers. It knows neither PL/V8 nor pg:
 * `runSync` (in the database) and `runAsync` (in Node) are the only code that knows the difference.
 */

import { sqlstate } from './sqlstate.ts';

/** What a query parameter may be; objects and arrays travel as jsonb, so the text casts them with `::jsonb`. */
export type Parameter = string | number | boolean | null | object;

/** An error of the server or of the program, as data. `sqlstate` is `JS000` where no server was involved. */
export interface Failure {
  sqlstate: string;
  message: string;
  detail?: string;
  hint?: string;
  context?: string;
}

/** What became of an attempt: nothing it did in the database remains unless `ok`. */
export type Outcome<Value> = { ok: true; value: Value } | { ok: false; failure: Failure };

interface QueryRequest {
  kind: 'query';
  text: string;
  parameters: readonly Parameter[];
}

interface AttemptRequest {
  kind: 'attempt';
  body: () => Program<unknown>;
  budgetMs: number | null;
}

interface ClockRequest {
  kind: 'clock';
}

export type Request = QueryRequest | AttemptRequest | ClockRequest;

export type Program<Value> = Generator<Request, Value, unknown>;

/**
 * Runs one statement whose rows have a single column of jsonb or json named `row`, and returns these values.
 * jsonb because int8, numeric and name[] map differently in PL/V8 and pg; text does not, and is cheaper for large values.
 */
export function* query<Row>(text: string, parameters: readonly Parameter[] = []): Program<Row[]> {
  return (yield { kind: 'query', text, parameters }) as Row[];
}

/** The single row of a statement that always gives one. Throws where it does not. */
export function* queryOne<Row>(text: string, parameters: readonly Parameter[] = []): Program<Row> {
  const rows = yield* query<Row>(text, parameters);
  const row = rows[0];
  if (rows.length !== 1 || row === undefined) {
    throw new Error(`expected one row, got ${rows.length}: ${text.trim().slice(0, 80)}`);
  }
  return row;
}

/**
 * Runs `body` in a subtransaction and returns its value, or the failure after rolling it back. Failures that must
 * end the whole run (a user's cancel, a server shutdown) are not returned but go on upwards.
 * With `budgetMs` no query of the body starts after that time; the failure is then `timeBudgetExceeded`.
 */
export function* attempt<Value>(body: () => Program<Value>, budgetMs?: number): Program<Outcome<Value>> {
  return (yield { kind: 'attempt', body, budgetMs: budgetMs ?? null }) as Outcome<Value>;
}

/**
 * What `body` gives, with everything it did in the database undone: its rows, and the locks it took. Returns the failure
 * where it has one of its own.
 */
export function* attemptAndUndo<Value>(body: () => Program<Value>): Program<Outcome<Value>> {
  const values: Value[] = [];
  const outcome = yield* attempt(function* () {
    values.push(yield* body());
    throw new FailureError({ sqlstate: sqlstate.rolledBack, message: 'undone on purpose' });
  });
  if (outcome.ok || outcome.failure.sqlstate !== sqlstate.rolledBack) return outcome;
  return { ok: true, value: values[0] as Value };
}

/** Milliseconds from some fixed moment; only differences mean anything. */
export function* clock(): Program<number> {
  return (yield { kind: 'clock' }) as number;
}

/** An error that carries a Failure. */
export class FailureError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'FailureError';
    this.failure = failure;
  }
}

/** The error itself as a Failure; errors that are not the server's get `JS000` and their stack as context. */
export function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (error instanceof Error) {
    return {
      sqlstate: sqlstate.notFromServer,
      message: error.message,
      ...(error.stack && { context: error.stack }),
    };
  }
  return { sqlstate: sqlstate.notFromServer, message: String(error) };
}
