import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { foundNames, openFindings, run, startStatement, waitForRow } from '../support/maintenance.ts';
import { unprivilegedInstallation } from '../support/sessions.ts';

const kind = 'statistics.stale';
const only = ['refresh_statistics'];
const { escapeIdentifier: quote } = pg;

interface Refresh {
  stale_tables_found: number | null;
  tables_analyzed: number | null;
  tables_analyzed_queued?: number;
  success: boolean | null;
  reason?: string;
  unexamined?: { count: number; tables: { table: string; because: string }[] };
}

async function refresh(database: TestDatabase): Promise<Refresh> {
  return (await run(database, { only })).cleanup['statistics_refresh'] as unknown as Refresh;
}

/** Autovacuum must not be quicker than the test, and tables of the test are small. */
async function withShop(t: Parameters<typeof createDatabase>[0]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create schema shop;
    create table shop.orders (id int, amount int) with (autovacuum_enabled = false);
    insert into shop.orders select n, n % 7 from generate_series(1, 1000) as n`);
  await analyzed(database, 'shop.orders');
  await configure(database, 'min_table_size_mb', 0);
  return database;
}

/** In a transaction of its own: what the same one changed before would still be counted after it. */
async function analyzed(database: TestDatabase, table: string): Promise<void> {
  await database.query('select pg_stat_force_next_flush()');
  await database.query(`analyze ${table}`);
}

async function configure(database: TestDatabase, key: string, value: unknown): Promise<void> {
  await database.query('select maint.configure($1, $2)', [
    `features.statistics_refresh.${key}`,
    JSON.stringify(value),
  ]);
}

/** Runs a statement and waits until its changes are counted. */
async function changed(database: TestDatabase, table: string, text: string, changes: number): Promise<void> {
  await database.query(text);
  await database.query('select pg_stat_force_next_flush()');
  await waitForRow(
    database,
    'select from pg_stat_get_mod_since_analyze($1::regclass) as m (changes) where changes >= $2',
    [table, changes],
  );
}

async function queued(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ table: string }>(
    `select target ->> 'table' as table from maint.actions
     where kind = 'analyze_table' and status = 'queued' order by action_id`,
  );
  return rows.map((row) => row.table);
}

test('a database without tables gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await refresh(database);
  t.is(result.stale_tables_found, 0);
  t.is(result.tables_analyzed, 0);
  t.is(result.tables_analyzed_queued, 0);
  t.true(result.success);
});

test('what nobody writes to is not stale, however old its statistics', async (t) => {
  const database = await withShop(t);
  await configure(database, 'stale_threshold_hours', 0);
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('as many changes as autovacuum waits for are not stale, one more is, and ANALYZE mends it', async (t) => {
  const database = await withShop(t);
  // 50 and a tenth of 1,000 rows.
  await changed(database, 'shop.orders', 'update shop.orders set amount = 0 where id <= 150', 150);
  t.is((await refresh(database)).stale_tables_found, 0);
  await changed(database, 'shop.orders', 'update shop.orders set amount = 0 where id = 151', 151);
  const result = await refresh(database);
  t.is(result.stale_tables_found, 1);
  t.is(result.tables_analyzed, 0, 'queued is not done');
  t.is(result.tables_analyzed_queued, 1);
  t.is(result.success, null);
  t.deepEqual(await queued(database), ['orders']);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.detail['reason'], 'changed');
  t.is(finding!.detail['changes'], 151);
  t.is(finding!.detail['threshold'], 150);
  t.is(finding!.severity, 'warning');
  await database.query(finding!.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
  t.deepEqual(await foundNames(database, kind), []);
  t.deepEqual(await queued(database), [], 'the action expired with its finding');
});

test("a table's own autovacuum settings count", async (t) => {
  const database = await withShop(t);
  await database.query(
    'alter table shop.orders set (autovacuum_analyze_threshold = 5, autovacuum_analyze_scale_factor = 0)',
  );
  await changed(database, 'shop.orders', 'update shop.orders set amount = 0 where id <= 6', 6);
  t.is((await refresh(database)).stale_tables_found, 1);
  await database.query('alter table shop.orders set (autovacuum_analyze_threshold = 6)');
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('few changes are stale once the statistics are old enough', async (t) => {
  const database = await withShop(t);
  await changed(database, 'shop.orders', 'update shop.orders set amount = 0 where id = 1', 1);
  t.is((await refresh(database)).stale_tables_found, 0);
  await configure(database, 'stale_threshold_hours', 0);
  t.is((await refresh(database)).stale_tables_found, 1);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.detail['reason'], 'old_and_changed');
  t.is(finding!.severity, 'info');
});

test('a table that was never analyzed is stale; one that only lost its counters is not', async (t) => {
  const database = await withShop(t);
  await database.query('select pg_stat_reset()');
  t.is((await refresh(database)).stale_tables_found, 0, 'its statistics are there');
  await database.query(`create table shop.new with (autovacuum_enabled = false) as
    select n from generate_series(1, 10) as n`);
  t.is((await refresh(database)).stale_tables_found, 1);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.detail['reason'], 'never_analyzed');
  t.is(finding!.detail['rows'], null);
  await database.query(finding!.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('small, empty and temporary tables are not looked at', async (t) => {
  const database = await withShop(t);
  await database.query(`create table shop.empty (n int); create temp table passing as select 1 as n;
    create table shop.small with (autovacuum_enabled = false) as select 1 as n`);
  t.deepEqual((await refresh(database)).stale_tables_found, 1);
  t.deepEqual(await foundNames(database, kind), ['shop.small']);
  await configure(database, 'min_table_size_mb', 10);
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('a partition tree is judged at its root, which autovacuum never analyzes', async (t) => {
  const database = await withShop(t);
  await database.query(`
    create table shop.log (id int) partition by range (id);
    create table shop.log_1 partition of shop.log for values from (0) to (500) with (autovacuum_enabled = false);
    create table shop.log_2 partition of shop.log for values from (500) to (1000)
      with (autovacuum_enabled = false);
    insert into shop.log select n from generate_series(0, 999) as n`);
  await analyzed(database, 'shop.log_1');
  await analyzed(database, 'shop.log_2');
  t.is((await refresh(database)).stale_tables_found, 1);
  t.deepEqual(await foundNames(database, kind), ['shop.log'], 'its partitions have theirs');
  const [finding] = await openFindings(database, kind);
  await database.query(finding!.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
  await changed(database, 'shop.log_1', 'delete from shop.log where id < 300', 300);
  t.is((await refresh(database)).stale_tables_found, 1, 'one for the tree');
  t.deepEqual(await foundNames(database, kind), ['shop.log']);
  t.deepEqual(await queued(database), ['log']);
});

test('an ANALYZE of the partitions by hand is none of their root', async (t) => {
  const database = await withShop(t);
  await database.query(`
    create table shop.ev (at date, kind text) partition by range (at);
    create table shop.ev_1 partition of shop.ev for values from ('2024-01-01') to ('2024-02-01')
      with (autovacuum_enabled = false);
    create table shop.ev_2 partition of shop.ev for values from ('2024-02-01') to ('2024-03-01')
      with (autovacuum_enabled = false);
    insert into shop.ev select '2024-01-05', 'old' from generate_series(1, 1000)`);
  await analyzed(database, 'shop.ev');
  t.is((await refresh(database)).stale_tables_found, 0);
  await changed(
    database,
    'shop.ev_2',
    `insert into shop.ev select '2024-02-05', 'new' || i from generate_series(1, 4000) as i`,
    4000,
  );
  await database.query('vacuum analyze shop.ev_1');
  await database.query('vacuum analyze shop.ev_2');
  t.is((await refresh(database)).stale_tables_found, 1);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.object_name, 'ev');
  t.is(finding!.detail['changes'], 4000);
  await database.query(finding!.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('the parent of an inheritance tree has statistics of the whole tree, which only its own ANALYZE makes', async (t) => {
  const database = await withShop(t);
  await database.query(`
    create table shop.base (id int) with (autovacuum_enabled = false);
    create table shop.heir () inherits (shop.base) with (autovacuum_enabled = false);
    create table shop.grandchild () inherits (shop.heir) with (autovacuum_enabled = false);
    insert into shop.grandchild select generate_series(1, 1000)`);
  await analyzed(database, 'shop.heir');
  await analyzed(database, 'shop.grandchild');
  await refresh(database);
  t.deepEqual(await foundNames(database, kind), ['shop.base'], 'it has no rows, and those that inherit have');
  const [finding] = await openFindings(database, kind);
  await database.query(finding!.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
  await changed(database, 'shop.grandchild', 'delete from shop.grandchild where id < 500', 499);
  await refresh(database);
  t.deepEqual(await foundNames(database, kind), ['shop.base', 'shop.grandchild']);
});

test('at most ten a run, those without statistics and with most changes first', async (t) => {
  const database = await withShop(t);
  for (let n = 10; n < 22; n += 1) {
    await database.query(`create table shop.t${n} (id int) with (autovacuum_enabled = false);
      insert into shop.t${n} select 1 from generate_series(1, 100)`);
    await analyzed(database, `shop.t${n}`);
    await changed(
      database,
      `shop.t${n}`,
      `insert into shop.t${n} select 1 from generate_series(1, ${n * 10})`,
      n * 10,
    );
  }
  await database.query('create table shop.new with (autovacuum_enabled = false) as select 1 as n');
  const result = await refresh(database);
  t.is(result.stale_tables_found, 13);
  t.is(result.tables_analyzed_queued, 10);
  t.deepEqual(await queued(database), ['new', 't21', 't20', 't19', 't18', 't17', 't16', 't15', 't14', 't13']);
});

test('auto_refresh off reports only, also for one table', async (t) => {
  const database = await withShop(t);
  await database.query('create table shop.new with (autovacuum_enabled = false) as select 1 as n');
  await database.query(
    `select maint.configure('features.statistics_refresh.auto_refresh', 'false', 'table:shop.new')`,
  );
  t.is((await refresh(database)).stale_tables_found, 1);
  t.deepEqual(await queued(database), []);
});

test('hostile names: found, and the remedy runs', async (t) => {
  const database = await withShop(t);
  for (const name of hostileNames) {
    await database.query(`create schema ${quote(name)};
      create table ${quote(name)}.${quote(name)} with (autovacuum_enabled = false) as select 1 as n`);
  }
  t.is((await refresh(database)).stale_tables_found, hostileNames.length);
  for (const finding of await openFindings(database, kind)) await database.query(finding.remedy!);
  t.is((await refresh(database)).stale_tables_found, 0);
});

test('one that somebody holds exclusively is said to be unexamined, and the others have their verdict', async (t) => {
  const database = await withShop(t);
  await database.query(`create table shop.held with (autovacuum_enabled = false) as select 1 as n;
    create table shop.free with (autovacuum_enabled = false) as select 1 as n`);
  const holder = await database.client();
  await holder.query('begin; lock table shop.held in access exclusive mode');
  const result = await refresh(database);
  t.deepEqual(result.unexamined, { count: 1, tables: [{ table: 'shop.held', because: 'locked' }] });
  t.is(result.success, null);
  t.deepEqual(await foundNames(database, kind), ['shop.free']);
  await holder.query('rollback');
  t.deepEqual((await refresh(database)).stale_tables_found, 2);
});

test('one that is being analyzed is left alone', async (t) => {
  const database = await withShop(t);
  await database.query(`create table shop.new with (autovacuum_enabled = false) as
    select n from generate_series(1, 300000) as n`);
  // Slow enough to be looked at: it sleeps for 100 ms after each page it reads.
  const analyzing = await startStatement(
    database,
    `set vacuum_cost_delay = 100; set vacuum_cost_limit = 1; analyze shop.new`,
  );
  await waitForRow(database, 'select from pg_stat_progress_analyze where pid = $1', [analyzing.pid]);
  t.is((await refresh(database)).stale_tables_found, 0);
  await database.query('select pg_cancel_backend($1)', [analyzing.pid]);
  await analyzing.ended;
  t.is((await refresh(database)).stale_tables_found, 1);
});

test('what the role may not read is unexamined, not stale and not fresh', async (t) => {
  const { database, run: runAsOwner } = await unprivilegedInstallation(t);
  await configure(database, 'min_table_size_mb', 0);
  await database.query('create table public.theirs with (autovacuum_enabled = false) as select 1 as n');
  // VACUUM counts the rows, and makes no statistics.
  await database.query('vacuum public.theirs');
  const { cleanup } = await runAsOwner(only);
  t.deepEqual((cleanup['statistics_refresh'] as unknown as Refresh).unexamined, {
    count: 1,
    tables: [{ table: 'public.theirs', because: 'not_permitted' }],
  });
});
