/** Asks the worker for what is computed in a process of its own. */
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/** Queues a training job; returns "queued", or why there is none. */
export function* queueTraining(kind: 'query_risk' | 'forecast'): Program<string> {
  const { queued, reason } = yield* queryOne<{ queued: boolean; reason?: string }>(
    `select maint.enqueue('maint_training', pg_catalog.jsonb_build_object('kind', $1::text), $1::text) as row order by 1`,
    [kind],
  );
  return queued ? 'queued' : (reason ?? 'not queued');
}
