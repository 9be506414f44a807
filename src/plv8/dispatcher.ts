/** The body of maint.dispatch: build/bundle.ts makes it one script whose last statement calls `dispatch`. */
import { runSync } from '../core/drivers.ts';
import { runMaintenance } from '../core/run.ts';
import type { RunRequest } from '../core/run.ts';
import { steps } from '../steps/index.ts';
import type { JsonObject } from '../steps/step.ts';
import { plv8Host, serverError } from './host.ts';

/** Runs maintenance. What goes wrong outside all steps is thrown as a server error with its own SQLSTATE. */
export function dispatch(request: unknown): JsonObject {
  try {
    return runSync(runMaintenance(steps, request as RunRequest), plv8Host);
  } catch (error) {
    throw serverError(error);
  }
}
