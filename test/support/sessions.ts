/** Real sessions that hold, wait, sleep or idle, for the steps that look at them. */
import { randomBytes } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { createDatabase, urlOf } from './database.ts';
import type { TestDatabase } from './database.ts';
import { waitForRow } from './maintenance.ts';
import type { RunResult, UnderWay } from './maintenance.ts';
import { runOverConnection } from '../../src/worker/host.ts';

export interface TestSession {
  client: pg.Client;
  pid: number;
}

/** A connected session under a name of its own; statements given are run. */
export async function openSession(
  database: TestDatabase,
  application: string,
  ...statements: string[]
): Promise<TestSession> {
  const client = await database.client();
  await client.query(`set application_name = ${pg.escapeLiteral(application)}`);
  const { rows } = await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  for (const statement of statements) await client.query(statement);
  return { client, pid: rows[0]!.pid };
}

/** Starts a statement that does not end by itself. */
export function under({ client, pid }: TestSession, text: string): UnderWay {
  const ended = client.query(text).then(
    () => null,
    (error: unknown) => error as Error,
  );
  return { pid, ended };
}

/** Waits until the server shows the session in this state, for at least so many seconds. */
export async function waitForState(
  database: TestDatabase,
  pid: number,
  state: string,
  seconds = 0,
): Promise<void> {
  await waitForRow(
    database,
    `select from pg_catalog.pg_stat_activity where pid = $1 and state = $2
       and pg_catalog.clock_timestamp() - state_change >= pg_catalog.make_interval(secs => $3)`,
    [pid, state, seconds],
  );
}

export async function waitUntilGone(database: TestDatabase, pid: number): Promise<void> {
  await waitForRow(
    database,
    'select where not exists (select from pg_catalog.pg_stat_activity where pid = $1)',
    [pid],
  );
}

/** A prepared transaction, rolled back when the test ends: no database with one can be dropped. */
export async function prepareTransaction(
  t: ExecutionContext,
  database: TestDatabase,
  gid: string,
  ...statements: string[]
): Promise<void> {
  const client = await database.client();
  await client.query('begin');
  for (const statement of statements) await client.query(statement);
  await client.query(`prepare transaction ${pg.escapeLiteral(gid)}`);
  t.teardown(async () => {
    const left = await database.query(
      'select from pg_catalog.pg_prepared_xacts where gid = $1 and database = pg_catalog.current_database()',
      [gid],
    );
    if (left.length > 0) await database.query(`rollback prepared ${pg.escapeLiteral(gid)}`);
  });
}

/** An installation that belongs to a role with no rights but that, and its runs. */
export async function unprivilegedInstallation(
  t: ExecutionContext,
): Promise<{ database: TestDatabase; owner: string; run(only: string[]): Promise<RunResult> }> {
  const database = await createDatabase(t);
  const owner = `plain_${randomBytes(6).toString('hex')}`;
  await database.query(`create role ${owner} login`);
  t.teardown(async () => {
    await database.query(
      `reassign owned by ${owner} to postgres; drop owned by ${owner}; drop role ${owner}`,
    );
  });
  await database.query(`grant create on database ${pg.escapeIdentifier(database.name)} to ${owner}`);
  const url = new URL(urlOf(database.name));
  url.username = owner;
  const { install } = await import('../../src/worker/install.ts');
  await install(url.href);
  const asOwner = new pg.Client({ connectionString: url.href, application_name: 'test' });
  await asOwner.connect();
  t.teardown(() => asOwner.end());
  return {
    database,
    owner,
    // Installed by no superuser, its engine is the worker.
    async run(only) {
      return (await runOverConnection(asOwner, { force: true, only })) as unknown as RunResult;
    },
  };
}
