/** Connections that the worker holds: as the role that owns schema maint, and with no setting of the role in the way. */
import type pg from 'pg';
import { connect, queryRow, settle } from './connection.ts';
import { CouldNotRun } from './errors.ts';
import { requireTrust } from './trust.ts';

export interface Settled {
  pid: number;
  /** No transaction was open before this statement. */
  outside: boolean;
}

/** As the role that has logged in. By itself, before the names in another statement are looked up. */
export const settleAll = `
  select pg_catalog.pg_backend_pid() as pid,
    pg_catalog.transaction_timestamp() = pg_catalog.statement_timestamp() as outside, ${settle}`;

/** Sets the role that owns schema maint, if its code may be called from this session. Throws CouldNotRun. */
export async function becomeOwner(client: pg.ClientBase): Promise<void> {
  const { owner } = await requireTrust(client);
  if (owner === null)
    throw new CouldNotRun('pg-maint is not installed in this database', 'pg-maint install URL');
  await client.query(`select pg_catalog.set_config('role', $1, false)`, [owner]);
}

/** A connection with the rights of the owner of schema maint. Throws CouldNotRun where there is none, or it is not trusted. */
export async function connectAsOwner(url: string | undefined): Promise<pg.Client> {
  return (await openSession(url)).client;
}

/**
 * Assignments for an UPDATE of a row that this session claims: while the session is there (maint.session_alive) no other one
 * takes the row, also if the worker was killed. Not an advisory lock, which any role could take.
 */
export const claimedHere = `session_pid = pg_catalog.pg_backend_pid(), session_started = (
  select s.backend_start from pg_catalog.pg_stat_activity as s where s.pid = pg_catalog.pg_backend_pid())`;

/** A connection, with the number of the server's process. */
export interface Session {
  client: pg.Client;
  pid: number;
}

/** The same as connectAsOwner. */
export async function openSession(url: string | undefined): Promise<Session> {
  const client = await connect(url);
  try {
    const { pid } = await queryRow<Settled & pg.QueryResultRow>(client, settleAll);
    await becomeOwner(client);
    return { client, pid };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

export async function endSession({ client }: Session): Promise<void> {
  await client.end().catch(() => undefined);
}
