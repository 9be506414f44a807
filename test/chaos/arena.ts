/** A server with a table under load, where one action after the other is struck and what is left of it is judged. */
import { letGo, takeOver } from '../../src/worker/action-log.ts';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { repository } from '../../build/paths.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { connectTo, eventually, urlOf } from '../cluster/own-cluster.ts';
import type { OwnCluster } from '../cluster/own-cluster.ts';
import { Random } from '../property/random.ts';
import { problemsOf } from './judgement.ts';
import { isLoss, Load, loadSchema } from './load.ts';
import { actingSession, forgetStatements, isDone, queue } from './subject.ts';
import type { Kind, Subject } from './subject.ts';
import { killBackend, killServer } from './victims.ts';
import type { Victim } from './victims.ts';
import { install } from '../../src/worker/install.ts';

/** What was found once the blow had fallen, before anybody mended anything. */
export interface Struck {
  found: 'not begun' | 'about to act' | 'cut off' | 'goes on' | 'done, not recorded' | 'over';
  problems: string[];
}

interface Owner {
  teardown(cleanUp: () => Promise<void>): void;
}

interface Worker {
  /** Ends it in order, where it is still there. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** Of a statement, until the first ones have shown how long they take here. */
const firstGuessMs = 200;
/** Of the moments, so many before the statement: between claim and intent, where little can be left behind. */
const beforeTheStatement = 0.2;
/** From the claim to the intent. */
const preparationMs = 40;

export class Arena {
  readonly #cluster: OwnCluster;
  readonly #load: Load;
  readonly #random: Random;
  readonly #usual = new Map<Kind, number>();
  #transactions = 0;

  private constructor(cluster: OwnCluster, load: Load, random: Random) {
    this.#cluster = cluster;
    this.#load = load;
    this.#random = random;
  }

  static async open(owner: Owner, cluster: OwnCluster, random: Random): Promise<Arena> {
    const url = (): string => urlOf(cluster.port());
    const client = await connectTo(url());
    await client.query(loadSchema);
    await client.query('create extension amcheck; create extension pg_stat_statements');
    await install(url());
    await client.query(
      `select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
         maint.configure('operational.safeguards.max_wal_mb_per_second', '0'),
         maint.configure('operational.safeguards.min_free_disk_percent', '0'),
         maint.configure('operational.safeguards.actions_per_hour', '0'),
         maint.configure('operational.safeguards.max_actions_per_window', '0')`,
    );
    await client.end();
    const load = new Load(
      () => connectTo(url()),
      () => new Random(random.below(2 ** 32)),
    );
    const arena = new Arena(cluster, load, random);
    owner.teardown(async () => {
      await load.stop().catch(() => undefined);
      await load.leave();
    });
    return arena;
  }

  /** Transactions since the last time. */
  takeTransactions(): number {
    const count = this.#transactions;
    this.#transactions = 0;
    return count;
  }

  /** Lets one action begin, strikes at this fraction of its usual time, lets pg-maint recover, and judges. */
  async strike(victim: Victim, kind: Kind, fraction: number): Promise<Struck> {
    const workers: Worker[] = [];
    let client = await this.#connect();
    this.#load.start();
    try {
      const worker = victim === 'worker' ? await this.#spawn(client) : await this.#within(client);
      workers.push(worker);
      await forgetStatements(client);
      const subject = await queue(client, kind);
      await this.#atTheMoment(client, subject, fraction);
      await this.#strike(victim, client, subject, worker);
      if (victim === 'worker') workers.pop();
      if (victim === 'server') await this.#startAgain();
      client = await this.#again(client);
      const { found, remaining } = await this.#look(client, subject);
      await this.#recover(client, victim, workers);
      const open = await settled(client);
      for (const each of workers) await each.stop();
      this.#transactions += await this.#load.stop();
      this.#learn(kind, fraction, found);
      const checksum = await this.#load.checksum();
      const problems = [...open, ...(await problemsOf(client, subject, { remaining, checksum }))];
      return { found, problems };
    } finally {
      for (const each of workers) await each.stop();
      await this.#load.stop();
      await client.end().catch(() => undefined);
    }
  }

  #connect(): Promise<pg.Client> {
    return connectTo(urlOf(this.#cluster.port()));
  }

  /** The same connection where it lives, else a new one as soon as there can be one. */
  async #again(client: pg.Client): Promise<pg.Client> {
    try {
      await client.query('select');
      return client;
    } catch (error) {
      if (!isLoss(error)) throw error;
      await client.end().catch(() => undefined);
      return await eventually(async () => {
        const again = await this.#connect();
        await again.query('select');
        return again;
      });
    }
  }

  async #startAgain(): Promise<void> {
    await eventually(async () => {
      await this.#cluster.start();
      return true;
    });
  }

  async #spawn(client: pg.Client): Promise<Worker> {
    const words = [
      join(repository, 'src/worker/cli.ts'),
      'worker',
      '--database',
      urlOf(this.#cluster.port()),
    ];
    const child: ChildProcess = spawn(process.execPath, words, { stdio: 'ignore' });
    const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    };
    await isAtWork(client, child.pid!);
    return { stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
  }

  async #within(client: pg.Client): Promise<Worker> {
    await client.query('delete from maint.worker');
    const controller = new AbortController();
    const ended = runWorker({ urls: [urlOf(this.#cluster.port())], signal: controller.signal });
    await isAtWork(client, process.pid);
    const stop = async (): Promise<void> => {
      controller.abort();
      await ended;
    };
    return { stop, kill: stop };
  }

  /** Returns once the action, or its statement, has been under way for this fraction of the usual time. */
  async #atTheMoment(client: pg.Client, { actionId, kind }: Subject, fraction: number): Promise<void> {
    const early = this.#random.chance(beforeTheStatement);
    const begun = early ? `status <> 'queued'` : 'intent is not null or finished_at is not null';
    await eventually(async () => {
      const { rowCount } = await client.query(
        `select from maint.action where action_id = $1 and (${begun})`,
        [actionId],
      );
      return rowCount === 1 ? true : null;
    }, 2);
    await sleep(fraction * (early ? preparationMs : this.#usualOf(kind)));
  }

  async #strike(victim: Victim, client: pg.Client, subject: Subject, worker: Worker): Promise<void> {
    if (victim === 'worker') await worker.kill();
    if (victim === 'server') await killServer(this.#cluster);
    if (victim === 'backend') {
      const pid = await actingSession(client, subject);
      if (pid !== null && killBackend(this.#cluster, pid)) await isLost(client);
    }
  }

  /**
   * How far the action had come. `remaining`: how often its statement may still come to its end; null where a worker was
   * quicker than we.
   */
  async #look(
    client: pg.Client,
    subject: Subject,
  ): Promise<{ found: Struck['found']; remaining: number | null }> {
    const { rows } = await client.query<{ status: string; intended: boolean }>(
      'select status, intent is not null as intended from maint.action where action_id = $1',
      [subject.actionId],
    );
    const { status, intended } = rows[0]!;
    if (status === 'succeeded') return { found: 'over', remaining: null };
    // Keeps those away who would mend it before it was looked at.
    if (status === 'running' && !(await takeOver(client, subject.actionId)))
      return { found: 'goes on', remaining: 1 };
    try {
      const done = await isDone(client, subject);
      await forgetStatements(client);
      if (done) return { found: 'done, not recorded', remaining: 0 };
      const { rowCount: leftovers } = await client.query('select from pg_index where not indisvalid');
      if ((leftovers ?? 0) > 0) return { found: 'cut off', remaining: 1 };
      return { found: intended ? 'about to act' : 'not begun', remaining: 1 };
    } finally {
      await letGo(client, subject.actionId);
    }
  }

  /** One run, and a worker: in either order. */
  async #recover(client: pg.Client, victim: Victim, workers: Worker[]): Promise<void> {
    const runFirst = this.#random.chance(0.5);
    if (runFirst) await client.query('select maint.run(true)');
    if (victim === 'worker') workers.push(await this.#within(client));
    if (!runFirst) await client.query('select maint.run(true)');
  }

  #usualOf(kind: Kind): number {
    return this.#usual.get(kind) ?? firstGuessMs;
  }

  /** Keeps the last moments about where statements end: too late now and then, and never always too early. */
  #learn(kind: Kind, fraction: number, found: Struck['found']): void {
    const factor = found === 'over' ? 0.8 : fraction > 0.7 && found !== 'not begun' ? 1.15 : 1;
    this.#usual.set(kind, this.#usualOf(kind) * factor);
  }
}

/** The postmaster ends all sessions when it notices that one was killed. */
async function isLost(client: pg.Client): Promise<void> {
  await eventually(async () => {
    try {
      await client.query('select');
      return null;
    } catch (error) {
      if (!isLoss(error)) throw error;
      return true;
    }
  }, 5);
}

async function isAtWork(client: pg.Client, pid: number): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await client.query('select from maint.worker where pid = $1', [pid]);
    return rowCount === 1 ? true : null;
  });
}

/** Waits until no action is open and no job of one waits to be done; what still is after a minute, in words. */
async function settled(client: pg.Client): Promise<string[]> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const { rows } = await client.query<{ said: string }>(
      `select format('action %s (%s of %s) is %s: %s', action_id, kind, target ->> 'index', status, outcome) as said
       from maint.action where status in ('queued', 'running')
       union all
       select format('a job of action %s is %s', data ->> 'action_id', state) from maint_boss.job
       where name = 'maint_action' and state < 'completed'
       order by 1`,
    );
    if (rows.length === 0) return [];
    if (Date.now() > deadline) return rows.map(({ said }) => said);
    await sleep(50);
  }
}
