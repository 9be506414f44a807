import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import { makeInvalidIndex, makeTable } from '../support/broken-indexes.ts';
import { openTransaction, run, waitForRow } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import {
  actionRecord,
  ended,
  oidOf,
  queueAction,
  runInverse,
  startWorker,
  waitingFor,
} from '../support/worker.ts';

const { escapeIdentifier: quote } = pg;

async function invalidIndexes(database: {
  query(text: string): Promise<pg.QueryResultRow[]>;
}): Promise<number> {
  return (await database.query('select from pg_index where not indisvalid')).length;
}

test('a run queues, the worker drops, the result counts what is done', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = hostileNames.slice(0, 6).map((name) => ({ schema: name, table: name, index: `${name}.` }));
  for (const name of names) await makeInvalidIndex(database, name);
  await makeTable(database, { schema: 'public', table: 'kept', index: '' });
  await database.query('create index kept_idx on kept (a)');
  const before = await run(database, { only: ['invalid_indexes'] });
  t.is(before.cleanup['invalid_indexes'], 0);
  t.is(before.cleanup['invalid_indexes_queued'], names.length);

  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.action having count(*) filter (where status = 'succeeded') = ${names.length}`,
  );
  const [row] = await database.query<{ result: typeof before }>('select maint.result($1) as result', [
    before.run_id,
  ]);
  t.is(row!.result.cleanup['invalid_indexes'], names.length);
  t.is(row!.result.cleanup['invalid_indexes_queued'], 0);
  t.is(await invalidIndexes(database), 0);
  t.is((await database.query("select from pg_class where relname = 'kept_idx'")).length, 1);
});

test('what is not the same index any more is left alone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int, b int)');
  await database.query('create index replaced on public.t (a); create index renamed on public.t (a)');
  await database.query('create index redefined on public.t (a)');
  const target = async (index: string): Promise<Parameters<typeof queueAction<'drop_index'>>[2]> => ({
    schema: 'public',
    table: 't',
    index,
    oid: await oidOf(database, 'public', index),
  });
  const definition = 'CREATE INDEX redefined ON public.t USING btree (b)';
  const ids = [
    await queueAction(database, 'drop_index', await target('replaced')),
    await queueAction(database, 'drop_index', await target('renamed')),
    await queueAction(database, 'drop_index', await target('redefined'), { definition }),
  ];
  await database.query('drop index replaced; create index replaced on public.t (b)');
  await database.query('alter index renamed rename to other');
  startWorker(t, database);
  for (const id of ids) t.is((await ended(database, id)).status, 'expired');
  const [row] = await database.query(
    `select count(*)::int as left from pg_index where indrelid = 't'::regclass`,
  );
  t.is(row!['left'], 3);
});

test('an index that a constraint needs is kept', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int primary key)');
  const oid = await oidOf(database, 'public', 't_pkey');
  const id = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 't',
    index: 't_pkey',
    oid,
  });
  startWorker(t, database);
  const record = await ended(database, id);
  t.is(record.status, 'skipped');
  t.regex(record.outcome!, /constraint t_pkey/);
});

test('one that has become valid again is not dropped for being invalid', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const name = { schema: 'public', table: 't', index: 'i' };
  await makeInvalidIndex(database, name);
  await run(database, { only: ['invalid_indexes'] });
  await database.query('delete from t where b = $1', ['y']);
  // By hand what reindex does, with the oid it has.
  await database.query('reindex index i');
  startWorker(t, database);
  t.is((await ended(database, 1)).status, 'expired');
  t.is((await database.query("select from pg_class where relname = 'i'")).length, 1);
});

test('a table with a long reader is waited for, and nobody queues behind the wait', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '100')`);
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  const reader = await openTransaction(database, 'select * from t');
  await database.query('select pg_sleep(0.2)');
  await run(database, { only: ['invalid_indexes'] });
  startWorker(t, database);
  await waitForRow(database, `select from maint.action where status = 'running'`);
  await database.query(`set lock_timeout = '1s'`);
  await database.query('insert into t values (9)');
  t.is((await actionRecord(database, 1)).status, 'running');
  t.is(await invalidIndexes(database), 1);
  await reader.end();
  t.is((await ended(database, 1)).status, 'succeeded');
});

test('an action that others hold up for too long is skipped with the reason', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '100'),
    maint.configure('operational.worker.wait_for_transactions', '0'),
    maint.configure('operational.worker.patience', '1')`);
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  const reader = await openTransaction(database, 'select * from t');
  await run(database, { only: ['invalid_indexes'] });
  await database.query(`update maint.action set queued_at = queued_at - interval '1 hour'`);
  await database.query('select pg_sleep(0.2)');
  startWorker(t, database);
  const record = await ended(database, 1);
  t.is(record.status, 'skipped');
  t.regex(record.outcome!, /process \d+ .*uses the table/);
  t.is(await invalidIndexes(database), 1);
  await reader.end();
});

test('the inverse brings back all that was set on the index', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const name = hostileNames[8]!;
  const index = quote(name);
  await database.query(`create table public.t (a int not null, b text);
    create index ${index} on public.t ((a + 1), b) with (fillfactor = 70) where a > 3;
    alter index ${index} alter column 1 set statistics 77;
    create index c on public.t (a);
    cluster public.t using c;`);
  await database.query(`comment on index ${index} is 'it''s mine'; comment on index c is 'c'`);
  const state = `select c.relname, pg_get_indexdef(c.oid), obj_description(c.oid), c.reloptions, x.indisclustered,
      array(select attstattarget::int from pg_attribute where attrelid = c.oid order by attnum)
    from pg_index x join pg_class c on c.oid = x.indexrelid where x.indrelid = 't'::regclass order by 1`;
  const before = await database.query(state);
  startWorker(t, database);
  for (const each of [name, 'c']) {
    const oid = await oidOf(database, 'public', each);
    const target = { schema: 'public', table: 't', index: each, oid };
    const record = await ended(database, await queueAction(database, 'drop_index', target));
    t.is(record.status, 'succeeded');
    t.true(record.size_before! > 0);
    t.is(record.size_after, 0);
    await runInverse(database, record.inverse);
  }
  t.deepEqual(await database.query(state), before);
});

test('an index that somebody else drops while the statement waits is gone, which is no failure', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await database.query('create table t (a int); create index i on t (a)');
  const oid = await oidOf(database, 'public', 'i');
  // In the way of the statement, and of no probe.
  const other = await openTransaction(database, 'lock table t in share update exclusive mode');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  startWorker(t, database);
  await waitForRow(database, waitingFor('^lock table only public.t'));
  await other.client.query('drop index i');
  await other.end();
  const record = await ended(database, id);
  t.is(record.status, 'expired');
  t.is(record.error, null);
  t.deepEqual(await database.query('select event from maint.safeguard_event order by event'), [
    { event: 'attempt' },
  ]);
});
