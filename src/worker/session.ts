/** Connections that the worker holds: as the role that owns schema maint, and with no setting of the role in the way. */
import pg from 'pg';
import { connect, queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';

/** Makes a session fit for long statements and for names that resolve in pg_catalog only. */
export async function settleSession(client: pg.ClientBase): Promise<void> {
  await client.query(`set default_transaction_read_only = off; set default_transaction_isolation = 'read committed';
    set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
    set idle_session_timeout = 0; set client_min_messages = warning; set search_path = pg_catalog, pg_temp`);
}

/** A connection with the rights of the owner of schema maint. Throws CouldNotRun where there is no such schema. */
export async function connectAsOwner(url: string | undefined): Promise<pg.Client> {
  const client = await connect(url);
  try {
    await settleSession(client);
    const { owner } = await queryRow<{ owner: string | null }>(
      client,
      `select (select pg_catalog.pg_get_userbyid(n.nspowner)::text
         from pg_catalog.pg_namespace as n where n.nspname = 'maint') as owner`,
    );
    if (owner === null)
      throw new CouldNotRun('pg-maint is not installed in this database', 'pg-maint install URL');
    await client.query(`set role ${pg.escapeIdentifier(owner)}`);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}
