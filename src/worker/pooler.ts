/**
 * Poolers that give each transaction another session of the server, as PgBouncer in transaction mode does. What is set, locked or
 * listened to in such a session stays there for other clients of the pool, and is missing in the next transaction.
 */
import pg from 'pg';
import { CouldNotRun, sqlstateOf } from './errors.ts';

/** How long a place stays known to keep sessions: a pooler can be set to another mode and reloaded. */
const knownForMs = 600_000;
/** How long to wait for a second session of the pool. */
const secondSessionMs = 5000;

const keepSessions = new Map<string, number>();

const wayOut =
  'connect to the server itself, or to a pool in session mode (PgBouncer: pool_mode = session for this database)';

/** The number of the server's process; nothing is set, and no name of the database is looked up. */
async function processOf(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}

/**
 * Throws CouldNotRun where the session of `client`, in which nothing has been set yet, is shared with other clients. A server
 * sends the number of its process when a client connects, and a pooler makes one up: only where they differ a second
 * connection is opened for a moment.
 */
export async function requireOwnSession(client: pg.Client, config: pg.ClientConfig): Promise<void> {
  const told = (client as pg.Client & { processID?: number | null }).processID;
  const pid = await processOf(client);
  if (told === pid) return;
  const place = JSON.stringify([config.host, config.port, config.database, config.user]);
  if (performance.now() < (keepSessions.get(place) ?? -Infinity)) return;
  if (await isShared(client, pid, config))
    throw new CouldNotRun(
      'this connection goes through a pooler that gives each transaction another session of the server',
      wayOut,
    );
  keepSessions.set(place, performance.now() + knownForMs);
}

/** Whether another client gets the same session, or this one another session, while both are connected. */
async function isShared(client: pg.Client, pid: number, config: pg.ClientConfig): Promise<boolean> {
  const other = new pg.Client({
    ...config,
    connectionTimeoutMillis: secondSessionMs,
    query_timeout: secondSessionMs,
  });
  other.on('error', () => undefined);
  try {
    await other.connect();
    await other.query('begin');
    if ((await processOf(other)) === pid) return true;
    return (await processOf(client)) !== pid;
  } catch (error) {
    // A shared session that is used would harm other clients of the pool; one that is refused too many harms nobody.
    if (sqlstateOf(error) !== null) throw error;
    throw new CouldNotRun(
      `this connection goes through a pooler, and it gave no second one within ${secondSessionMs / 1000} s: pg-maint cannot tell whether clients share its sessions`,
      wayOut,
      { cause: error },
    );
  } finally {
    await other.end().catch(() => undefined);
  }
}
