/**
 * The two interpreters of a program. They are twins: what one does between `await`s the other does at once.
 */
import { FailureError, failureOf } from './program.ts';
import type { Outcome, Parameter, Program, Request } from './program.ts';
import { mustEndTheRun, sqlstate } from './sqlstate.ts';

/** What the sync driver needs of PL/V8. Errors it throws are FailureErrors. */
export interface SyncHost {
  query(text: string, parameters: readonly Parameter[]): unknown[];
  /** Runs `body` in a subtransaction; rolls it back and throws on when it throws. */
  subtransaction(body: () => unknown): unknown;
  clock(): number;
}

/** The same over a connection. `statementTimeout` is told the milliseconds left of the narrowest budget, or null. */
export interface AsyncHost {
  query(text: string, parameters: readonly Parameter[]): Promise<unknown[]>;
  subtransaction(body: () => Promise<unknown>, budgetMs: number | null): Promise<unknown>;
  clock(): number;
}

class Budget {
  #deadlines: number[] = [];
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  enter(budgetMs: number | null): void {
    const outer = this.#deadlines.at(-1) ?? Infinity;
    this.#deadlines.push(budgetMs === null ? outer : Math.min(outer, this.#clock() + budgetMs));
  }

  leave(): void {
    this.#deadlines.pop();
  }

  check(): void {
    if (this.#clock() > (this.#deadlines.at(-1) ?? Infinity)) {
      throw new FailureError({ sqlstate: sqlstate.timeBudgetExceeded, message: 'time budget used up' });
    }
  }
}

/** A failed attempt as an outcome, or the error thrown on where it must end the run. */
function failedOutcome(error: unknown): Outcome<never> {
  const failure = failureOf(error);
  if (mustEndTheRun(failure.sqlstate)) throw error;
  return { ok: false, failure };
}

export function runSync<Value>(program: Program<Value>, host: SyncHost): Value {
  const budget = new Budget(() => host.clock());

  function perform(request: Request): unknown {
    switch (request.kind) {
      case 'clock':
        return host.clock();
      case 'query':
        budget.check();
        return host.query(request.text, request.parameters);
      case 'attempt':
        budget.enter(request.budgetMs);
        try {
          return { ok: true, value: host.subtransaction(() => drive(request.body())) };
        } catch (error) {
          return failedOutcome(error);
        } finally {
          budget.leave();
        }
    }
  }

  function drive<Result>(body: Program<Result>): Result {
    let next = body.next();
    while (!next.done) {
      let answer: unknown;
      try {
        answer = perform(next.value);
      } catch (error) {
        next = body.throw(error);
        continue;
      }
      next = body.next(answer);
    }
    return next.value;
  }

  return drive(program);
}

export async function runAsync<Value>(program: Program<Value>, host: AsyncHost): Promise<Value> {
  const budget = new Budget(() => host.clock());

  async function perform(request: Request): Promise<unknown> {
    switch (request.kind) {
      case 'clock':
        return host.clock();
      case 'query':
        budget.check();
        return await host.query(request.text, request.parameters);
      case 'attempt':
        budget.enter(request.budgetMs);
        try {
          const value = await host.subtransaction(() => drive(request.body()), request.budgetMs);
          return { ok: true, value };
        } catch (error) {
          return failedOutcome(error);
        } finally {
          budget.leave();
        }
    }
  }

  async function drive<Result>(body: Program<Result>): Promise<Result> {
    let next = body.next();
    while (!next.done) {
      let answer: unknown;
      try {
        answer = await perform(next.value);
      } catch (error) {
        next = body.throw(error);
        continue;
      }
      next = body.next(answer);
    }
    return next.value;
  }

  return await drive(program);
}
