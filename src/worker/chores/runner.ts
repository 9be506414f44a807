/** Starts chores when they are due, each beside the others, and never one of them twice at a time. */
import type pg from 'pg';
import type { Json } from '../../steps/step.ts';
import { leaveTransaction, queryRow } from '../connection.ts';
import { messageOf } from '../errors.ts';
import { claimedHere } from '../session.ts';
import type { SharedSession } from '../shared-session.ts';
import type { Tasks } from '../tasks.ts';
import type { Chore, ChoreConfig, ChoreContext } from './chore.ts';

/** How long settings may have changed without a notification, by an UPDATE of the table for instance. */
const configEveryMs = 60_000;
/** What failed is tried again after so long, then after twice that, up to its own interval. */
const firstRetrySeconds = 5;

interface Progress {
  /** performance.now() of the last start; null before. */
  begunAt: number | null;
  /** Earlier than the interval says: after a failure, or because it was asked for. */
  dueAt: number | null;
  underWay: boolean;
  failures: number;
  /** The interval that `begunAt` and `dueAt` rest on. */
  every: number | null;
}

export interface ChoreRunnerOptions {
  control: SharedSession;
  tasks: Tasks;
  context: Omit<ChoreContext, 'config'>;
  /** One has ended. */
  changed(): void;
  chores: readonly Chore[];
}

export class ChoreRunner {
  readonly #options: ChoreRunnerOptions;
  readonly #progress = new Map<Chore, Progress>();
  readonly #shared = new Set<Promise<void>>();
  #config: ChoreConfig = {};
  #configReadAt = -Infinity;

  constructor(options: ChoreRunnerOptions) {
    this.#options = options;
    for (const chore of options.chores)
      this.#progress.set(chore, { begunAt: null, dueAt: null, underWay: false, failures: 0, every: null });
  }

  /** Settings have changed: they are read before the next look at what is due. */
  settingsChanged(): void {
    this.#configReadAt = -Infinity;
    for (const { name, onSettings } of this.#progress.keys()) if (onSettings === true) this.soon(name, 0);
  }

  /** Makes a chore due after so many seconds, or when it is due anyway. */
  soon(name: string, seconds: number): void {
    for (const [chore, progress] of this.#progress) {
      if (chore.name === name)
        progress.dueAt = Math.min(progress.dueAt ?? Infinity, performance.now() + seconds * 1000);
    }
  }

  /** Starts what is wanted and must not be left to others, when nothing else is begun any more. */
  async beginLast(): Promise<void> {
    for (const [chore, progress] of this.#progress) {
      const off = chore.everySeconds(this.#config) === null;
      if (chore.beforeLeaving === true && !off && !progress.underWay) await this.#start(chore, progress);
    }
  }

  /** Starts what is due and does not wait for it. Returns the milliseconds until more is due. */
  async begin(): Promise<number> {
    const { control } = this.#options;
    if (performance.now() - this.#configReadAt >= configEveryMs) {
      // Before the query: what changes while it is under way is read again.
      this.#configReadAt = performance.now();
      this.#config = await control.use(readConfig);
      this.#forgetOldIntervals();
    }
    for (const [chore, progress] of this.#progress) {
      if (!progress.underWay && this.#dueAt(chore, progress) <= performance.now())
        await this.#start(chore, progress);
    }
    const next = Math.min(
      ...[...this.#progress].map(([chore, progress]) =>
        progress.underWay ? Infinity : this.#dueAt(chore, progress),
      ),
      this.#configReadAt + configEveryMs,
    );
    return Math.max(0, next - performance.now());
  }

  /** What was due by another interval is looked at anew. */
  #forgetOldIntervals(): void {
    for (const [chore, progress] of this.#progress) {
      const every = chore.everySeconds(this.#config);
      if (every === progress.every) continue;
      progress.every = every;
      if (chore.for === 'database' && !progress.underWay) progress.begunAt = progress.dueAt = null;
    }
  }

  #dueAt(chore: Chore, { begunAt, dueAt }: Progress): number {
    const every = chore.everySeconds(this.#config);
    if (every === null) return Infinity;
    const byInterval = begunAt === null ? 0 : begunAt + every * 1000;
    return Math.min(byInterval, dueAt ?? Infinity);
  }

  async #start(chore: Chore, progress: Progress): Promise<void> {
    const { control, tasks } = this.#options;
    progress.dueAt = null;
    progress.begunAt = performance.now();
    if (!(await this.#isWanted(chore, progress))) return;
    if (chore.for === 'database') {
      const every = chore.everySeconds(this.#config) ?? 0;
      const seconds = await control.use((client) => claim(client, chore.name, every));
      if (seconds > 0) {
        // By another worker, or by one before: this one looks when it is due by that.
        progress.dueAt = performance.now() + seconds * 1000;
        progress.begunAt = Infinity;
        return;
      }
    }
    progress.underWay = true;
    const failed = (error: unknown): Promise<void> => this.#failed(chore, progress, error);
    if (chore.connection === 'own') {
      tasks.start(`chore ${chore.name}`, (client) => this.#run(chore, progress, client), failed);
      return;
    }
    const ended = control
      .use((client) => this.#runShared(chore, progress, client))
      .catch(failed)
      .catch(() => undefined)
      .finally(() => {
        this.#shared.delete(ended);
        this.#options.changed();
      });
    this.#shared.add(ended);
  }

  async #isWanted(chore: Chore, progress: Progress): Promise<boolean> {
    const { control } = this.#options;
    try {
      return await control.use(async (client) => (await chore.wanted?.(client, this.#config)) ?? true);
    } catch (error) {
      await this.#failed(chore, progress, error);
      return false;
    }
  }

  async #runShared(chore: Chore, progress: Progress, client: pg.Client): Promise<void> {
    try {
      await this.#run(chore, progress, client);
    } catch (error) {
      // A transaction that it left open would swallow all that comes after it.
      await leaveTransaction(client);
      throw error;
    }
  }

  async #run(chore: Chore, progress: Progress, client: pg.Client): Promise<void> {
    const again =
      chore.for === 'database'
        ? await underLock(client, chore.name, () => this.#perform(chore, client))
        : await this.#perform(chore, client);
    progress.underWay = false;
    progress.failures = 0;
    if (again) this.soon(chore.name, again.againInSeconds);
    if (chore.for === 'database') await recordEnd(client, chore.name, null, 0);
  }

  async #perform(chore: Chore, client: pg.Client): Promise<{ againInSeconds: number } | undefined> {
    return await chore.run(client, { ...this.#options.context, config: this.#config });
  }

  async #failed(chore: Chore, progress: Progress, error: unknown): Promise<void> {
    const { context, control } = this.#options;
    const every = chore.everySeconds(this.#config) ?? Infinity;
    const seconds = Math.min(every, firstRetrySeconds * 2 ** Math.min(progress.failures, 16));
    progress.underWay = false;
    progress.failures += 1;
    this.soon(chore.name, seconds);
    // Where pg-maint is being removed, or the connection is lost, everything fails: the worker says that once.
    if (!(await control.use(isInstalled))) return;
    if (!context.signal.aborted)
      context.log(`${chore.name}: ${messageOf(error)}; trying again in ${seconds} s`);
    if (chore.for === 'database')
      await control.use((client) => recordEnd(client, chore.name, messageOf(error), every - seconds));
  }

  /** Resolves when the quick ones under way have ended; the others are among the tasks. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#shared]);
  }
}

async function isInstalled(client: pg.Client): Promise<boolean> {
  const { installed } = await queryRow<{ installed: boolean }>(
    client,
    `select exists (select from pg_catalog.pg_namespace as n where n.nspname = 'maint') as installed`,
  );
  return installed;
}

async function readConfig(client: pg.Client): Promise<ChoreConfig> {
  const { config } = await queryRow<{ config: Record<string, Json> }>(
    client,
    `select maint.settings_snapshot() -> 'database' as config`,
  );
  return config;
}

/** Takes a chore of the database. Returns 0, or the seconds until it is due where it was done less than `every` ago. */
async function claim(client: pg.Client, name: string, every: number): Promise<number> {
  const { seconds } = await queryRow<{ seconds: number }>(
    client,
    `with claimed as (
       insert into maint.chore as c (name) values ($1)
       on conflict (name) do update set begun_at = pg_catalog.clock_timestamp(), finished_at = null, error = null
       where c.begun_at <= pg_catalog.clock_timestamp() - $2::float8 * interval '1 s'
         -- Since then the clock was set back: how long ago that was is not known.
         or c.begun_at > pg_catalog.clock_timestamp() + interval '1 minute'
       returning c.name)
     select case when exists (select from claimed) then 0
       -- Of a row that another worker makes at this moment nothing is seen.
       else coalesce((
         select greatest(extract(epoch from c.begun_at - pg_catalog.clock_timestamp())::float8 + $2::float8, 1)
         from maint.chore as c where c.name = $1), $2::float8) end as seconds`,
    [name, every],
  );
  return seconds;
}

/** Not begun where another worker is still at it, for longer than its interval. */
async function underLock<Value>(
  client: pg.Client,
  name: string,
  work: () => Promise<Value>,
): Promise<Value | undefined> {
  const { rowCount } = await client.query(
    `update maint.chore as c set ${claimedHere}
     where c.name = $1 and not maint.session_alive(c.session_pid, c.session_started)`,
    [name],
  );
  if (rowCount === 0) return undefined;
  try {
    return await work();
  } catch (error) {
    // In a transaction that failed it could not be let go. Where the connection is gone the session is, too.
    await leaveTransaction(client);
    throw error;
  } finally {
    await client
      .query(
        `update maint.chore as c set session_pid = null, session_started = null
         where c.name = $1 and c.session_pid = pg_catalog.pg_backend_pid()`,
        [name],
      )
      .catch(() => undefined);
  }
}

async function recordEnd(
  client: pg.Client,
  name: string,
  error: string | null,
  earlierBySeconds: number,
): Promise<void> {
  await client.query(
    `update maint.chore set finished_at = pg_catalog.clock_timestamp(), error = $2,
       begun_at = begun_at - $3::float8 * interval '1 s'
     where name = $1`,
    [name, error, earlierBySeconds],
  );
}
