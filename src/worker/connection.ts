import pg from 'pg';
import { CouldNotRun, messageOf, sqlstateOf } from './errors.ts';

/** Takes part in every advisory lock of pg-maint, as its first key. */
export const lockClass = 1_835_100_526;
/** Held by a run to the end of its transaction: the same numbers as in maint.start_run. */
export const runLock = 1;
/** Held by install and uninstall to the end of their transaction. */
export const installLock = 2;

/** Without a URL, DATABASE_URL or the variables PGHOST, PGDATABASE and so on say where. */
export async function connect(url: string | undefined): Promise<pg.Client> {
  const target = url ?? process.env['DATABASE_URL'];
  let client: pg.Client;
  try {
    client = new pg.Client({
      ...(target !== undefined && target !== '' && { connectionString: target }),
      application_name: 'pg-maint',
      connectionTimeoutMillis: 15_000,
      keepAlive: true,
    });
  } catch (error) {
    throw new CouldNotRun(
      `not a database URL: ${messageOf(error)}`,
      'give one such as postgresql://user@host:5432/database',
      { cause: error },
    );
  }
  // An error while no query is under way; the next query fails with it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new CouldNotRun(
      `can't connect to PostgreSQL: ${messageOf(error)}`,
      sqlstateOf(error) === null
        ? 'check host and port of the URL, or PGHOST and PGPORT, and that the server runs'
        : 'check user, password and database of the URL, or PGUSER, PGPASSWORD and PGDATABASE',
      { cause: error },
    );
  }
  return client;
}

export async function withConnection<Result>(
  url: string | undefined,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(url);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs `work` in a transaction of its own; a failed one is rolled back. */
export async function inTransaction<Result>(
  client: pg.ClientBase,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('begin isolation level read committed read write');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    // Where the connection is gone there is nothing to roll back, and the first error is the one to tell.
    await client.query('rollback').catch(() => undefined);
    throw error;
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
