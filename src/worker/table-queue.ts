/**
 * A concurrent build may have to wait long for transactions. With one lock_timeout for all of its waits it would stand as
 * long in the queue for a lock on its table, and whoever wants a lock that conflicts with it would queue behind it,
 * though the table is free for him. So somebody looks on, and calls it back from such a queue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { sqlstate } from '../core/sqlstate.ts';
import { asSessionRole } from './act-as.ts';
import { queryRow } from './connection.ts';
import { HeldUp, sqlstateOf } from './errors.ts';

/** A connection beside the one that acts, to the same server. */
export interface Onlooker {
  use<Value>(work: (client: pg.Client) => Promise<Value>): Promise<Value>;
}

/** Looks within the limit: it is called back at the last look before the limit is over. */
const looks = 4;

/** By process and beginning: the onlooker must not cancel another session that has got the number. */
interface Session extends Record<string, unknown> {
  pid: number;
  started: string;
}

/** Runs `work` on `client`; where that stands in the queue for a relation for longer than `limitMs`, it throws HeldUp. */
export async function outOfQueues<Value>(
  client: pg.Client,
  onlooker: Onlooker,
  limitMs: number,
  work: () => Promise<Value>,
): Promise<Value> {
  const session = await sessionOf(client);
  const over = new AbortController();
  const calledBack: string[] = [];
  const look = async (): Promise<void> => {
    const reason = await onlooker.use((other) =>
      asSessionRole(other, (client) => callBack(client, session, (limitMs * (looks - 1)) / looks)),
    );
    if (reason !== null) calledBack.push(reason);
  };
  // Where the onlooker's connection is lost the worker ends, and the build with it.
  const looking = again(look, limitMs / looks, over.signal).catch(() => undefined);
  try {
    return await work();
  } catch (error) {
    over.abort();
    // It is called back before the onlooker hears that it was.
    await looking;
    const [reason] = calledBack;
    if (reason !== undefined && sqlstateOf(error) === sqlstate.queryCanceled)
      throw new HeldUp(reason, { cause: error });
    throw error;
  } finally {
    over.abort();
    // A cancel that is on its way must not meet what comes next.
    await looking;
  }
}

const sessions = new WeakMap<pg.Client, Session>();

async function sessionOf(client: pg.Client): Promise<Session> {
  const known = sessions.get(client);
  if (known !== undefined) return known;
  const session = await queryRow<Session>(
    client,
    `select a.pid, a.backend_start::text as started
     from pg_catalog.pg_stat_activity as a where a.pid = pg_catalog.pg_backend_pid()`,
  );
  sessions.set(client, session);
  return session;
}

async function again(look: () => Promise<void>, pauseMs: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await look();
  }
}

/** Cancels the session's statement where it has waited this long for a relation. Returns who was in the way, in words. */
async function callBack(other: pg.ClientBase, session: Session, waitedMs: number): Promise<string | null> {
  const { rows } = await other.query<{ reason: string }>(
    // Materialized: among conditions the planner would choose the order, and cancel sessions that are not meant.
    `with waiting as materialized (
       select l.pid, pg_catalog.format('%s on %s is not to be had: held or wanted before by process %s', l.mode,
         l.relation::pg_catalog.regclass,
         pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(l.pid), ', ')) as reason
       from pg_catalog.pg_locks as l
       join pg_catalog.pg_stat_activity as a on a.pid = l.pid
       where l.pid = $1 and a.backend_start = $2::timestamptz and l.locktype = 'relation' and not l.granted
         and l.waitstart <= pg_catalog.clock_timestamp() - $3::float8 * interval '1 ms')
     select w.reason, pg_catalog.pg_cancel_backend(w.pid) as cancelled from waiting as w`,
    [session.pid, session.started, waitedMs],
  );
  return rows[0]?.reason ?? null;
}
