/** Work under way, each on a connection of its own, so that the worker can wait for it or cut its statement off. */
import type pg from 'pg';
import { asSessionRole } from './act-as.ts';
import { KeptSessions } from './kept-sessions.ts';
import { endSession, openSession } from './session.ts';

interface Task {
  /** The session that does the work; null before it is there. */
  pid: number | null;
  ended: Promise<void>;
}

export class Tasks {
  readonly #url: string | undefined;
  readonly #changed: () => void;
  readonly #underWay = new Map<string, Task>();
  readonly #kept: KeptSessions;
  #cancelled = false;

  /** `changed` is called at the end of each. */
  constructor(url: string | undefined, changed: () => void) {
    this.#url = url;
    this.#changed = changed;
    this.#kept = new KeptSessions(url);
  }

  has(key: string): boolean {
    return this.#underWay.has(key);
  }

  keys(): string[] {
    return [...this.#underWay.keys()];
  }

  /**
   * Begins `work` as the owner of schema maint; what it, or the connecting, throws goes to `failed`. With `kept` its session
   * may be one that another such work has given back. Work that calls `giveBack` is done with its session, in which all went well.
   */
  start(
    key: string,
    work: (client: pg.Client, giveBack: () => void) => Promise<void>,
    failed: (error: unknown) => void | Promise<void>,
    session: 'new' | 'kept' = 'new',
  ): void {
    const task: Task = { pid: null, ended: Promise.resolve() };
    this.#underWay.set(key, task);
    task.ended = this.#perform(task, work, session)
      .catch(failed)
      .catch(() => undefined)
      .finally(() => {
        this.#underWay.delete(key);
        this.#changed();
      });
  }

  async #perform(
    task: Task,
    work: (client: pg.Client, giveBack: () => void) => Promise<void>,
    from: 'new' | 'kept',
  ): Promise<void> {
    const session = await (from === 'kept' ? this.#kept.take() : openSession(this.#url));
    const given = { back: false };
    try {
      if (this.#cancelled) throw new Error('the worker is stopping');
      task.pid = session.pid;
      await work(session.client, () => {
        if (from === 'new' || given.back) return;
        given.back = true;
        task.pid = null;
        this.#kept.giveBack(session);
      });
    } finally {
      if (!given.back) await endSession(session);
    }
  }

  /** Resolves when all that is under way now has ended. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()].map((task) => task.ended));
  }

  /** Ends the sessions that wait for work. */
  async close(): Promise<void> {
    await this.#kept.close();
  }

  /** Cuts off the statements that are under way; nothing begins any more. */
  async cancel(control: pg.Client): Promise<void> {
    this.#cancelled = true;
    await asSessionRole(control, async (client) => {
      for (const { pid } of this.#underWay.values())
        await client.query('select pg_catalog.pg_cancel_backend($1)', [pid]);
    });
  }
}
