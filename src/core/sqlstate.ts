/** The SQLSTATEs pg-maint acts on; message texts are translated and change, so nothing reads those. */

export const sqlstate = {
  insufficientPrivilege: '42501',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  dataCorrupted: 'XX001',
  indexCorrupted: 'XX002',
  /** Ours: the time budget of a step was used up. Class PM is not used by PostgreSQL. */
  timeBudgetExceeded: 'PM001',
} as const;

/** A subtransaction must not catch these: the user cancelled, or the server is going away. */
const endsTheRun: ReadonlySet<string> = new Set([
  sqlstate.queryCanceled,
  sqlstate.adminShutdown,
  sqlstate.crashShutdown,
]);

export function mustEndTheRun(state: string): boolean {
  return endsTheRun.has(state);
}

/** Why something could not be examined, for the SQLSTATEs that are no defect of ours; null for all others. */
export function unexaminedReason(state: string): UnexaminedReason | null {
  switch (state) {
    case sqlstate.insufficientPrivilege:
      return 'not_permitted';
    case sqlstate.timeBudgetExceeded:
    case sqlstate.lockNotAvailable:
      return 'timed_out';
    default:
      return null;
  }
}

export type UnexaminedReason =
  'not_permitted' | 'timed_out' | 'not_installed' | 'disabled' | 'bypassed' | 'not_due' | 'failed';
