/**
 * The worker's post in one database. Two connections while idle: one listens and keeps the records, one is pg-boss's.
 * Jobs (jobs/) and the longer chores (chores/) have one of their own each while they are under way.
 */
import type pg from 'pg';
import type { PgBoss } from 'pg-boss';
import { ensureQueues, startBoss } from './boss.ts';
import { chores as allChores } from './chores/index.ts';
import measureRebuilt from './chores/measure-rebuilt.ts';
import { reconcileSoonSeconds } from './chores/reconcile.ts';
import { ChoreRunner } from './chores/runner.ts';
import { sayGoodbye } from './heartbeat.ts';
import { JobRunner } from './jobs/runner.ts';
import { connectAsOwner } from './session.ts';
import { SharedSession } from './shared-session.ts';
import { Tasks } from './tasks.ts';
import { Wake } from './wake.ts';

export interface StationOptions {
  url: string | undefined;
  workerId: string;
  version: string;
  concurrency: number;
  actionsOnly: boolean;
  stopSeconds: number;
  log: (line: string) => void;
}

/** What works while the connections last. */
interface Post {
  control: SharedSession;
  jobs: JobRunner;
  chores: ChoreRunner;
}

export class Station {
  readonly #options: StationOptions;
  readonly #wake = new Wake();
  readonly #stopping = new AbortController();
  readonly #tasks: Tasks;
  #failure: Error | undefined;

  constructor(options: StationOptions) {
    this.#options = options;
    this.#tasks = new Tasks(options.url, this.#wake.now);
  }

  /** Works until the signal fires, or throws where a connection is lost; what was under way has ended in both cases. */
  async run(signal: AbortSignal): Promise<void> {
    const clients: pg.Client[] = [];
    let boss: PgBoss | undefined;
    signal.addEventListener('abort', this.#wake.now, { once: true });
    try {
      const control = await this.#connect(clients);
      await ensureQueues(control, { signal, log: this.#options.log });
      boss = await startBoss(await this.#connect(clients), (error) => {
        this.#options.log(`pg-boss: ${error.message}`);
      });
      // Whatever is done on it is quick, or in somebody's way: it fails then and is tried again.
      await control.query(`set lock_timeout = '10s'; set statement_timeout = '60s'; listen maint_work`);
      const post = this.#takePost(control, boss);
      await this.#work(post, signal);
      await this.#stop(post);
      await sayGoodbye(control, this.#options.workerId);
    } finally {
      signal.removeEventListener('abort', this.#wake.now);
      this.#stopping.abort();
      await this.#tasks.ended();
      await this.#tasks.close();
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

  #takePost(client: pg.Client, boss: PgBoss): Post {
    const control = new SharedSession(client);
    const { url, workerId, version, concurrency, actionsOnly } = this.#options;
    const tasks = this.#tasks;
    const context = {
      url,
      control,
      workerId,
      version,
      signal: this.#stopping.signal,
      log: (line: string): void => {
        // What breaks because the connections are gone says nothing that their own error does not say.
        if (!this.#failure) this.#options.log(line);
      },
    };
    const jobs = new JobRunner({
      boss,
      tasks,
      concurrency,
      actionsOnly,
      context,
      failed: () => {
        chores.soon('reconcile', reconcileSoonSeconds);
      },
      rested: (queue) => {
        if (queue === 'maint_action') chores.soon(measureRebuilt.name, 0);
      },
    });
    const chores = new ChoreRunner({
      control,
      tasks,
      context: { ...context, boss, actionsUnderWay: () => jobs.count('maint_action') },
      changed: this.#wake.now,
      chores: actionsOnly ? allChores.filter(({ withActionsOnly }) => withActionsOnly === true) : allChores,
    });
    client.on('notification', ({ payload }) => {
      if (payload === 'settings') chores.settingsChanged();
      else jobs.look();
      this.#wake.now();
    });
    return { control, jobs, chores };
  }

  async #work({ control, jobs, chores }: Post, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#failure) throw this.#failure;
      const jobsMs = await jobs.begin(control);
      const choresMs = await chores.begin();
      const touchMs = await jobs.touch();
      if (jobsMs > 0) await this.#wake.sleep(Math.min(choresMs, jobsMs, touchMs));
    }
  }

  /** Lets what is under way end; after the time set for it, cancels its statements. */
  async #stop({ control, jobs, chores }: Post): Promise<void> {
    const ended = this.#tasks
      .ended()
      .then(() => chores.beginLast())
      .then(() => Promise.all([this.#tasks.ended(), chores.ended()]))
      .then(() => true);
    const deadline = performance.now() + this.#options.stopSeconds * 1000;
    while (performance.now() < deadline) {
      const touchMs = await jobs.touch();
      const left = Math.max(0, deadline - performance.now());
      if (await Promise.race([ended, after(Math.min(touchMs, left))])) return;
    }
    this.#stopping.abort();
    await control.use((client) => this.#tasks.cancel(client));
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
