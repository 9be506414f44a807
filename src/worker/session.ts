/** Connections that the worker holds: as the role that owns schema maint, and with no setting of the role in the way. */
import type pg from 'pg';
import { connect, settle } from './connection.ts';
import { CouldNotRun } from './errors.ts';

export interface Settled {
  pid: number;
  /** No transaction was open before this statement. */
  outside: boolean;
}

/** No row where there is no schema maint. */
export const settleAsOwner = `
  select pg_catalog.pg_backend_pid() as pid,
    pg_catalog.transaction_timestamp() = pg_catalog.statement_timestamp() as outside, ${settle},
    pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(n.nspowner)::text, false)
  from pg_catalog.pg_namespace as n where n.nspname = 'maint'`;

/** A connection with the rights of the owner of schema maint. Throws CouldNotRun where there is no such schema. */
export async function connectAsOwner(url: string | undefined): Promise<pg.Client> {
  return (await openSession(url)).client;
}

/** A connection, with the number of the server's process. */
export interface Session {
  client: pg.Client;
  pid: number;
}

/** The same as connectAsOwner. */
export async function openSession(url: string | undefined): Promise<Session> {
  const client = await connect(url);
  try {
    const [row] = (await client.query<Settled>(settleAsOwner)).rows;
    if (row === undefined)
      throw new CouldNotRun('pg-maint is not installed in this database', 'pg-maint install URL');
    return { client, pid: row.pid };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

export async function endSession({ client }: Session): Promise<void> {
  await client.end().catch(() => undefined);
}
