/**
 * The SQLSTATEs pg-maint acts on, and what each means to it. Message texts are translated and change, so nothing reads
 * those, and no other file names a state by its letters.
 */

import type { UnexaminedReason } from './coverage.ts';

export const sqlstate = {
  /** There is no database of that name, or none any more. */
  invalidCatalogName: '3D000',
  invalidSchemaName: '3F000',
  invalidParameterValue: '22023',
  /** Ends the session: version 17 and later. */
  transactionTimeout: '25P04',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  uniqueViolation: '23505',
  duplicateObject: '42710',
  undefinedObject: '42704',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  duplicateTable: '42P07',
  invalidFunctionDefinition: '42P13',
  invalidTableDefinition: '42P16',
  dependentObjectsStillExist: '2BP01',
  tooManyConnections: '53300',
  objectNotInPrerequisiteState: '55000',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  internalError: 'XX000',
  dataCorrupted: 'XX001',
  indexCorrupted: 'XX002',
  /** Ours, of class PM, which PostgreSQL does not use: done on purpose, to roll a subtransaction back. */
  rolledBack: 'PM000',
  /** Ours: the time budget of a step was used up. */
  timeBudgetExceeded: 'PM001',
  /** Ours: maint.query_risk was asked by a function that planning for another answer of it had called. */
  askedWhilePlanning: 'PM002',
  /** Ours: the worker ended the session, as its statement took longer than its hard limit. */
  hardLimitReached: 'PM003',
  /** Ours: an error that did not come from the server. */
  notFromServer: 'JS000',
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

/**
 * A run that fails with one of these is recorded as failed. Not so where it was cancelled or the server went away: as
 * PL/pgSQL has it, that is nobody's failure, and the run has not been.
 */
export function mayBeRecorded(state: string): boolean {
  return !endsTheRun.has(state) && !state.startsWith('08');
}

/** PostgreSQL asks to try the whole transaction again after these. */
const passes: ReadonlySet<string> = new Set([sqlstate.serializationFailure, sqlstate.deadlockDetected]);

export function isWorthRetrying(state: string): boolean {
  return passes.has(state);
}

/** Others are in the way: nothing is wrong with the statement itself. */
const heldUp: ReadonlySet<string> = new Set([...passes, sqlstate.lockNotAvailable]);

export function isHeldUp(state: string): boolean {
  return heldUp.has(state);
}

/** What a statement names is not there, or not any more. */
const gone: ReadonlySet<string> = new Set([
  sqlstate.invalidSchemaName,
  sqlstate.undefinedObject,
  sqlstate.undefinedTable,
]);

export function saysGone(state: string): boolean {
  return gone.has(state);
}

/**
 * Classes of errors that lie in the server's state, not in the statement: connection, rollback, resources, object in
 * use, operator, system. All others would fail the same way again.
 */
const passingClasses: ReadonlySet<string> = new Set(['08', '40', '53', '55', '57', '58']);

export function maySucceedLater(state: string): boolean {
  return passingClasses.has(state.slice(0, 2));
}

/** Classes of errors that the statement itself has: feature not supported, data, syntax or access rule. */
const classesOfStatements: ReadonlySet<string> = new Set(['0A', '22', '42']);

/** Written otherwise, the same statement might do: not so where a right or a table is missing. */
export function mightBeWrittenOtherwise(state: string): boolean {
  return (
    classesOfStatements.has(state.slice(0, 2)) &&
    state !== sqlstate.insufficientPrivilege &&
    state !== sqlstate.undefinedTable
  );
}

/** Why something could not be examined, for the SQLSTATEs that are no defect of ours; null for all others. */
export function unexaminedReason(state: string): UnexaminedReason | null {
  switch (state) {
    case sqlstate.insufficientPrivilege:
      return 'not_permitted';
    case sqlstate.timeBudgetExceeded:
      return 'timed_out';
    case sqlstate.lockNotAvailable:
      return 'locked';
    default:
      return null;
  }
}
