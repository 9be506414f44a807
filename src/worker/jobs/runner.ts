/** Fetches jobs of all queues, performs them at the same time, keeps hold of them, and says how they ended. */
import type pg from 'pg';
import type { JobWithMetadata, PgBoss } from 'pg-boss';
import { heartbeatSeconds } from '../boss.ts';
import { messageOf } from '../errors.ts';
import type { SharedSession } from '../shared-session.ts';
import type { Tasks } from '../tasks.ts';
import { performDeadLetter } from './dead-letter.ts';
import { jobKinds } from './index.ts';
import type { JobContext, JobKind } from './job.ts';

const touchEveryMs = (heartbeatSeconds * 1000) / 3;
/** How soon to ask again for a job that is due and can't be had: one of the same table is under way, for instance. */
const dueEveryMs = 2000;
/** How long nothing may happen before it asks by itself: a notification can be lost with a connection. */
const idlePollMs = 30_000;

export interface RunnerOptions {
  boss: PgBoss;
  tasks: Tasks;
  concurrency: number;
  /** Leaves all other queues alone. */
  actionsOnly: boolean;
  context: Omit<JobContext, 'jobId' | 'spoiled'>;
  /** A job failed: what it left may want looking at. */
  failed(): void;
  /** The last job of a queue that was under way here has ended, and there is no other to begin. */
  rested(queue: string): void;
}

/** A queue as the runner serves it. */
interface Served {
  queue: string;
  places: number;
  placeForPriority?: boolean | undefined;
  keepsSessions?: boolean | undefined;
  describe(job: JobWithMetadata): string;
  perform(client: pg.Client, job: JobWithMetadata, context: JobContext): Promise<object | null>;
}

function served(kind: JobKind, concurrency: number): Served {
  return {
    queue: kind.queue,
    places: kind.places(concurrency),
    placeForPriority: kind.placeForPriority,
    keepsSessions: kind.keepsSessions,
    describe: ({ data }) => kind.describe(data),
    perform: (client, { data }, context) => kind.perform(client, data, context),
  };
}

export class JobRunner {
  readonly #options: RunnerOptions;
  readonly #queues: readonly Served[];
  /** Queue -> the jobs of it that are under way here. */
  readonly #held = new Map<string, Set<string>>();
  /** Queues of which a job has ended since the last look. */
  readonly #ended = new Set<string>();
  #nextTouch = 0;
  #nextLook = 0;
  /** There may be something to begin that was not there at the last look. */
  #mayBeMore = true;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { concurrency, actionsOnly } = options;
    this.#queues = [
      ...jobKinds
        .filter(({ queue }) => !actionsOnly || queue === 'maint_action')
        .map((kind) => served(kind, concurrency)),
      { queue: 'maint_dead', places: 1, ...performDeadLetter },
    ];
    for (const { queue } of this.#queues) this.#held.set(queue, new Set());
  }

  /** How many jobs of a queue are under way here. */
  count(queue: string): number {
    return this.#heldOf(queue).size;
  }

  #heldOf(queue: string): Set<string> {
    return this.#held.get(queue) ?? new Set();
  }

  /** The next `begin` asks the database again, and not only when the time for it has come. */
  look(): void {
    this.#mayBeMore = true;
  }

  /**
   * Begins what is due and has a place. Returns the milliseconds until there may be more to begin; 0 when it began something, as there may be more behind it.
   */
  async begin(control: SharedSession): Promise<number> {
    const untilLook = this.#nextLook - performance.now();
    if (!this.#mayBeMore && untilLook > 0) return untilLook;
    // Before the query: what comes while it is under way is asked for again.
    this.#mayBeMore = false;
    const free = this.#queues.filter(({ queue, places }) => this.count(queue) < places);
    // Where many wait, the next one is to begin as soon as one has ended: no question comes before.
    const ended = free.filter(({ queue }) => this.#ended.delete(queue));
    if (ended.length > 0 && (await this.#fetchAll(ended)) > 0) return 0;
    const full = this.#queues.filter(
      ({ queue, places, placeForPriority }) => placeForPriority === true && this.count(queue) === places,
    );
    const due = await control.use((client) => dueInMs(client, names(free), names(full)));
    const begin = [...free, ...full].filter(({ queue }) => (due.get(queue) ?? 1) <= 0);
    if ((await this.#fetchAll(begin)) > 0) return 0;
    for (const { queue } of ended) if (this.count(queue) === 0) this.#options.rested(queue);
    const next = Math.min(idlePollMs, ...due.values());
    const wait = next <= 0 ? dueEveryMs : next;
    this.#nextLook = performance.now() + wait;
    return wait;
  }

  /** How many it began. There may be more behind them. */
  async #fetchAll(queues: readonly Served[]): Promise<number> {
    let begun = 0;
    for (const each of queues) begun += await this.#fetch(each);
    if (begun > 0) this.#mayBeMore = true;
    return begun;
  }

  async #fetch(served: Served): Promise<number> {
    const jobs = await this.#options.boss.fetch<object>(served.queue, {
      // One with a priority comes first.
      batchSize: Math.max(1, served.places - this.count(served.queue)),
      includeMetadata: true,
    });
    for (const job of jobs) this.#start(served, job);
    return jobs.length;
  }

  #start(served: Served, job: JobWithMetadata): void {
    const { boss, tasks, context, failed } = this.#options;
    const { queue, keepsSessions = false } = served;
    this.#heldOf(queue).add(job.id);
    const over = (): void => {
      this.#heldOf(queue).delete(job.id);
      this.#ended.add(queue);
      this.look();
    };
    tasks.start(
      job.id,
      async (client, giveBack) => {
        const session = { spoiled: false };
        const spoiled = (): void => {
          session.spoiled = true;
        };
        const output = await served.perform(client, job, { ...context, jobId: job.id, spoiled });
        if (keepsSessions && !session.spoiled) giveBack();
        await boss.complete(queue, job.id, output);
        over();
      },
      async (error) => {
        this.#heldOf(queue).delete(job.id);
        failed();
        context.log(`${served.describe(job)}: ${messageOf(error)}`);
        // Where the connection is gone, silence says the same a little later.
        await boss.fail(queue, job.id, { message: messageOf(error) }).finally(over);
      },
      keepsSessions ? 'kept' : 'new',
    );
  }

  /** Tells pg-boss that the jobs under way have not been forgotten. Returns the milliseconds until it wants to again. */
  async touch(): Promise<number> {
    const held = [...this.#held].filter(([, jobs]) => jobs.size > 0);
    if (held.length === 0) return Infinity;
    const now = performance.now();
    if (now >= this.#nextTouch) {
      for (const [queue, jobs] of held) {
        // While another queue's jobs are touched the last one of this may end, and pg-boss refuses an empty list.
        const ids = [...jobs];
        if (ids.length > 0) await this.#options.boss.touch(queue, ids);
      }
      this.#nextTouch = now + touchEveryMs;
    }
    return this.#nextTouch - now;
  }
}

function names(queues: readonly Served[]): string[] {
  return queues.map(({ queue }) => queue);
}

/** Queue -> milliseconds until its first waiting job is due; absent where none waits. */
async function dueInMs(
  client: pg.ClientBase,
  queues: readonly string[],
  withPriority: readonly string[],
): Promise<Map<string, number>> {
  if (queues.length + withPriority.length === 0) return new Map();
  const { rows } = await client.query<{ name: string; ms: number }>(
    `select j.name,
       (extract(epoch from pg_catalog.min(j.start_after) - pg_catalog.clock_timestamp()) * 1000)::float8 as ms
     from maint_boss.job as j
     where (j.name = any ($1) or j.name = any ($2) and j.priority > 0) and j.state < 'active' and not j.blocked
     group by j.name`,
    [queues, withPriority],
  );
  return new Map(rows.map(({ name, ms }) => [name, ms]));
}
