/**
 * The worker's post in one database. Three connections while idle at most: one listens and keeps the records, one is
 * pg-boss's, and each action has its own.
 */
import type pg from 'pg';
import type { PgBoss } from 'pg-boss';
import { ensureQueues, heartbeatSeconds, startBoss } from './boss.ts';
import { queryRow } from './connection.ts';
import { execute } from './execute.ts';
import { beat, forgetOld, heartbeatEverySeconds, sayGoodbye } from './heartbeat.ts';
import { reconcile } from './reconcile.ts';
import { connectAsOwner } from './session.ts';
import { Wake } from './wake.ts';

export interface StationOptions {
  url: string | undefined;
  workerId: string;
  version: string;
  concurrency: number;
  stopSeconds: number;
  log: (line: string) => void;
}

/** The job of an action. */
interface ActionJob {
  action_id: number;
}

/** How long nothing may happen before it looks by itself; with something waiting, more often. */
const idlePollMs = 30_000;
const waitingPollMs = 2000;
const reconcileEveryMs = 60_000;
/** While another's statement goes on, or one of ours has lost its connection. */
const reconcileSoonMs = 3000;
const touchEveryMs = (heartbeatSeconds * 1000) / 3;

interface Task {
  pid: number | null;
  ended: Promise<void>;
}

export class Station {
  readonly #options: StationOptions;
  readonly #wake = new Wake();
  readonly #stopping = new AbortController();
  readonly #tasks = new Map<string, Task>();
  #failure: Error | undefined;
  #nextBeat = 0;
  #nextReconcile = 0;
  #nextTouch = 0;
  /** When a delayed job of ours is due. */
  #nextDue = Infinity;

  constructor(options: StationOptions) {
    this.#options = options;
  }

  /** Works until the signal fires, or throws where a connection is lost; actions under way have ended in both cases. */
  async run(signal: AbortSignal): Promise<void> {
    const clients: pg.Client[] = [];
    let boss: PgBoss | undefined;
    signal.addEventListener('abort', this.#wake.now, { once: true });
    try {
      const control = await this.#connect(clients);
      await ensureQueues(control);
      boss = await startBoss(await this.#connect(clients), (error) => {
        this.#options.log(`pg-boss: ${error.message}`);
      });
      control.on('notification', this.#wake.now);
      await control.query('listen maint_work');
      await this.#work(control, boss, signal);
      await this.#stop(control);
      await sayGoodbye(control, this.#options.workerId);
    } finally {
      signal.removeEventListener('abort', this.#wake.now);
      this.#stopping.abort();
      await Promise.allSettled([...this.#tasks.values()].map(({ ended }) => ended));
      await boss?.stop({ graceful: false, close: false }).catch(() => undefined);
      await Promise.allSettled(clients.map((client) => client.end()));
    }
  }

  async #connect(clients: pg.Client[]): Promise<pg.Client> {
    const client = await connectAsOwner(this.#options.url);
    clients.push(client);
    const lost = (error?: Error): void => {
      this.#failure ??= error ?? new Error('the connection to the database ended');
      this.#wake.now();
    };
    client.on('error', lost);
    client.on('end', lost);
    return client;
  }

  async #work(control: pg.Client, boss: PgBoss, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#failure) throw this.#failure;
      await this.#chores(control, boss);
      const begun = await this.#begin(boss);
      if (begun > 0) continue;
      await this.#wake.sleep(await this.#pause(control));
    }
  }

  async #chores(control: pg.Client, boss: PgBoss): Promise<void> {
    const { workerId, version, url, log } = this.#options;
    const now = performance.now();
    if (now >= this.#nextBeat) {
      await beat(control, workerId, version);
      this.#nextBeat = now + heartbeatEverySeconds * 1000;
    }
    if (this.#tasks.size > 0 && now >= this.#nextTouch) {
      await boss.touch('maint_action', [...this.#tasks.keys()]);
      this.#nextTouch = now + touchEveryMs;
    }
    if (now >= this.#nextReconcile) {
      const client = await connectAsOwner(url);
      try {
        const { settled, underWay } = await reconcile(client);
        for (const line of settled) log(line);
        const strangers = underWay > this.#tasks.size;
        this.#nextReconcile = performance.now() + (strangers ? reconcileSoonMs : reconcileEveryMs);
        await forgetOld(client);
      } finally {
        await client.end();
      }
    }
  }

  async #begin(boss: PgBoss): Promise<number> {
    const free = this.#options.concurrency - this.#tasks.size;
    if (free <= 0) return 0;
    const jobs = await boss.fetch<ActionJob>('maint_action', { batchSize: free });
    for (const { id, data } of jobs) {
      const task: Task = { pid: null, ended: Promise.resolve() };
      this.#tasks.set(id, task);
      task.ended = this.#perform(boss, id, data.action_id, task).finally(() => {
        this.#tasks.delete(id);
        this.#wake.now();
      });
    }
    return jobs.length;
  }

  /** Never rejects: an action that could not record how it ended is taken up by reconciliation. */
  async #perform(boss: PgBoss, jobId: string, actionId: number, task: Task): Promise<void> {
    const { url, workerId, log } = this.#options;
    let client: pg.Client | undefined;
    try {
      client = await connectAsOwner(url);
      task.pid = (await queryRow<{ pid: number }>(client, 'select pg_catalog.pg_backend_pid() as pid')).pid;
      const executed = await execute(client, { actionId, workerId, signal: this.#stopping.signal });
      if (!executed.done) {
        await client.query(`select maint.enqueue_action($1, $2::float8 * interval '1 s')`, [
          actionId,
          executed.seconds,
        ]);
        this.#nextDue = Math.min(this.#nextDue, performance.now() + executed.seconds * 1000);
      }
      await boss.complete('maint_action', jobId);
    } catch (error) {
      log(`action ${actionId}: ${error instanceof Error ? error.message : String(error)}`);
      this.#nextReconcile = Math.min(this.#nextReconcile, performance.now() + reconcileSoonMs);
    } finally {
      await client?.end().catch(() => undefined);
    }
  }

  /** Until something is due, if nothing wakes it before. */
  async #pause(control: pg.Client): Promise<number> {
    const now = performance.now();
    if (this.#nextDue <= now) this.#nextDue = Infinity;
    let due = Math.min(this.#nextBeat, this.#nextReconcile, this.#nextDue);
    if (this.#tasks.size > 0) due = Math.min(due, this.#nextTouch);
    const full = this.#tasks.size >= this.#options.concurrency;
    const poll = full || !(await somethingIsDue(control)) ? idlePollMs : waitingPollMs;
    return Math.max(0, Math.min(due - now, poll));
  }

  /** Lets the actions under way end; after the time set for it, cancels their statements. */
  async #stop(control: pg.Client): Promise<void> {
    if (this.#tasks.size === 0) return;
    const ended = Promise.allSettled([...this.#tasks.values()].map((task) => task.ended));
    const inTime = await Promise.race([ended.then(() => true), after(this.#options.stopSeconds * 1000)]);
    if (inTime) return;
    this.#stopping.abort();
    for (const { pid } of this.#tasks.values())
      await control.query('select pg_catalog.pg_cancel_backend($1)', [pid]);
    await ended;
  }
}

function after(milliseconds: number): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(() => {
      resolve(false);
    }, milliseconds).unref();
  });
}

/** Whether an action waits that could begin: for another of the same table, for instance. */
async function somethingIsDue(client: pg.ClientBase): Promise<boolean> {
  const { due } = await queryRow<{ due: boolean }>(
    client,
    `select exists (
       select from maint.action as a
       where a.status = 'queued' and coalesce(a.not_before, '-infinity') <= pg_catalog.clock_timestamp()) as due`,
  );
  return due;
}
