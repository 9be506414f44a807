/** Work under way, each on a connection of its own, so that the worker can wait for it or cut its statement off. */
import type pg from 'pg';
import { openSession } from './session.ts';

interface Task {
  /** The session that does the work; null before it is there. */
  pid: number | null;
  ended: Promise<void>;
}

export class Tasks {
  readonly #url: string | undefined;
  readonly #changed: () => void;
  readonly #underWay = new Map<string, Task>();
  #cancelled = false;

  /** `changed` is called at the end of each. */
  constructor(url: string | undefined, changed: () => void) {
    this.#url = url;
    this.#changed = changed;
  }

  has(key: string): boolean {
    return this.#underWay.has(key);
  }

  keys(): string[] {
    return [...this.#underWay.keys()];
  }

  /** Begins `work` as the owner of schema maint; what it, or the connecting, throws goes to `failed`. */
  start(
    key: string,
    work: (client: pg.Client) => Promise<void>,
    failed: (error: unknown) => void | Promise<void>,
  ): void {
    const task: Task = { pid: null, ended: Promise.resolve() };
    this.#underWay.set(key, task);
    task.ended = this.#perform(task, work)
      .catch(failed)
      .catch(() => undefined)
      .finally(() => {
        this.#underWay.delete(key);
        this.#changed();
      });
  }

  async #perform(task: Task, work: (client: pg.Client) => Promise<void>): Promise<void> {
    const { client, pid } = await openSession(this.#url);
    try {
      if (this.#cancelled) throw new Error('the worker is stopping');
      task.pid = pid;
      await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Resolves when all that is under way now has ended. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()].map((task) => task.ended));
  }

  /** Cuts off the statements that are under way; nothing begins any more. */
  async cancel(control: pg.ClientBase): Promise<void> {
    this.#cancelled = true;
    for (const { pid } of this.#underWay.values())
      await control.query('select pg_catalog.pg_cancel_backend($1)', [pid]);
  }
}
