/** What a kind of action has to know how to do. The order in which it is asked stands in src/worker/execute.ts. */
import type pg from 'pg';
import type { Need } from '../act-as.ts';
import type { ActionTargets, Json, JsonObject } from '../../steps/step.ts';

export type Kind = keyof ActionTargets;

/** A row of maint.action, claimed. */
export interface ActionRow<Of extends Kind = Kind> {
  action_id: number;
  kind: Of;
  target: ActionTargets[Of];
  step_number: number;
  finding_id: number | null;
  reason: string;
  evidence: JsonObject;
  /** Counts this attempt. */
  attempts: number;
}

/** What is about to be done: committed to maint.action before it is, so that a crash leaves a row that says it. */
export interface Plan {
  ok: true;
  /** The exact statement. It runs outside of a transaction. */
  statement: string;
  /** What would undo it; null where nothing can. */
  inverse: Json;
  sizeBefore: number | null;
  /** The table whose owner runs the statement, and what that needs; null where the owner of schema maint does. */
  on: { tableOid: number; need: Need } | null;
  /** Whom the statement would wait for; null where it waits for nobody. */
  waitsOn: WaitsFor | null;
  /** Which of the settings below operational.worker is the statement's lock_timeout; `lock_timeout` where left out. */
  lockTimeout?: 'lock_timeout' | 'build_lock_timeout';
  /** What `verify` and `cleanUp` need to know, also in another process after a crash. */
  intent: JsonObject;
}

export interface WaitsFor {
  tableOid: number;
  /** Those that have written to it, or all that have used it, in transactions still open. */
  lockers: 'writers' | 'all';
  /** Also transactions of this database that see an old state of it, whatever they use. */
  snapshots: boolean;
}

/**
 * The action is not done: `later` when somebody is in the way, `skipped` for good, or `expired` since what it was for
 * is gone.
 */
export interface Refusal {
  ok: false;
  outcome: 'later' | 'skipped' | 'expired';
  reason: string;
}

/** What was found when the object was looked at once more under a lock: nothing was done. */
export class RefusedUnderLock extends Error {
  override readonly name = 'RefusedUnderLock';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

export interface Verification {
  ok: boolean;
  sizeAfter: number | null;
  /** What was found, in words: the outcome of the action. */
  reason: string;
  /** The index that was built, for the undo of that. */
  builtOid?: number;
}

export interface ActionKind<Of extends Kind = Kind> {
  kind: Of;
  /** Probes the object again by identity and definition, and says what would be done. Outside of a transaction. */
  prepare(client: pg.Client, action: ActionRow<Of>): Promise<Plan | Refusal>;
  /** Instead of running `plan.statement` as the owner of the table: it sees to that itself. */
  act?(client: pg.Client, action: ActionRow<Of>, plan: Plan): Promise<void>;
  /** Whether what was planned is done, from the catalog alone: asked after the statement, and after a crash. */
  verify(client: pg.Client, action: ActionRow<Of>, plan: Plan): Promise<Verification>;
  /** Removes what the failed or cut-off statement left behind, and nothing else. Returns what it removed; throws where it can't now. */
  cleanUp?(client: pg.Client, action: ActionRow<Of>, plan: Plan): Promise<string[]>;
}

/** Declares a kind of action. */
export function defineAction<Of extends Kind>(definition: ActionKind<Of>): ActionKind<Of> {
  return definition;
}
