/** Snapshots of pg_stat_statements and of the table counters, taken by the functions that a worker calls as well. */
import { attempt, FailureError, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';

export type Snapshot =
  | {
      status: 'taken';
      /** Called since the snapshot before. */
      statements: number;
      entries: number;
      unreadable: number;
      counters_lost: boolean;
      evictions: number;
      first: boolean;
    }
  | { status: 'busy'; detail: string }
  | {
      status: 'not_installed' | 'not_permitted' | 'timed_out' | 'locked';
      detail: string;
      remedy: string | null;
    };

/** Never throws for want of pg_stat_statements or of the right to read it. */
export function* takeQuerySnapshot(now: string): Program<Snapshot> {
  const outcome = yield* attempt(() =>
    queryOne<Snapshot>('select maint.take_query_snapshot($1::timestamptz) as row order by 1', [now]),
  );
  if (outcome.ok) return outcome.value;
  const reason = unexaminedReason(outcome.failure.sqlstate);
  if (reason !== 'not_permitted' && reason !== 'timed_out' && reason !== 'locked')
    throw new FailureError(outcome.failure);
  return { status: reason, detail: outcome.failure.message, remedy: null };
}

export interface WorkloadSampled {
  status: 'taken' | 'busy';
  /** Taken: nothing was there to compare with. */
  first?: boolean;
}

export function sampleWorkload(now: string): Program<WorkloadSampled> {
  return queryOne<WorkloadSampled>('select maint.sample_workload($1::timestamptz) as row order by 1', [now]);
}
