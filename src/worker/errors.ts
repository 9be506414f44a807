import pg from 'pg';

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

/** SQLSTATE of an error that came from the server, else null. */
export function sqlstateOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** What an error says, for people; of several all. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
