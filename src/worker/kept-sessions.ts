/**
 * Sessions that are used again for the same kind of work: opening one, and meeting each object of the catalog for the first
 * time, takes longer than many an action. One in which anything failed is never used again.
 */
import type pg from 'pg';
import { pinSearchPath } from '../core/pinned-settings.ts';
import { becomeOwner, endSession, openSession, settleAll } from './session.ts';
import type { Session, Settled } from './session.ts';

/** How long one waits for more work. Longer keeps connections that a server may be short of. */
const idleMs = 5000;
/** Its memory grows with each object that it has met. */
const longestLifeMs = 600_000;

interface Kept {
  session: Session;
  /** True once it is as new; false where it can't be, and was ended. */
  reset: Promise<boolean>;
  timer: NodeJS.Timeout;
}

export class KeptSessions {
  readonly #url: string | undefined;
  readonly #openedAt = new WeakMap<pg.Client, number>();
  readonly #kept = new Set<Kept>();
  #closed = false;

  constructor(url: string | undefined) {
    this.#url = url;
  }

  /** One that was given back, as new, or a new one. */
  async take(): Promise<Session> {
    for (const kept of this.#kept) {
      this.#forget(kept);
      if (await kept.reset) return kept.session;
    }
    const session = await openSession(this.#url);
    const { client } = session;
    this.#openedAt.set(client, performance.now());
    await client.query(keepPlans);
    prepareStatements(client);
    // Cut off by the server while nobody uses it.
    client.once('end', () => {
      for (const kept of this.#kept) if (kept.session === session) this.#forget(kept);
    });
    return session;
  }

  /** Keeps it for the next one; only where all that was done in it went well. */
  giveBack(session: Session): void {
    const openedAt = this.#openedAt.get(session.client) ?? -Infinity;
    if (this.#closed || performance.now() - openedAt > longestLifeMs) {
      void endSession(session);
      return;
    }
    const kept: Kept = {
      session,
      reset: renew(session),
      timer: setTimeout(() => {
        this.#forget(kept);
        void kept.reset.then(() => endSession(session));
      }, idleMs),
    };
    this.#kept.add(kept);
  }

  #forget(kept: Kept): void {
    clearTimeout(kept.timer);
    this.#kept.delete(kept);
  }

  /** Ends those that wait; none is kept from now on. */
  async close(): Promise<void> {
    this.#closed = true;
    const waiting = [...this.#kept];
    for (const kept of waiting) this.#forget(kept);
    await Promise.all(waiting.map(({ reset, session }) => reset.then(() => endSession(session))));
  }
}

/** The first plan of a statement is kept: what actions ask looks things up by a key, whatever that is. */
const keepPlans = 'set plan_cache_mode = force_generic_plan';

/** What `discard all` does, but for `deallocate all` and `discard plans`. */
const forget = `
  close all; set session authorization default; reset all; ${pinSearchPath}; unlisten *;
  select pg_catalog.pg_advisory_unlock_all(); discard temp; discard sequences`;

/**
 * Makes a session as if it had just been opened: nothing that was set, locked or made in it is left, only what the server
 * has prepared and planned. False where it can't be, and then it is ended: somebody has left a transaction open, it is lost,
 * or schema maint is gone.
 */
async function renew(session: Session): Promise<boolean> {
  try {
    const results = (await session.client.query(
      `${forget}; ${settleAll}; ${keepPlans}`,
    )) as unknown as pg.QueryResult<Settled>[];
    await becomeOwner(session.client);
    if (results.at(-2)?.rows[0]?.outside === true) return true;
  } catch {
    // Another one is opened in its place, and says what there is to say.
  }
  await endSession(session);
  return false;
}

/** More than the actions have. A statement that is another each time must not fill the server's memory. */
const mostStatements = 200;

/** Lets the server keep the plan of each statement of one text: planning what an action asks takes longer than answering it. */
function prepareStatements(client: pg.Client): void {
  const names = new Map<string, string>();
  const plain = client.query.bind(client) as (query: unknown, values?: unknown) => unknown;
  const query = (text: unknown, values?: unknown): unknown => {
    if (typeof text !== 'string' || !/^\s*(?:select|with|insert|update|delete)\b/.test(text))
      return plain(text, values);
    let name = names.get(text);
    if (name === undefined) {
      if (names.size >= mostStatements) return plain(text, values);
      name = `maint_${names.size}`;
      names.set(text, name);
    }
    return plain({ name, text, values });
  };
  client.query = query as typeof client.query;
}
