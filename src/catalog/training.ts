/** Asks the worker for what is computed in a process of its own. */
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/**
 * Forced runs have no interval, and each training takes the worker seconds and leaves rows. A training too many costs
 * more than one that comes some minutes later.
 */
const leastMinutesBetween = 10;

/** Queues a training job; returns "queued", or why there is none. */
export function* queueTraining(kind: 'query_risk' | 'forecast'): Program<string> {
  const { queued, reason } = yield* queryOne<{ queued: boolean; reason?: string }>(
    `select case when exists (
         select from maint.training as t
         where t.kind = $1 and t.finished_at > pg_catalog.now() - $2::int * interval '1 minute')
       then pg_catalog.jsonb_build_object('queued', false, 'reason', 'done_recently')
       else maint.enqueue('maint_training', pg_catalog.jsonb_build_object('kind', $1::text), $1::text) end as row
     order by 1`,
    [kind, leastMinutesBetween],
  );
  return queued ? 'queued' : (reason ?? 'not queued');
}
