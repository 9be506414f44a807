import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openSession, waitForState, waitUntilGone } from '../support/sessions.ts';
import type { TestSession } from '../support/sessions.ts';
import { ended, queueAction, startWorker } from '../support/worker.ts';

async function queued(database: TestDatabase, { pid }: TestSession, start?: string): Promise<number> {
  const [row] = await database.query<{ start: string }>(
    'select to_json(backend_start) as start from pg_stat_activity where pid = $1',
    [pid],
  );
  return await queueAction(database, 'terminate_backend', { pid, backend_start: start ?? row!.start });
}

const lock = 'select pg_advisory_lock(42)';

/** The database for a role that is no superuser. */
async function asPlainRole(t: ExecutionContext, database: TestDatabase): Promise<TestDatabase> {
  const role = `pool_${database.name}`;
  await database.query(`create role ${role} login`);
  const url = new URL(database.url);
  url.username = role;
  const clients: pg.Client[] = [];
  t.teardown(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
    await database.query(`drop role ${role}`);
  });
  const client = async (): Promise<pg.Client> => {
    const connected = new pg.Client(url.href);
    connected.on('error', () => undefined);
    clients.push(connected);
    await connected.connect();
    return connected;
  };
  return { ...database, client };
}

test('ends an idle session that holds an advisory lock: our own, or one that the settings name', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `select maint.configure('features.advisory_lock_cleanup.terminate_applications', '["pool*"]')`,
  );
  const ours = await openSession(database, 'pg-maint old', 'select pg_advisory_lock(1)');
  const named = await openSession(await asPlainRole(t, database), 'pool 7', lock);
  const superusers = await openSession(database, 'pool 8', 'select pg_advisory_lock(43)');
  const ids = [await queued(database, ours), await queued(database, named)];
  const notPermitted = await queued(database, superusers);
  startWorker(t, database);
  for (const id of ids) t.like(await ended(database, id), { status: 'succeeded', inverse: null });
  const { status, outcome } = await ended(database, notPermitted);
  t.is(status, 'skipped');
  t.regex(outcome ?? '', /session of postgres, and only a superuser/);
  await waitUntilGone(database, ours.pid);
  await waitUntilGone(database, named.pid);
});

test('leaves alone who is of another application, holds nothing, is at work, or is another session', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const theirs = await openSession(database, 'billing', lock);
  const free = await openSession(database, 'pg-maint free');
  const other = await openSession(database, 'pg-maint other', 'select pg_advisory_lock(2)');
  const busy = await openSession(database, 'pg-maint busy', 'select pg_advisory_lock(3)');
  const working = busy.client.query('select pg_sleep(60)').catch(() => undefined);
  await waitForState(database, busy.pid, 'active');
  const cases = [
    [await queued(database, theirs), /no setting names/],
    [await queued(database, free), /holds no advisory lock/],
    [await queued(database, other, '2020-01-01T00:00:00Z'), /has ended/],
    [await queued(database, busy), /at work again/],
  ] as const;
  startWorker(t, database);
  for (const [id, outcome] of cases) {
    const record = await ended(database, id);
    t.is(record.status, 'expired');
    t.regex(record.outcome ?? '', outcome);
  }
  const alive = await database.query('select from pg_stat_activity where pid = any ($1)', [
    [theirs.pid, free.pid, other.pid, busy.pid],
  ]);
  t.is(alive.length, 4);
  await database.query('select pg_cancel_backend($1)', [busy.pid]);
  await working;
});
