/** Each action is judged again by the step whose finding asked for it, before it is done. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { createExtensions } from '../support/extensions.ts';
import { judgeNow, sample } from '../support/index-usage.ts';
import { openFindings, openTransaction, run, waitForRow } from '../support/maintenance.ts';
import { ended, startWorker, waitingFor } from '../support/worker.ts';

async function apply(database: TestDatabase, kind: string, object: string): Promise<number> {
  const findings = await openFindings(database, kind);
  const { finding_id } = findings.find(({ object_name }) => object_name === object)!;
  const [row] = await database.query<{ id: number }>(`select (maint.apply($1) ->> 'action_id')::int as id`, [
    finding_id,
  ]);
  return row!.id;
}

async function indexesOf(database: TestDatabase, table: string): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    'select c.relname as name from pg_index x join pg_class c on c.oid = x.indexrelid where x.indrelid = $1::regclass order by 1',
    [table],
  );
  return rows.map(({ name }) => name);
}

async function makeTable(database: TestDatabase): Promise<void> {
  await database.query(`create schema c02; create table c02.t (id bigserial primary key, a int, b int)`);
  await database.query('insert into c02.t (a, b) select g % 500, g from generate_series(1, 1000) g');
  await database.query('create index t_a on c02.t (a); create index t_a_b on c02.t (a, b)');
}

const only = ['redundant_indexes'];

test('a redundant index stays where the one in favour of which it would go was dropped', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await run(database, { only });
  const id = await apply(database, 'index.redundant', 't_a');
  await database.query('drop index c02.t_a_b');
  startWorker(t, database);
  t.like(await ended(database, id), { status: 'skipped', outcome: 'c02.t_a_b is gone: no longer redundant' });
  t.deepEqual(await indexesOf(database, 'c02.t'), ['t_a', 't_pkey']);
});

test('it stays where the other one serves less than it did, also where that became so under its lock', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await makeTable(database);
  await run(database, { only });
  const id = await apply(database, 'index.redundant', 't_a');
  const other = await openTransaction(database, 'lock table c02.t in share update exclusive mode');
  startWorker(t, database);
  await waitForRow(database, waitingFor('^lock table only c02.t'));
  await other.client.query('drop index c02.t_a_b; create index t_a_b on c02.t (b, a)');
  await other.end();
  t.is((await ended(database, id)).status, 'skipped');
  t.deepEqual(await indexesOf(database, 'c02.t'), ['t_a', 't_a_b', 't_pkey']);
});

test('it stays where the other one is to be dropped as well', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await run(database, { only });
  const id = await apply(database, 'index.redundant', 't_a');
  await database.query(
    `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, target, reason, evidence, queued_at)
     select 'other', 0, 0, 6, 'drop_index', jsonb_build_object('schema', 'c02', 'table', 't', 'index', 't_a_b', 'oid',
       'c02.t_a_b'::regclass::oid::int8), 'test', '{}', now()`,
  );
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.regex(outcome!, /^c02\.t_a_b is to be dropped itself, by action \d+: no longer redundant$/);
});

test('an invalid index and a leftover of a rebuild are dropped, as their steps still ask for it under the lock', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await database.query('create index t_b on c02.t (b); create index t_a_ccnew on c02.t (a)');
  await database.query(
    `update pg_index set indisvalid = false where indexrelid in ('c02.t_b'::regclass, 'c02.t_a_ccnew'::regclass)`,
  );
  await run(database, { only: ['orphaned_indexes', 'invalid_indexes'] });
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.action having count(*) = 2 and bool_and(status = 'succeeded')`,
  );
  t.deepEqual(await indexesOf(database, 'c02.t'), ['t_a', 't_a_b', 't_pkey']);
});

test('an unused index that has come to serve a foreign key meanwhile is not dropped', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await judgeNow(database);
  await sample(database);
  const id = await apply(database, 'index.unused', 't_a_b');
  await database.query('drop index c02.t_a');
  await database.query(`create table c02.parent (a int primary key); insert into c02.parent select generate_series(0, 499);
    alter table c02.t add foreign key (a) references c02.parent`);
  startWorker(t, database);
  t.like(await ended(database, id), {
    status: 'expired',
    outcome: 'step unused_indexes does not ask for it any more',
  });
  t.deepEqual(await indexesOf(database, 'c02.t'), ['t_a_b', 't_pkey']);
});

test('no index is built for a foreign key that another index has come to serve', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table parent (id int primary key); insert into parent select generate_series(1, 5000);
    create table child (id int primary key, parent_id int references parent);
    insert into child select n, n from generate_series(1, 5000) as n; analyze`);
  await run(database, { only: ['foreign_keys'] });
  const id = await apply(database, 'fk.unindexed', 'child_parent_id_fkey');
  await database.query('create index by_hand on child (parent_id)');
  startWorker(t, database);
  t.like(await ended(database, id), {
    status: 'expired',
    outcome: 'step foreign_keys does not ask for it any more',
  });
  t.deepEqual(await indexesOf(database, 'child'), ['by_hand', 'child_pkey']);
});

test('a table that was analyzed meanwhile is not analyzed again', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('features.statistics_refresh.min_table_size_mb', '0'),
    maint.configure('features.statistics_refresh.auto_refresh', 'false')`);
  await database.query('create table t (a int) with (autovacuum_enabled = false)');
  await database.query('insert into t select generate_series(1, 20000); select pg_stat_force_next_flush()');
  await run(database, { only: ['refresh_statistics'] });
  const id = await apply(database, 'statistics.stale', 't');
  await database.query('analyze t');
  startWorker(t, database);
  t.like(await ended(database, id), {
    status: 'expired',
    outcome: 'step refresh_statistics does not ask for it any more',
  });
});

test('an index that was rebuilt meanwhile is not rebuilt again', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, ['pageinspect']);
  await database.query('create table t (a int) with (autovacuum_enabled = false)');
  await database.query('insert into t select generate_series(1, 200000); create index bloated on t (a)');
  await database.query('delete from t where a % 10 <> 0');
  await database.query('vacuum t');
  await run(database, { only: ['index_health'] });
  const id = await apply(database, 'index.bloated', 'bloated');
  await database.query('reindex index bloated');
  startWorker(t, database);
  t.like(await ended(database, id), {
    status: 'expired',
    outcome: 'step index_health does not ask for it any more',
  });
});
