import pg from 'pg';
import {
  extensionSettings,
  pinSearchPath,
  sessionSettings,
  setConfigList,
  startProcedure,
} from '../core/pinned-settings.ts';
import { sqlstate } from '../core/sqlstate.ts';
import { CouldNotRun, messageOf, sqlstateOf } from './errors.ts';
import { requireOwnSession } from './pooler.ts';
import { clientTarget, resolveTarget } from './target/client-config.ts';
import type { Server } from './target/client-config.ts';

/** Servers that were found without TLS where it is only preferred: not asked again by this process while it goes without. */
const withoutTls = new Set<string>();

/**
 * Connects as psql would: `target` is a URL, keyword=value pairs or a database's name; what it leaves open, DATABASE_URL,
 * the connection service file, PGHOST, PGDATABASE and so on, and .pgpass say. Of several hosts the first that answers is
 * taken. Throws CouldNotRun.
 */
export async function connect(target: string | undefined): Promise<pg.Client> {
  const { servers, primaryOnly } = clientTarget(resolveTarget(target));
  const failures: unknown[] = [];
  for (const server of servers) {
    const client = await connectToServer(server, failures);
    if (client === null) continue;
    if (!primaryOnly || !(await isStandby(client))) return client;
    await client.end();
    failures.push(new Error(`${server.place} is a standby`));
  }
  throw cannotConnect(failures);
}

/** Null where every way failed; the failures are added to `failures`. */
async function connectToServer({ place, ways }: Server, failures: unknown[]): Promise<pg.Client | null> {
  const passedOver: pg.ClientConfig[] = [];
  for (const config of ways) {
    const secured = config.ssl !== false;
    if (secured && ways.length > 1 && withoutTls.has(place)) {
      passedOver.push(config);
      continue;
    }
    try {
      return await connectTo(config);
    } catch (error) {
      if (error instanceof CouldNotRun) throw error;
      failures.push(error);
      if (isUnreachable(error)) return null;
      if (secured && sqlstateOf(error) === null) withoutTls.add(place);
    }
  }
  if (passedOver.length === 0) return null;
  // It may have TLS since, and insist on it.
  withoutTls.delete(place);
  return await connectToServer({ place, ways: passedOver }, failures);
}

/** An error of the operating system, or of the time that is given to it: ECONNREFUSED, ENOTFOUND and the like. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isUnreachable);
  return error instanceof Error && 'syscall' in error;
}

/** Neither decides the owner of a database whose rights a superuser has in it: `alter database … set role`. */
const asLoggedIn = `
  select pg_catalog.set_config('role', 'none', false)
  from pg_catalog.pg_roles as r where r.rolname = session_user and r.rolsuper`;

/** In SQL_ASCII a name may be bytes that are no UTF-8: the server would send none of a row's, and U+FFFD stands for them here. */
const anyBytes = `
  select pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)
  where pg_catalog.getdatabaseencoding() = 'SQL_ASCII'`;

async function connectTo(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  // An error while no query is under way; the next query fails with it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await requireOwnSession(client, config);
    // First of all: with a search path of the database's owner, the next statement could call their functions as us.
    await client.query(`${pinSearchPath}; ${asLoggedIn}; ${anyBytes}`);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  return client;
}

async function isStandby(client: pg.Client): Promise<boolean> {
  const { standby } = await queryRow<{ standby: boolean }>(
    client,
    'select pg_catalog.pg_is_in_recovery() as standby',
  );
  return standby;
}

function cannotConnect(failures: readonly unknown[]): CouldNotRun {
  // What the server says counts for more than that there was no TLS to be had.
  const said = failures.filter((failure) => sqlstateOf(failure) !== null);
  const telling = said.length > 0 ? said : failures.slice(-1);
  return new CouldNotRun(
    `can't connect to PostgreSQL: ${[...new Set(telling.map(messageOf))].join('; ')}`,
    said.some((failure) => sqlstateOf(failure) === sqlstate.tooManyConnections)
      ? 'end sessions, or raise max_connections, or the connection limit of the role or database'
      : said.length === 0
        ? 'check host and port, or PGHOST and PGPORT, and that the server runs'
        : 'check user, password and database, or PGUSER, PGPASSWORD and PGDATABASE',
    { cause: telling.at(-1) },
  );
}

/** One statement, as a worker opens many connections and each statement costs an idle server something. */
export const settle = setConfigList(
  { ...sessionSettings, ...extensionSettings, ...startProcedure },
  'session',
);

/** Makes settings of the role, of the database or of the environment mean nothing in this session. */
export async function settleSession(client: pg.ClientBase): Promise<void> {
  await client.query(`select ${settle}`);
}

/** A connection with pinned settings. */
export async function withConnection<Result>(
  url: string | undefined,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(url);
  try {
    await settleSession(client);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs `work` in a transaction of its own; a failed one is rolled back, and with `takeBack` any. */
export async function inTransaction<Result>(
  client: pg.ClientBase,
  work: () => Promise<Result>,
  takeBack = false,
): Promise<Result> {
  await client.query('begin isolation level read committed read write');
  try {
    const result = await work();
    await client.query(takeBack ? 'rollback' : 'commit');
    return result;
  } catch (error) {
    // Where the connection is gone there is nothing to roll back, and the first error is the one to tell.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Ends the transaction that failed work may have left open; where there is none the server is told nothing it would warn of. */
export async function leaveTransaction(client: pg.Client): Promise<void> {
  try {
    // What a failed statement has left is known once the server is ready again.
    await client.query('');
    if (client.getTransactionStatus() !== 'I') await client.query('rollback');
  } catch {
    // The connection is gone, and its transaction with it; the first error is the one to tell.
  }
}

/** The first row of a query that always gives one. */
export async function queryRow<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  text: string,
  parameters: unknown[] = [],
): Promise<Row> {
  const [row] = (await client.query<Row>(text, parameters)).rows;
  if (row === undefined) throw new Error(`expected a row: ${text.trim().slice(0, 80)}`);
  return row;
}
