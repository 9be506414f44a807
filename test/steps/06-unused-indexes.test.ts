import test from 'ava';
import pg from 'pg';
import { unusedCandidates } from '../../src/catalog/unused-candidates.ts';
import { runInTransaction } from '../../src/worker/host.ts';
import { createDatabase } from '../support/database.ts';
import {
  judgeNow,
  lastScanIsTold,
  makeShop,
  passDays,
  sample,
  scan,
  smallOnesCount,
  useA,
  useB,
} from '../support/index-usage.ts';
import { foundNames, openFindings, openTransaction, queuedActions } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import { awayFromMidnight } from '../support/midnight.ts';

test.beforeEach(awayFromMidnight);

const { escapeIdentifier: quote } = pg;
const kind = 'index.unused';

test('no verdict before the window is covered; then the unused one, until it is used or gone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
  await smallOnesCount(database);

  await makeShop(database);
  const first = await sample(database);
  t.is(first.cleanup['unused_indexes_found'], 0);
  t.deepEqual(first.cleanup['unused_indexes_undecided'], { window_not_covered: 2 });

  await passDays(database, 6);
  await scan(database, useA, 10);
  const early = await sample(database);
  t.is(early.cleanup['unused_indexes_found'], 0);
  t.deepEqual(early.cleanup['unused_indexes_undecided'], { window_not_covered: 1 }, 'by_a is in use');

  await passDays(database, 1);
  const result = await sample(database);
  t.is(result.status, 'success');
  t.is(result.cleanup['unused_indexes_found'], 1);
  t.is(result.cleanup['unused_indexes_removed'], 0);
  t.is(result.cleanup['unused_indexes_undecided'], undefined);
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['info'],
  );
  const [finding] = await openFindings(database, kind);
  t.is(finding!.severity, 'warning');
  t.is(finding!.summary, 'Index shop.by_b on shop.orders was never scanned in the last 7 days.');
  const [{ size } = {}] = await database.query<{ size: number }>(
    `select pg_relation_size('shop.by_b')::int as size`,
  );
  t.like(finding!.detail, {
    scans: 0,
    window_days: 7,
    size_bytes: size,
    definition: 'CREATE INDEX by_b ON shop.orders USING btree (b)',
  });
  t.deepEqual(await queuedActions(database), [], 'auto_cleanup is off');

  await scan(database, useB, 9);
  await sample(database);
  t.is((await openFindings(database, kind))[0]!.detail['scans'], 9, 'still below min_scans');
  await scan(database, useB);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
  t.deepEqual(await openFindings(database, kind), []);

  await passDays(database, 8);
  await scan(database, useA, 10);
  const again = await sample(database);
  if (await lastScanIsTold(database)) {
    t.deepEqual(again.cleanup['unused_indexes_undecided'], { scanned_uncounted: 1 });
    return;
  }
  t.deepEqual(await foundNames(database, kind), ['shop.by_b'], 'used before the window began');
  await database.query((await openFindings(database, kind))[0]!.remedy!);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
});

test('auto_cleanup queues the removal, once, and can be set for one index', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await database.query(
    `select maint.configure('features.index_cleanup.auto_cleanup', 'true', 'index:shop.by_b')`,
  );
  await sample(database);
  const result = await sample(database);
  t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b']);
  t.deepEqual(await queuedActions(database), ['drop_index shop.by_b']);
  t.is(result.cleanup['unused_indexes_removed'], 0);
  t.is(result.cleanup['unused_indexes_removed_queued'], 1);
  await scan(database, useB, 10);
  await sample(database);
  t.deepEqual(await queuedActions(database), [], 'used in the meantime');
});

test('thresholds hold for the narrowest scope', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await scan(database, useA, 20);
  await scan(database, useB, 20);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
  await database.query(`select maint.configure('features.index_cleanup.min_scans', '21', 'index:shop.by_a')`);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['shop.by_a']);
  await database.query(
    `select maint.configure('features.index_cleanup.days_unused', '3', 'table:shop.orders')`,
  );
  t.deepEqual((await sample(database)).cleanup['unused_indexes_undecided'], { window_not_covered: 2 });
  t.deepEqual(await foundNames(database, kind), ['shop.by_a'], 'what could not be judged again stays open');
});

test('every name works, in every schema, and the remedy runs as it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const name of hostileNames) {
    await database.query(
      `create schema ${quote(name)}; create table ${quote(name)}.${quote(name)} (a int, b int)`,
    );
    await database.query(`create index on ${quote(name)}.${quote(name)} (b)`);
    await database.query(
      `create index ${quote(`${name.slice(0, 5)} x`)} on ${quote(name)}.${quote(name)} (a)`,
    );
  }
  await judgeNow(database);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 2 * hostileNames.length);
  for (const { remedy } of await openFindings(database, kind)) await database.query(remedy!);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
});

test('what is not there to be scanned is never reported', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await judgeNow(database);
  await database.query(`
    create extension hstore;
    create table parent (a int primary key, b int unique, c int, d int4range, exclude using gist (d with &&));
    create unique index on parent (c);
    create table child (a int references parent, b int, x int, y int, z text, n int not null,
      foreign key (x) references parent (c)) with (autovacuum_enabled = false);
    create index serves_a on child (a);
    create index serves_x on child (x, y) where x is not null;
    create index serves_no_key on child (y, x);
    create index serves_nothing on child (b) include (a);
    create index clustered on child (y, b);
    alter table child cluster on clustered;
    create unique index identity on child (n);
    alter table child replica identity using index identity;
    insert into child select null, n, null, n, n, n from generate_series(1, 500) n;
    create index of_expression on child (lower(z));
    analyze child;
    create index of_expression_unanalysed on child (upper(z));
    create index invalid on child (b, y);
    update pg_index set indisvalid = false where indexrelid = 'invalid'::regclass;
    create temp table temporary (a int);
    create index of_temporary on temporary (a);
    create materialized view view as select 1 as a;
    create index of_view on view (a)`);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), [
    'public.of_expression_unanalysed',
    'public.serves_no_key',
    'public.serves_nothing',
    'public.of_view',
  ]);
});

test('where the planner statistics may not be read, no expression index is judged', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await database.query('create index of_expression on shop.orders (lower(b))');
  await sample(database);
  const client = await database.client();
  const seen = async (permitted: boolean): Promise<[string, boolean][]> => {
    const [{ now } = {}] = await database.query<{ now: string }>('select now()::text as now');
    const found = await runInTransaction(
      client,
      unusedCandidates(now!, 7, 10, { mayReadPgStatistic: permitted, knowsLastScan: false }),
    );
    return found.map(({ index, statistics_unknown }) => [index, statistics_unknown]);
  };
  t.deepEqual(await seen(false), [
    ['by_a', false],
    ['by_b', false],
    ['of_expression', true],
  ]);
  t.deepEqual(await seen(true), [
    ['by_a', false],
    ['by_b', false],
    ['of_expression', false],
  ]);
});

test("an extension's index is reported and never dropped", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension hstore; create table t (a int); create index x on t (a)');
  await database.query('alter extension hstore add table t');
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true')`);
  await judgeNow(database);
  await sample(database);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.detail['kept_because'], 'it belongs to extension hstore');
  t.deepEqual(await queuedActions(database), []);
});

test('a partition tree is judged at its root, by the scans of all its indexes', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table t (a int, b int, c int) partition by range (a);
    create table t1 partition of t for values from (0) to (10);
    create table t2 partition of t for values from (10) to (20) partition by range (b);
    create table t21 partition of t2 for values from (0) to (10);
    insert into t select n % 20, n % 10, n from generate_series(1, 500) n;
    create index by_b on t (b);
    create index by_c on t (c);
    create index own on t1 (c, b)`);
  await sample(database);
  await passDays(database, 7);
  await scan(database, 'select from t1 where b = 3', 5);
  await scan(database, 'select from t21 where b = 3', 5);
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true')`);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['public.by_c', 'public.own']);
  t.deepEqual(await queuedActions(database), ['drop_index public.own']);
  const [root] = await openFindings(database, kind);
  t.true(Number(root!.detail['size_bytes']) > 0);
  t.is(root!.detail['kept_because'], 'a partitioned index cannot be dropped concurrently');

  // A partition with its scans goes: the tree has been used all the same.
  await database.query('drop table t21');
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['public.by_c', 'public.own']);
  for (const { remedy } of await openFindings(database, kind)) await database.query(remedy!);
  t.is((await sample(database)).cleanup['unused_indexes_found'], 0);
});

test('a detached partition keeps the scans of its index', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table t (a int, b int) partition by range (a);
    create table t1 partition of t for values from (0) to (10);
    create index by_b on t (b);
    insert into t select 1, n from generate_series(1, 500) n`);
  await sample(database);
  await passDays(database, 7);
  await scan(database, 'select from t1 where b = 3', 10);
  await sample(database);
  await database.query('alter table t detach partition t1');
  t.is((await sample(database)).cleanup['unused_indexes_undecided'], undefined);
  t.deepEqual(await foundNames(database, kind), []);
  await passDays(database, 8);
  await sample(database);
  t.deepEqual(
    await foundNames(database, kind),
    (await lastScanIsTold(database)) ? [] : ['public.t1_b_idx'],
    'a tree without partitions has no use to count',
  );
});

test('too few samples give no verdict, nor does a window longer than what is remembered', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await sample(database);
  await passDays(database, 7);
  await database.query(
    'delete from maint.index_usage_sample where day > (select min(day) + 1 from maint.index_usage_sample)',
  );
  await sample(database);
  t.deepEqual(await foundNames(database, kind), []);
  await passDays(database, 7);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b']);

  await passDays(database, 30);
  await sample(database);
  const [{ kept } = {}] = await database.query<{ kept: number }>(
    'select count(*)::int as kept from maint.index_usage_sample',
  );
  t.is(kept, 8, 'no more than the window needs');
  await database.query(`select maint.configure('features.index_cleanup.days_unused', '14')`);
  t.deepEqual((await sample(database)).cleanup['unused_indexes_undecided'], { window_not_covered: 2 });
});

test('a scan that only the server has seen is believed, where the server says so', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await sample(database);
  await passDays(database, 7);
  await scan(database, useB, 10);
  await sample(database);
  // As if the samples had missed it, in a way that nobody has thought of.
  await database.query('delete from maint.index_usage_day');
  const { cleanup } = await sample(database);
  const [{ version } = {}] = await database.query<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  );
  if (version! >= 160_000) {
    t.deepEqual(cleanup['unused_indexes_undecided'], { scanned_uncounted: 1 });
    t.deepEqual(await foundNames(database, kind), ['shop.by_a']);
  } else {
    t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b']);
  }
});

test('samples write only what has changed, and forget what is gone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await scan(database, 'select from shop.orders', 1);
  await sample(database);
  await sample(database);
  const rows = (): Promise<{ row: string }[]> =>
    database.query(`select ctid || ' ' || index_name as row from maint.index_usage order by usage_id`);
  const before = await rows();
  t.is(before.length, 3);
  await sample(database);
  t.deepEqual(await rows(), before, 'nothing changed');
  await scan(database, useA, 2);
  await sample(database);
  const after = await rows();
  t.is(after.filter(({ row }) => !before.some((old) => old.row === row)).length, 1);
  await database.query('drop table shop.orders');
  await sample(database);
  t.deepEqual(await rows(), []);
  t.deepEqual(await database.query('select from maint.index_usage_day'), []);
});

test('where scans are not counted nothing is said, and what was found stays open', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await sample(database);
  t.is((await openFindings(database, kind)).length, 2);
  await database.query(`alter database ${database.name} set track_counts = off`);
  const result = await sample(database);
  t.is(result.cleanup['unused_indexes_found'], null);
  t.is(result.cleanup['unused_indexes_reason'], 'track_counts is off for the database');
  t.is((await openFindings(database, kind)).length, 2);

  await database.query(`alter database ${database.name} reset track_counts`);
  await database.query(`select maint.reset('features.index_cleanup.days_unused')`);
  await passDays(database, 7);
  await sample(database);
  t.deepEqual(
    (await sample(database)).cleanup['unused_indexes_undecided'],
    { window_not_covered: 2 },
    'begun anew',
  );
});

test('a lock on the table holds nothing up: size and definition are left out, and nothing is dropped', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await database.query('create index by_expression on shop.orders (id) where a > 7');
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true')`);
  await judgeNow(database);
  const holder = await openTransaction(database, 'lock table shop.orders in access exclusive mode');
  const result = await sample(database);
  t.is(result.cleanup['unused_indexes_found'], 3);
  t.deepEqual(await queuedActions(database), []);
  await holder.end();
  await sample(database);
  t.is((await queuedActions(database)).length, 3);
});
