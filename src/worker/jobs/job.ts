/**
 * The contract of a queue: what its jobs hold, how one is performed, and what becomes of one that was given up. A queue
 * is one file here, one line in index.ts and its policy in ../boss.ts; runner.ts fetches, touches, completes and fails.
 */
import type pg from 'pg';
import type { QueueName } from '../boss.ts';
import type { SharedSession } from '../shared-session.ts';

export interface JobContext {
  workerId: string;
  version: string;
  /** Where another connection as the worker's login role is made; what undefined means the environment says. */
  url: string | undefined;
  /** The job's own number in pg-boss. */
  jobId: string;
  /** Fires when the worker is stopping and cancels what is under way. */
  signal: AbortSignal;
  /** The connection that the worker's parts share, for a quick statement beside the job's own. */
  control: Pick<SharedSession, 'use'>;
  log(line: string): void;
  /** Something failed in the job's session: it is not used again. Only of a queue that keeps its sessions. */
  spoiled(): void;
}

export interface JobKindDefinition<Data extends object> {
  queue: Exclude<QueueName, 'maint_dead'>;
  /** How many jobs of the queue one worker does at a time in one database; `concurrency` is the number for actions. */
  places(concurrency: number): number;
  /** One more place, for jobs with a priority alone, when all others are taken. */
  placeForPriority?: boolean;
  /** A job's session is the next one's, where nothing failed in it. */
  keepsSessions?: boolean;
  /** The job in words, for the log: "action 7". */
  describe(data: Data): string;
  /**
   * Does the job, on a connection of its own as the owner of schema maint. What it returns is kept with the job. What it
   * throws fails the job: pg-boss gives it out again as the queue's policy says, and in the end to `giveUp`.
   * A job whose worker died is given out again as well, so it must stand being begun twice.
   */
  perform(client: pg.Client, data: Data, context: JobContext): Promise<object | null>;
  /** Retries are used up: makes that visible in schema maint, and returns what it did in words. */
  giveUp(client: pg.Client, data: Data, reason: string): Promise<string>;
}

/** A queue with the type of its data forgotten, as the runner needs it. */
export type JobKind = JobKindDefinition<object>;

/** Declares a queue's jobs. */
export function defineJob<Data extends object>(definition: JobKindDefinition<Data>): JobKind {
  return definition;
}
