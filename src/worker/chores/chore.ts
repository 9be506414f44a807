/**
 * The contract of a chore: what a worker does by itself again and again. A chore is one file here and one line in
 * index.ts. It never overlaps with itself, waits for no other, and when it fails it is logged and tried again.
 */
import type pg from 'pg';
import type { PgBoss } from 'pg-boss';
import type { SharedSession } from '../shared-session.ts';
import type { Json } from '../../steps/step.ts';

/** Setting path -> value, as they hold for the whole database now. */
export type ChoreConfig = Readonly<Record<string, Json>>;

export interface ChoreContext {
  workerId: string;
  version: string;
  boss: PgBoss;
  config: ChoreConfig;
  /** Where another connection as the worker's login role is made; what undefined means the environment says. */
  url: string | undefined;
  /** The connection that the worker's parts share. */
  control: Pick<SharedSession, 'use'>;
  /** Fires when the worker stops and cancels what is under way. */
  signal: AbortSignal;
  log(line: string): void;
  /** How many actions are under way in this worker. */
  actionsUnderWay(): number;
}

export interface Chore {
  /** For the log and maint.chore: short, lower case. */
  name: string;
  /**
   * `worker`: each worker does it. `database`: one worker does it for all of them, and a restart does not make it due again
   * (maint.chore keeps when it was).
   */
  for: 'worker' | 'database';
  /**
   * `own`: as the owner of schema maint on a connection that is made for it. `shared`: on the connection that the worker
   * listens on; for a few quick statements, as all the others wait meanwhile.
   */
  connection: 'own' | 'shared';
  /** Also done by a command that only does actions, for want of a worker. */
  withActionsOnly?: boolean;
  /** A worker that stops begins it still, once its jobs have ended; with `wanted`. */
  beforeLeaving?: boolean;
  /** Also due at once when a setting has changed. */
  onSettings?: boolean;
  /** Seconds from one start to the next, null for not at all. All chores together: under a query per second. */
  everySeconds(config: ChoreConfig): number | null;
  /**
   * Whether there is anything to do, asked on the shared connection each time it is due: one quick statement, where those of
   * a connection of its own would come again and again for nothing. Absent for always.
   */
  wanted?(client: pg.ClientBase, config: ChoreConfig): Promise<boolean>;
  /** What it returns says when it wants to be called again, where that is earlier. */
  run(client: pg.Client, context: ChoreContext): Promise<{ againInSeconds: number } | undefined>;
}
