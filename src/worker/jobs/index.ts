/** The queues that a worker serves, one line each, the most urgent first. */
import action from './action.ts';
import training from './training.ts';
import type { JobKind } from './job.ts';
import run from './run.ts';

export const jobKinds: readonly JobKind[] = [
  action, //
  run,
  training,
];
