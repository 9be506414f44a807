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
  context: Omit<JobContext, 'jobId'>;
  /** A job failed: what it left may want looking at. */
  failed(): void;
}

/** A queue as the runner serves it. */
interface Served {
  queue: string;
  places: number;
  describe(job: JobWithMetadata): string;
  perform(client: pg.Client, job: JobWithMetadata, context: JobContext): Promise<object | null>;
}

function served(kind: JobKind, concurrency: number): Served {
  return {
    queue: kind.queue,
    places: kind.places(concurrency),
    describe: ({ data }) => kind.describe(data),
    perform: (client, { data }, context) => kind.perform(client, data, context),
  };
}

export class JobRunner {
  readonly #options: RunnerOptions;
  readonly #queues: readonly Served[];
  /** Queue -> the jobs of it that are under way here. */
  readonly #held = new Map<string, Set<string>>();
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
    const queues = free.map(({ queue }) => queue);
    const due = await control.use((client) => dueInMs(client, queues));
    let begun = 0;
    for (const each of free) {
      const ms = due.get(each.queue);
      if (ms !== undefined && ms <= 0) begun += await this.#fetch(each);
    }
    if (begun > 0) {
      this.#mayBeMore = true;
      return 0;
    }
    const next = Math.min(idlePollMs, ...due.values());
    const wait = next <= 0 ? dueEveryMs : next;
    this.#nextLook = performance.now() + wait;
    return wait;
  }

  async #fetch(served: Served): Promise<number> {
    const jobs = await this.#options.boss.fetch<object>(served.queue, {
      batchSize: served.places - this.count(served.queue),
      includeMetadata: true,
    });
    for (const job of jobs) this.#start(served, job);
    return jobs.length;
  }

  #start(served: Served, job: JobWithMetadata): void {
    const { boss, tasks, context, failed } = this.#options;
    const { queue } = served;
    this.#heldOf(queue).add(job.id);
    tasks.start(
      job.id,
      async (client) => {
        const output = await served.perform(client, job, { ...context, jobId: job.id });
        await boss.complete(queue, job.id, output);
        this.#heldOf(queue).delete(job.id);
        this.look();
      },
      async (error) => {
        this.#heldOf(queue).delete(job.id);
        failed();
        context.log(`${served.describe(job)}: ${messageOf(error)}`);
        // Where the connection is gone, silence says the same a little later.
        await boss.fail(queue, job.id, { message: messageOf(error) }).finally(() => {
          this.look();
        });
      },
    );
  }

  /** Tells pg-boss that the jobs under way have not been forgotten. Returns the milliseconds until it wants to again. */
  async touch(): Promise<number> {
    const held = [...this.#held].filter(([, jobs]) => jobs.size > 0);
    if (held.length === 0) return Infinity;
    const now = performance.now();
    if (now >= this.#nextTouch) {
      for (const [queue, jobs] of held) await this.#options.boss.touch(queue, [...jobs]);
      this.#nextTouch = now + touchEveryMs;
    }
    return this.#nextTouch - now;
  }
}

/** Queue -> milliseconds until its first waiting job is due; absent where none waits. */
async function dueInMs(client: pg.ClientBase, queues: readonly string[]): Promise<Map<string, number>> {
  if (queues.length === 0) return new Map();
  const { rows } = await client.query<{ name: string; ms: number }>(
    `select j.name,
       (extract(epoch from pg_catalog.min(j.start_after) - pg_catalog.clock_timestamp()) * 1000)::float8 as ms
     from pgboss.job as j
     where j.name = any ($1) and j.state < 'active' and not j.blocked
     group by j.name`,
    [queues],
  );
  return new Map(rows.map(({ name, ms }) => [name, ms]));
}
