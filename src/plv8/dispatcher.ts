/** The body of maint.dispatch: build/bundle.ts makes it one script whose last statement calls `dispatch`. */
import { runSync } from '../core/drivers.ts';
import { runMaintenance } from '../core/run.ts';
import type { RunRequest } from '../core/run.ts';
import { steps } from '../steps/index.ts';
import type { JsonObject } from '../steps/step.ts';
import { plv8Host } from './host.ts';

export function dispatch(request: unknown): JsonObject {
  return runSync(runMaintenance(steps, request as RunRequest), plv8Host);
}
