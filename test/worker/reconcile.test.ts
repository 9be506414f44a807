import { once } from 'node:events';
import test from 'ava';
import { reconcile } from '../../src/worker/reconcile.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { openTransaction, run, waitForRow } from '../support/maintenance.ts';
import {
  actionRecord,
  ended,
  oidOf,
  queueAction,
  spawnWorker,
  startWorker,
  waitingFor,
} from '../support/worker.ts';

const running = `select from maint.action where status = 'running' and intent is not null`;

async function names(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ relname: string }>(
    `select relname from pg_index join pg_class c on c.oid = indexrelid where indrelid = 't'::regclass order by 1`,
  );
  return rows.map(({ relname }) => relname);
}

/** Young enough for the action to begin, and in its way until it ends. */
async function writer(database: TestDatabase): Promise<{ end(): Promise<void> }> {
  return await openTransaction(database, 'insert into public.t values (7)');
}

async function prepare(database: TestDatabase): Promise<number> {
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await database.query('create table public.t (a int); create index i on public.t (a)');
  return await oidOf(database, 'public', 'i');
}

test('a worker killed in a drop: its session ends it, and the next worker finds it done', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const oid = await prepare(database);
  const holder = await writer(database);
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const worker = await spawnWorker(t, database);
  await waitForRow(database, running);
  await waitForRow(database, waitingFor('^drop index'));
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  startWorker(t, database);
  // The statement goes on in the session of the dead worker, so nobody else begins.
  await database.query('select pg_sleep(1)');
  t.is((await actionRecord(database, id)).status, 'running');
  await holder.end();
  const record = await ended(database, id);
  t.is(record.status, 'succeeded');
  t.regex(record.outcome!, /found done after a crash/);
  t.is(record.attempts, 1);
  t.deepEqual(await names(database), []);
});

for (const kind of ['create_index', 'reindex_index'] as const) {
  test(`worker and session of a ${kind} killed: the leftover goes, and it is done once`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    const oid = await prepare(database);
    const holder = await writer(database);
    const id =
      kind === 'create_index'
        ? await queueAction(database, kind, {
            schema: 'public',
            table: 't',
            oid: await oidOf(database, 'public', 't'),
            index: 'j',
            statement: 'create index concurrently j on public.t (a)',
          })
        : await queueAction(database, kind, { schema: 'public', table: 't', index: 'i', oid });
    const worker = await spawnWorker(t, database);
    const [word] = kind.split('_');
    const waiting = waitingFor(`(?i)^${word!} index`);
    await waitForRow(database, waiting);
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await database.query(`select pg_terminate_backend(pid) from (${waiting}) as w`);
    await waitForRow(database, `select where not exists (${waiting})`);
    t.is((await names(database)).length, 2);
    await holder.end();
    startWorker(t, database);
    const record = await ended(database, id);
    t.is(record.status, 'succeeded', record.outcome!);
    t.is(record.attempts, 2);
    t.deepEqual(await names(database), kind === 'create_index' ? ['i', 'j'] : ['i']);
    t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
  });
}

test('a session that ends in an action is noticed by the worker itself', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const oid = await prepare(database);
  const holder = await writer(database);
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  startWorker(t, database);
  const waiting = waitingFor('^drop index');
  await waitForRow(database, waiting);
  await database.query(`select pg_terminate_backend(pid) from (${waiting}) as w`);
  await holder.end();
  t.is((await ended(database, id)).status, 'succeeded');
  t.deepEqual(await names(database), []);
});

test('an action that has lost its job, or was queued before there was a queue, gets one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('drop schema maint_boss cascade');
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  const result = await run(database, { only: ['invalid_indexes'] });
  t.is(result.status, 'success');
  startWorker(t, database);
  t.is((await ended(database, 1)).status, 'succeeded');
});

test('a job whose worker was killed before it claimed is given to another', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  await run(database, { only: ['invalid_indexes'] });
  await database.query(
    `update maint_boss.job set state = 'active', started_on = now() - interval '1 minute',
       heartbeat_on = now() - interval '1 minute' where name = 'maint_action'`,
  );
  startWorker(t, database);
  t.is((await ended(database, 1)).status, 'succeeded');
});

test('an action gets no new job while the dead letter of its last one waits, and fails by that', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  await run(database, { only: ['invalid_indexes'] });
  // As pg-boss does it: in one statement the job fails and its letter is there.
  await database.query(
    `with given_up as (
       update maint_boss.job set state = 'failed' where name = 'maint_action' returning data
     )
     insert into maint_boss.job (name, data, source_name) select 'maint_dead', g.data, 'maint_action' from given_up as g`,
  );
  await reconcile(await database.client());
  t.deepEqual(
    await database.query(
      `select name, state from maint_boss.job where name ~ '^maint_(action|dead)$' order by name`,
    ),
    [
      { name: 'maint_action', state: 'failed' },
      { name: 'maint_dead', state: 'created' },
    ],
  );
  startWorker(t, database);
  t.is((await ended(database, 1)).status, 'failed');
});
