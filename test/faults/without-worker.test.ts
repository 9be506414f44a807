/** A worker was killed, and no other is there: the next run settles what it left `running`, and nothing is done twice. */
import { once } from 'node:events';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { queueAction, spawnWorker, startWorker } from '../support/worker.ts';

/** A rebuild that is under way while its worker, and then its session, is killed. Returns the action's number. */
async function cutOff(t: ExecutionContext, database: TestDatabase): Promise<number> {
  await database.query(`create table orders as select n as a, md5(n::text) as b from generate_series(1, 400000) as n;
    create index cut on orders (b)`);
  const [{ oid }] = (await database.query(`select 'cut'::regclass::oid::int8::float8 as oid`)) as [
    { oid: number },
  ];
  const worker = await spawnWorker(t, database);
  const id = await queueAction(database, 'reindex_index', {
    schema: 'public',
    table: 'orders',
    index: 'cut',
    oid,
  });
  await waitForRow(database, `select from pg_index where indrelid = 'orders'::regclass having count(*) = 2`);
  const ended = once(worker, 'exit');
  worker.kill('SIGKILL');
  await ended;
  await database.query(`select pg_terminate_backend(session_pid) from maint.action where action_id = ${id}`);
  await waitForRow(
    database,
    `select from maint.action where action_id = ${id} and not maint.session_alive(session_pid, session_started)`,
  );
  // As after the time in which it would have been heard of.
  await database.query(`update maint.worker set last_seen = last_seen - interval '5 minutes'`);
  return id;
}

async function statusOf(database: TestDatabase, id: number): Promise<unknown> {
  const [row] = await database.query(
    `select status, intent is not null as intended, outcome from maint.action where action_id = ${id}`,
  );
  return row;
}

test('a run gives back what was cut off, and the next worker cleans up and does it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const id = await cutOff(t, database);
  t.like(await statusOf(database, id), { status: 'running', intended: true });
  await run(database);
  t.like(await statusOf(database, id), {
    status: 'queued',
    intended: true,
    outcome: 'its worker ended while it was under way: the next one looks whether it was done',
  });
  startWorker(t, database);
  await waitForRow(database, `select from maint.action where action_id = ${id} and status = 'succeeded'`);
  t.deepEqual(
    await database.query(
      `select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indrelid = 'orders'::regclass`,
    ),
    [{ name: 'cut', valid: true }],
  );
});

test('what was done when its worker was killed is not done again', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const id = await cutOff(t, database);
  // As if the statement had come to its end just before.
  await database.query(`drop index if exists cut_ccnew`);
  await database.query(`reindex index concurrently cut`);
  const filenode = `select pg_relation_filenode('cut')::int8::float8 as node`;
  const before = await database.query(filenode);
  await run(database);
  t.like(await statusOf(database, id), { status: 'queued' });
  startWorker(t, database);
  await waitForRow(database, `select from maint.action where action_id = ${id} and finished_at is not null`);
  t.like(await statusOf(database, id), {
    status: 'succeeded',
    intended: false,
    outcome: 'rebuilt: found done after a crash',
  });
  t.deepEqual(await database.query(filenode), before);
});

test('while its session goes on, an action is left alone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table orders (a int); create index kept on orders (a)');
  const [{ oid }] = (await database.query(`select 'kept'::regclass::oid::int8::float8 as oid`)) as [
    { oid: number },
  ];
  const id = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 'orders',
    index: 'kept',
    oid,
  });
  await database.query(`update maint.action set status = 'running', worker_id = 'gone', session_pid = pg_backend_pid(),
    session_started = (select backend_start from pg_stat_activity where pid = pg_backend_pid())`);
  await run(database);
  t.like(await statusOf(database, id), { status: 'running' });
});
