/**
 * A time limit that the code under it cannot catch. statement_timeout cancels, and PL/pgSQL catches a cancel; so another
 * session of the worker ends the whole session when the time is over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { sqlstate } from '../core/sqlstate.ts';
import { connect, inTransaction, queryRow, settleSession } from './connection.ts';
import { sqlstateOf } from './errors.ts';
import { endSession } from './session.ts';
import type { Onlooker } from './table-queue.ts';

export interface HardLimit {
  /** What the session does, for application_name: lower-case letters and spaces, as in "plans statements". */
  purpose: string;
  seconds: number;
  /** Where to connect as the same login role, if `onlooker` cannot end the session. */
  url: string | undefined;
  /** The worker's own connection, authenticated as the same role. */
  onlooker: Onlooker;
  /** Ends the session at once: the worker is stopping. */
  signal: AbortSignal;
}

/** The session was ended, with what ran in it. Its connection cannot be used any more. */
export class HardLimitReached extends Error {
  override readonly name = 'HardLimitReached';
  readonly sqlstate = sqlstate.hardLimitReached;
  readonly because: 'time' | 'stopping';
  /** False where the server's process did not end: something in it looks for no interrupts. */
  readonly ended: boolean;

  constructor(
    { purpose, seconds }: HardLimit,
    because: 'time' | 'stopping',
    ended: boolean,
    cause?: unknown,
  ) {
    const why = because === 'time' ? `it took longer than ${seconds} s` : 'the worker is stopping';
    super(`the session that ${purpose} was ended: ${why}${ended ? '' : '; its server process goes on'}`, {
      cause,
    });
    this.because = because;
    this.ended = ended;
  }
}

/** How long a server process may take to end before the worker stops waiting for it. */
const endingMs = 30_000;
const tryAgainMs = 1000;
/** The onlooker may be busy with another statement for longer than this; a connection of its own is made then. */
const onlookerMs = 2000;
/** Detects a worker that was killed. Shorter costs the server a system call per session more often. */
const checkClientMs = 2000;
/** After its limit, before another worker ends a session as left behind: the worker that owns it is about to. */
const leftoverSeconds = 15;

/** By process and start, as seconds since 1970: the number alone may belong to another session by now. */
interface Identity extends Record<string, unknown> {
  pid: number;
  started: string;
}

/**
 * The comment to put before a statement under a limit. pg_stat_activity shows it whatever the code under it sets, so that a
 * later worker finds the sessions of one that was killed.
 */
export function limitMark({ purpose, seconds }: Pick<HardLimit, 'purpose' | 'seconds'>): string {
  return `/* pg-maint ${purpose}, ended after ${Math.ceil(seconds)} s */ `;
}

/**
 * Runs `work` on `client`, on which no transaction is open. Throws HardLimitReached where it takes longer than the limit or
 * the signal fires; the connection is lost then. What `work` throws before that goes through.
 */
export async function underHardLimit<Value>(
  client: pg.Client,
  limit: HardLimit,
  work: () => Promise<Value>,
): Promise<Value> {
  const identity = await prepare(client, limit);
  const ending: { because: 'time' | 'stopping'; ended: Promise<boolean> }[] = [];
  const workEnded = new AbortController();
  let giveUp = (): void => undefined;
  const gaveUp = new Promise<undefined>((resolve) => {
    giveUp = () => {
      resolve(undefined);
    };
  });
  const end = (because: 'time' | 'stopping'): void => {
    if (ending.length > 0) return;
    const ended = endBackend(identity, limit);
    ending.push({ because, ended });
    void ended.then(() => {
      // Where the process goes on, or the network says nothing of its end, the query would wait for ever.
      if (!workEnded.signal.aborted) client.connection.stream.destroy();
      giveUp();
    });
  };
  const timer = setTimeout(() => {
    end('time');
  }, limit.seconds * 1000);
  const stop = (): void => {
    end('stopping');
  };
  limit.signal.addEventListener('abort', stop, { once: true });
  if (limit.signal.aborted) stop();
  const outcome = work().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const first = await Promise.race([outcome, gaveUp]);
  clearTimeout(timer);
  limit.signal.removeEventListener('abort', stop);
  workEnded.abort();
  const [begun] = ending;
  const error = first !== undefined && 'error' in first ? first.error : undefined;
  if (begun !== undefined) throw new HardLimitReached(limit, begun.because, await begun.ended, error);
  if (sqlstateOf(error) === sqlstate.transactionTimeout)
    throw new HardLimitReached(limit, 'time', true, error);
  if (first === undefined || 'error' in first) {
    // A process that has lost its connection may go on: it notices only when it sends something or is asked to look.
    if (client.connection.stream.destroyed) await endBackend(identity, limit);
    throw error;
  }
  await release(client);
  return first.value;
}

/** As the login role, for another may not see when the session began. */
async function prepare(client: pg.Client, { purpose, seconds }: HardLimit): Promise<Identity> {
  const identity = await inTransaction(client, async () => {
    await client.query('set local role none');
    return await queryRow<Identity>(
      client,
      `select a.pid, extract(epoch from a.backend_start)::text as started
       from pg_catalog.pg_stat_activity as a where a.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()`,
    );
  });
  await client.query(
    `select pg_catalog.set_config(s.name, w.value, false)
     from pg_catalog.json_each_text($1) as w (name, value)
     join pg_catalog.pg_settings as s on s.name operator(pg_catalog.=) w.name`,
    [
      JSON.stringify({
        application_name: `pg-maint ${purpose}`,
        // From version 17 on; ends the session, which nothing in it can catch. The margin lets the worker be first.
        transaction_timeout: `${Math.ceil(seconds) + 5}s`,
      }),
    ],
  );
  try {
    await client.query(`set client_connection_check_interval = ${checkClientMs}`);
  } catch (error) {
    // Not on every platform.
    if (sqlstateOf(error) !== sqlstate.invalidParameterValue) throw error;
  }
  return identity;
}

async function release(client: pg.Client): Promise<void> {
  await client.query('reset application_name; reset client_connection_check_interval');
  await client.query(
    `select pg_catalog.set_config(s.name, s.reset_val, false) from pg_catalog.pg_settings as s
     where s.name operator(pg_catalog.=) 'transaction_timeout'`,
  );
}

/** Terminates the process until it is gone. False where it still is there after a while. */
async function endBackend(identity: Identity, limit: HardLimit): Promise<boolean> {
  const until = performance.now() + endingMs;
  for (;;) {
    if ((await terminate(identity, limit)) === 'gone') return true;
    if (performance.now() >= until) return false;
    await sleep(tryAgainMs / 5);
  }
}

async function terminate(
  identity: Identity,
  { url, onlooker }: HardLimit,
): Promise<'gone' | 'told' | 'failed'> {
  const told = onlooker.use((client) => terminateBy(client, identity)).catch(() => 'failed' as const);
  const first = await Promise.race([told, sleep(onlookerMs, 'failed' as const, { ref: false })]);
  if (first !== 'failed') return first;
  try {
    const client = await connect(url);
    try {
      await settleSession(client);
      return await terminateBy(client, identity);
    } finally {
      await endSession({ client, pid: 0 });
    }
  } catch {
    // No connection is free, for one: tried again in a moment.
    await sleep(tryAgainMs);
    return 'failed';
  }
}

/** As the login role: the owner of schema maint may not terminate a session that authenticated as a superuser. */
async function terminateBy(client: pg.Client, { pid, started }: Identity): Promise<'gone' | 'told'> {
  return await inTransaction(client, async () => {
    await client.query('set local role none');
    const { rowCount } = await client.query(
      `with meant as materialized (
         select a.pid from pg_catalog.pg_stat_activity as a
         where a.pid = $1 and extract(epoch from a.backend_start)::text = $2)
       select pg_catalog.pg_terminate_backend(m.pid) from meant as m`,
      [pid, started],
    );
    return rowCount === 0 ? 'gone' : 'told';
  });
}

/**
 * Ends the sessions that a dead worker left behind: of the same login role in this database, with a statement under a limit
 * that is over. Returns how many. Call it at a worker's start and from time to time.
 */
export async function endLeftoverSessions(
  client: pg.Client,
  marginSeconds: number = leftoverSeconds,
): Promise<number> {
  return await inTransaction(client, async () => {
    await client.query('set local role none');
    const { rowCount } = await client.query(
      `with marked as materialized (
         select a.pid, a.query_start,
           pg_catalog.substring(a.query, '^/\\* pg-maint [a-z ]+, ended after ([0-9]{1,6}) s \\*/')::int as seconds
         from pg_catalog.pg_stat_activity as a
         where a.datname = pg_catalog.current_database() and a.usename = session_user and a.state <> 'idle'
           and a.pid <> pg_catalog.pg_backend_pid()
       ), meant as materialized (
         select m.pid from marked as m
         where m.query_start < pg_catalog.clock_timestamp() - (m.seconds + $1) * interval '1 s')
       select pg_catalog.pg_terminate_backend(m.pid) from meant as m`,
      [marginSeconds],
    );
    return rowCount ?? 0;
  });
}
