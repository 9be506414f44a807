import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTransaction, waitForRow } from '../support/maintenance.ts';
import { ended, oidOf, queueAction, runInverse, startWorker } from '../support/worker.ts';

async function create(database: TestDatabase, index: string, statement: string): Promise<number> {
  const oid = await oidOf(database, 'public', 't');
  return await queueAction(database, 'create_index', { schema: 'public', table: 't', oid, index, statement });
}

test('an index is built, and the inverse drops it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t as select g as a from generate_series(1, 1000) g');
  startWorker(t, database);
  const id = await create(database, 'N w', 'create index concurrently "N w" on public.t (a)');
  const record = await ended(database, id);
  t.is(record.status, 'succeeded', record.outcome!);
  t.true(record.size_after! > 0);
  await runInverse(database, record.inverse);
  t.is((await database.query(`select from pg_index where indrelid = 't'::regclass`)).length, 0);
});

test('a build that fails leaves nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int); insert into public.t values (1), (1)');
  startWorker(t, database);
  const id = await create(database, 'u', 'create unique index concurrently u on public.t (a)');
  const record = await ended(database, id);
  t.is(record.status, 'failed');
  t.is(record.error!['sqlstate'], '23505');
  t.is(record.attempts, 1);
  t.regex(record.outcome!, /removed public\.u/);
  t.is((await database.query(`select from pg_index where indrelid = 't'::regclass`)).length, 0);
});

test('a taken name, a vanished table and any other statement are refused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int); create index taken on public.t (a)');
  startWorker(t, database);
  const taken = await create(database, 'taken', 'create index concurrently taken on public.t (a)');
  t.is((await ended(database, taken)).status, 'expired');
  const other = await create(database, 'x', 'drop table public.t');
  t.is((await ended(database, other)).status, 'skipped');
  const two = await create(database, 'y', 'create index concurrently y on public.t (a); drop table public.t');
  t.is((await ended(database, two)).status, 'failed');
  t.is((await database.query(`select from pg_index where indrelid = 't'::regclass`)).length, 1);
  const gone = { schema: 'public', table: 't', oid: 1, index: 'z', statement: 'create index concurrently z' };
  const vanished = await queueAction(database, 'create_index', {
    ...gone,
    statement: `${gone.statement} on t (a)`,
  });
  t.is((await ended(database, vanished)).status, 'expired');
});

test('it waits for an old writer before it begins, not in the build', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '100')`);
  await database.query('create table public.t (a int)');
  const writer = await openTransaction(database, 'insert into public.t values (1)');
  await database.query('select pg_sleep(0.2)');
  startWorker(t, database);
  const id = await create(database, 'i', 'create index concurrently i on public.t (a)');
  await waitForRow(database, `select from maint.action where status = 'running'`);
  await database.query('select pg_sleep(0.3)');
  t.is((await database.query(`select from pg_class where relname = 'i'`)).length, 0);
  await writer.end();
  t.is((await ended(database, id)).status, 'succeeded');
});

test('an index comes back as it was, also when what belongs to it has to wait', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '100')`);
  await database.query('create table public.t (a int not null); create unique index i on public.t (a)');
  await database.query(`comment on index i is 'mine'; alter table public.t replica identity using index i`);
  const reader = await openTransaction(database, 'select * from public.t');
  startWorker(t, database);
  const id = await queueAction(
    database,
    'create_index',
    {
      schema: 'public',
      table: 't',
      oid: await oidOf(database, 'public', 't'),
      index: 'j',
      statement: 'CREATE UNIQUE INDEX CONCURRENTLY j ON public.t USING btree (a)',
    },
    {
      settings: { default_tablespace: '' },
      afterwards: [
        `COMMENT ON INDEX public.j IS 'again'`,
        'ALTER TABLE public.t REPLICA IDENTITY USING INDEX j',
      ],
    },
  );
  await waitForRow(database, `select from maint.safeguard_event where event = 'lock_timeout'`);
  await reader.end();
  const record = await ended(database, id);
  t.is(record.status, 'succeeded', record.outcome!);
  const rows = await database.query(
    `select obj_description(indexrelid) as said from pg_index where indrelid = 't'::regclass and indisreplident`,
  );
  t.deepEqual(rows, [{ said: 'again' }]);
});
