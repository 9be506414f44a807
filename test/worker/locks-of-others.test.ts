/** Another role that may only connect cannot stop runs, actions, periodic tasks or a worker's start by holding locks. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run, waitForRow } from '../support/maintenance.ts';
import { ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

const lockClass = 1_835_100_526;

/** A session of a role without rights that holds every advisory lock that pg-maint has ever used. */
async function holdAll(t: ExecutionContext, database: TestDatabase): Promise<pg.Client> {
  const role = `evil_${randomBytes(6).toString('hex')}`;
  await database.query(`create role ${role} login`);
  const url = new URL(database.url);
  url.username = role;
  const client = new pg.Client({ connectionString: url.href, application_name: 'app' });
  client.on('error', () => undefined);
  await client.connect();
  t.teardown(async () => {
    await client.end();
    await database.query(`drop owned by ${role}; drop role ${role}`);
  });
  await client.query('begin');
  await client.query(
    `select pg_advisory_lock($1, n) from generate_series(1, 20) as n
     union all select pg_advisory_lock($1, 1000 + n) from generate_series(1, 50) as n
     union all
     select pg_advisory_lock($1, -1 - (hashtext('chore ' || name) & 1073741823))
     from unnest('{"forget old","query history","parse statements","post alerts"}'::text[]) as name`,
    [lockClass],
  );
  return client;
}

test('a role that may only connect stops nothing with advisory locks, and is reported', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await holdAll(t, database);
  await database.query(`select maint.configure('features.advisory_lock_cleanup.stale_after', '0')`);
  await database.query('create table t (a int); create index i on t (a)');
  t.not((await run(database, { only: ['stale_advisory_locks', 'workload_analysis'] })).status, 'skipped');
  await run(database, { only: ['stale_advisory_locks'] });
  const found = await openFindings(database, 'lock.stale_advisory');
  t.true(found.some(({ detail }) => JSON.stringify(detail).includes(String(lockClass))));

  const oid = await oidOf(database, 'public', 'i');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const worker = startWorker(t, database);
  t.is((await ended(database, id)).status, 'succeeded');
  await waitForRow(database, `select from maint.chore where name = 'forget old' and finished_at is not null`);
  t.regex(worker.log.join('\n'), /role evil_.*passed over/);
  await worker.stop();
  t.like(await install(database.url), { outcome: 'already_installed' });
});

test('a run says who is running, and a worker that waits for an installation says so and stops at once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await database.client();
  await other.query(
    `set application_name = 'their run'; begin; select from maint.lock where name = 'run' for update`,
  );
  const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid');
  const [skipped] = await database.query<{ result: { reason: string; detail: string } }>(
    'select maint.run(true) as result',
  );
  t.is(skipped!.result.reason, 'already_running');
  t.regex(
    skipped!.result.detail,
    new RegExp(`process ${rows[0]!.pid} \\(role .*, application 'their run'\\)`),
  );
  await other.query('commit; begin; select pg_advisory_xact_lock($1, 2)'.replace('$1', String(lockClass)));
  const worker = startWorker(t, database);
  const said = /waiting for process .*'their run'/;
  const until = Date.now() + 20_000;
  while (!said.test(worker.log.join('\n')) && Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 50));
  t.regex(worker.log.join('\n'), said);
  await worker.stop();
  t.pass('it stops while the lock is still held');
  await other.query('rollback');
});

test('a session that is there keeps its action; one that is gone does not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int); create index i on t (a)');
  const oid = await oidOf(database, 'public', 'i');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const holder = await database.client();
  await holder.query(
    `update maint.action set status = 'running', session_pid = pg_backend_pid(), session_started = (
       select backend_start from pg_stat_activity where pid = pg_backend_pid()) where action_id = $1`,
    [id],
  );
  const first = startWorker(t, database);
  await waitForRow(database, `select from maint.chore where name = 'forget old' and finished_at is not null`);
  const [row] = await database.query<{ status: string }>(
    'select status from maint.action where action_id = $1',
    [id],
  );
  t.is(row!.status, 'running');
  await holder.end();
  await first.stop();
  startWorker(t, database);
  t.is((await ended(database, id)).status, 'succeeded');
});
