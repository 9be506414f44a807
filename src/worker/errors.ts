import pg from 'pg';
import { FailureError } from '../core/program.ts';
import { sqlstate } from '../core/sqlstate.ts';

/** Something the caller can mend: `problem` says what is wrong, `fix` what to do, a command where there is one. */
export class CouldNotRun extends Error {
  readonly fix: string | null;

  constructor(problem: string, fix: string | null = null, options?: ErrorOptions) {
    super(problem, options);
    this.name = 'CouldNotRun';
    this.fix = fix;
  }
}

/** Somebody else is in the way: to be tried again later. */
export class HeldUp extends Error {
  override readonly name = 'HeldUp';
}

/** The worker may not act on a table: the message says why, and the grant that would allow it. */
export class MayNotAct extends Error {
  override readonly name = 'MayNotAct';
}

/** SQLSTATE of an error that came from the server, also by way of a program; else null. */
export function sqlstateOf(error: unknown): string | null {
  if (error instanceof FailureError) {
    const state = error.failure.sqlstate;
    return state === sqlstate.notFromServer ? null : state;
  }
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** What an error says, for people; of several all. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
