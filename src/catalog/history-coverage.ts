/** What the history of statements, of which steps 8 and 11 learn, does not have. */
import type { Unexamined } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { grantOf } from './grants.ts';
import type { Snapshot } from './query-history.ts';

type Missing = Exclude<Snapshot['status'], 'taken' | 'busy'>;

/** No snapshot could be taken at all. */
export function missingStatements(
  status: Missing,
  { detail, remedy }: { detail: string; remedy: string | null },
): Unexamined {
  return { what: 'statements', reason: status, detail, ...(remedy !== null && { remedy }) };
}

/** What happened to the counters within the window. */
export interface HistoryLosses {
  unreadable: number;
  counters_lost: boolean;
  evictions: number;
}

export function* lossesOf({
  unreadable,
  counters_lost: lost,
  evictions,
}: HistoryLosses): Program<Unexamined[]> {
  const entries: Unexamined[] = [];
  if (unreadable > 0) {
    entries.push({
      what: 'statements of other roles',
      reason: 'not_permitted',
      detail: `${unreadable} statements can't be read`,
      remedy: yield* grantOf('pg_read_all_stats'),
    });
  }
  if (evictions > 0) {
    entries.push({
      what: 'statements that pg_stat_statements threw out within 24 hours',
      reason: 'lost',
      detail: `it made room ${evictions} times: their calls are not known in full`,
      remedy: 'alter system set pg_stat_statements.max = 20000; -- takes a restart',
    });
  } else if (lost) {
    entries.push({
      what: 'statements before a reset of the counters within 24 hours',
      reason: 'lost',
      detail: 'a reset or a crash: what ran between the last snapshot and it is not known',
    });
  }
  return entries;
}

export const firstSnapshot: Unexamined = {
  what: 'statements',
  reason: 'insufficient_history',
  detail: 'the first snapshot was taken: what was counted before it may be older than 24 hours',
};
