/** What the worker does between runs, and is not there yet. */
import type { Unexamined } from '../core/coverage.ts';
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';

const aliveQuery = `
  select pg_catalog.to_jsonb(exists (
    select from maint.worker as w where w.last_seen > $1::timestamptz - interval '90 seconds')) as row
  order by 1`;

/** With a worker alive it comes by itself; without one it never does. */
export function* leftToWorker(now: string, what: string, detail?: string): Program<Unexamined> {
  const alive = yield* queryOne<boolean>(aliveQuery, [now]);
  return {
    what,
    reason: alive ? 'not_yet' : 'no_worker',
    ...(detail !== undefined && { detail }),
    ...(!alive && { remedy: 'pg-maint worker' }),
  };
}
