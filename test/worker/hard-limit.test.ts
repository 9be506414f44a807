/** A limit that PL/pgSQL cannot catch: the session is gone, whatever runs in it, and what is honest is not touched. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { connect, queryRow } from '../../src/worker/connection.ts';
import {
  endLeftoverSessions,
  HardLimitReached,
  limitMark,
  underHardLimit,
} from '../../src/worker/hard-limit.ts';
import type { HardLimit } from '../../src/worker/hard-limit.ts';
import { SharedSession } from '../../src/worker/shared-session.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';

/** Catches every cancel and goes on. */
const stubborn = `do $$ begin
    loop begin perform pg_sleep(3600); exception when query_canceled or others then null; end; end loop;
  end $$`;

interface Scene {
  database: TestDatabase;
  client: pg.Client;
  pid: number;
  limit: HardLimit;
}

async function scene(t: ExecutionContext, more: Partial<HardLimit> = {}): Promise<Scene> {
  const database = await createDatabase(t);
  const client = await connect(database.url);
  t.teardown(() => client.end().catch(() => undefined));
  const { pid } = await queryRow<{ pid: number }>(client, 'select pg_backend_pid() as pid');
  const limit: HardLimit = {
    purpose: 'tries a limit',
    seconds: 1,
    url: database.url,
    onlooker: new SharedSession(await database.client()),
    signal: new AbortController().signal,
    ...more,
  };
  return { database, client, pid, limit };
}

async function isThere(database: TestDatabase, pid: number): Promise<boolean> {
  return (await database.query('select from pg_stat_activity where pid = $1', [pid])).length > 0;
}

test('a session that catches cancels is ended by its limit, and is gone when the error is there', async (t) => {
  const { database, client, pid, limit } = await scene(t);
  const error = await t.throwsAsync(
    underHardLimit(client, limit, () => client.query(stubborn)),
    { instanceOf: HardLimitReached },
  );
  t.is(error.sqlstate, 'PM003');
  t.is(error.because, 'time');
  t.true(error.ended);
  t.false(await isThere(database, pid));
});

test('what is done in time gives its value, its errors go through, and the session is as before', async (t) => {
  const { client, pid, limit } = await scene(t, { seconds: 600 });
  const settings = `select pg_backend_pid() as pid, current_setting('application_name') as name,
    coalesce(current_setting('transaction_timeout', true), '0') as timeout`;
  const before = await queryRow(client, settings);
  t.deepEqual(await underHardLimit(client, limit, () => queryRow(client, 'select 7 as n')), { n: 7 });
  t.deepEqual(await queryRow(client, settings), before);
  await t.throwsAsync(
    underHardLimit(client, limit, () => client.query('select 1 / 0')),
    { code: '22012' },
  );
  t.is((await client.query<{ pid: number }>(settings)).rows[0]?.pid, pid);
});

test('a worker that stops ends the session at once', async (t) => {
  const stopping = new AbortController();
  const { database, client, pid, limit } = await scene(t, { seconds: 600, signal: stopping.signal });
  const work = underHardLimit(client, limit, () => client.query(stubborn));
  const ended = t.throwsAsync(work, { instanceOf: HardLimitReached });
  await waitForRow(database, `select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`, [pid]);
  stopping.abort();
  t.is((await ended).because, 'stopping');
  t.false(await isThere(database, pid));
});

test('where the worker has lost its own connection, another one ends the session', async (t) => {
  const { database, client, pid, limit } = await scene(t, {
    onlooker: { use: () => Promise.reject(new Error('Connection terminated')) },
  });
  await t.throwsAsync(
    underHardLimit(client, limit, () => client.query(stubborn)),
    { instanceOf: HardLimitReached },
  );
  t.false(await isThere(database, pid));
});

test('a later worker ends what a killed one left, whatever the code in it has set, and no session that is in time', async (t) => {
  const { database } = await scene(t);
  const start = async (seconds: number): Promise<number> => {
    const client = await database.client();
    const { pid } = await queryRow<{ pid: number }>(client, 'select pg_backend_pid() as pid');
    const mark = limitMark({ purpose: 'plans statements', seconds });
    void client
      .query(
        `${mark}do $$ begin
        perform set_config('application_name', 'psql', false), set_config('client_connection_check_interval', '0', false);
        loop begin perform pg_sleep(3600); exception when query_canceled or others then null; end; end loop;
      end $$`,
      )
      .catch(() => undefined);
    return pid;
  };
  const [over, inTime] = [await start(1), await start(3600)];
  const client = await connect(database.url);
  t.teardown(() => client.end());
  await waitForRow(
    database,
    `select from pg_stat_activity where pid = $1 and query_start < clock_timestamp() - interval '1.1 s'`,
    [over],
  );
  t.is(await endLeftoverSessions(client, 0), 1);
  await waitForRow(database, 'select where not exists (select from pg_stat_activity where pid = $1)', [over]);
  t.true(await isThere(database, inTime));
  await database.query('select pg_terminate_backend($1)', [inTime]);
});
