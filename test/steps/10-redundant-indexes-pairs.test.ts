/** Steps 6 and 10 together: one finding an index, and none that is fatal beside another one, whichever of them ran. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow, sample, scan } from '../support/index-usage.ts';
import { openFindings, run } from '../support/maintenance.ts';

const redundantOnly = { only: ['redundant_indexes'] };

async function makeEvents(database: TestDatabase): Promise<void> {
  await database.query('create table events (id int primary key, a int, b int, c text)');
  await database.query('insert into events select n, n % 50, n, n from generate_series(1, 500) as n');
  await database.query('create index short on events (a); create index long on events (a, b, c)');
  await database.query('select pg_stat_force_next_flush()');
}

/** Open findings that drop an index, as `kind index`. */
async function drops(database: TestDatabase): Promise<string[]> {
  const findings = await openFindings(database, 'index.');
  return findings
    .map(({ kind, object_name, detail }) => {
      const keeper = detail['covered_by'];
      return `${kind.slice('index.'.length)} ${object_name!}${typeof keeper === 'string' ? ` ${keeper}` : ''}`;
    })
    .sort();
}

const useShort = 'select from events where a = 7';
const useLong =
  'set enable_sort = off; set enable_bitmapscan = off; select a, b, c from events where a = 7 order by a, b, c';

test('an index that nobody scans is not kept in place of the one that is in use', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeEvents(database);
  await judgeNow(database);
  await scan(database, useShort, 20);
  await run(database);
  t.deepEqual(await drops(database), ['unused long']);
  await run(database, redundantOnly);
  t.deepEqual(await drops(database), ['unused long'], 'step 10 alone asks what step 6 has found');
});

test('what step 6 finds takes the place of what step 10 had found alone', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeEvents(database);
  await judgeNow(database);
  await run(database, redundantOnly);
  t.deepEqual(await drops(database), ['redundant short long']);
  await scan(database, useShort, 20);
  await sample(database);
  t.deepEqual(await drops(database), ['unused long'], 'in the same transaction');
  await scan(database, useLong, 20);
  await run(database);
  t.deepEqual(await drops(database), ['redundant short long'], 'both are in use now');
});

test('an index that is both is reported once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeEvents(database);
  await judgeNow(database);
  await scan(database, useLong, 20);
  await run(database, redundantOnly);
  await run(database);
  t.deepEqual(await drops(database), ['unused short']);
  await database.query('drop index short');
  await run(database);
  t.deepEqual(await drops(database), []);
});

test('neither of two that nobody scans is named as the one to keep', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeEvents(database);
  await judgeNow(database);
  await run(database);
  t.deepEqual(await drops(database), ['unused long', 'unused short']);
});

test('an index that took over the work of a dropped one is not called unused for that', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeEvents(database);
  await scan(database, useShort, 20);
  await run(database);
  t.deepEqual(await drops(database), ['redundant short long'], 'usage is not known yet');
  const [finding] = await openFindings(database, 'index.redundant');
  await database.query(finding!.remedy!);
  await judgeNow(database);
  const { cleanup } = await sample(database);
  t.deepEqual(await drops(database), ['redundant short long'], 'step 10 has not run');
  t.deepEqual(cleanup['unused_indexes_undecided'], { took_over: 1 });
  await run(database);
  t.deepEqual(await drops(database), []);
});

test("a partition's index that is kept in place of another one goes with its tree", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table p (a int, b int) partition by range (a)');
  await database.query('create table p1 partition of p for values from (0) to (10000)');
  await database.query('create index own on p1 (a); create index tree on p (a, b)');
  await database.query('insert into p select n, n from generate_series(0, 9999) as n');
  await database.query('select pg_stat_force_next_flush()');
  await judgeNow(database);
  await run(database, redundantOnly);
  t.deepEqual(await drops(database), ['redundant own p1_a_b_idx']);
  // The server could take either: it is given no choice.
  await scan(database, 'begin; drop index tree; select from p1 where a = 7; rollback', 20);
  await sample(database);
  t.deepEqual(await drops(database), ['unused tree']);
});

test('severity and order follow what dropping an index saves', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table log (id int primary key, at int, what text)`);
  await database.query('create table status (id int primary key, name text)');
  await database.query('insert into log select n, n, md5(n::text) from generate_series(1, 40000) as n');
  await database.query(`insert into status select n, 'state ' || n from generate_series(1, 20) as n`);
  await database.query('create index a_name on status (name); create index b_at on log (at)');
  await database.query('create index c_what on log (what)');
  await database.query('create index d_name on status (id); create index e_what on log (id)');
  await judgeNow(database);
  await database.query(`select maint.configure('features.index_cleanup.enabled', 'false')`);
  await run(database);
  const listed = (): Promise<{ name: string; severity: string }[]> =>
    database.query(
      `select object_name as name, severity from maint.findings
       where resolved_at is null and kind in ('index.unused', 'index.redundant')`,
    );
  t.deepEqual(
    await listed(),
    [
      { name: 'd_name', severity: 'info' },
      { name: 'e_what', severity: 'info' },
    ].reverse(),
  );
  await database.query(`select maint.configure('features.index_cleanup.enabled', 'true')`);
  await run(database);
  t.deepEqual(await listed(), [
    { name: 'c_what', severity: 'warning' },
    { name: 'b_at', severity: 'info' },
    { name: 'e_what', severity: 'info' },
    { name: 'a_name', severity: 'info' },
    { name: 'd_name', severity: 'info' },
  ]);
  await database.query(
    `select maint.configure('features.index_cleanup.min_size_mb', '0', 'table:public.status')`,
  );
  await run(database);
  t.deepEqual(
    (await listed()).filter(({ severity }) => severity === 'warning').map(({ name }) => name),
    ['c_what', 'a_name', 'd_name'],
  );
});

test('a small index of a table that takes very many writes is a warning', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table queue (a int, b int) partition by range (a);
    create table queue_1 partition of queue for values from (0) to (100); create table idle (a int, b int);
    create index queue_a on queue (a); create index queue_a_b on queue (a, b); create index idle_a on idle (a); create index idle_a_b on idle (a, b)`);
  await database.query(`insert into maint.workload_sample
    values (date_trunc('hour', now()), now() - interval '2 hours', now(), false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`);
  await database.query(`insert into maint.table_workload (hour, table_oid, rows_scanned, rows_fetched, rows_inserted, rows_updated,
      rows_hot_updated, rows_deleted, blocks)
    select date_trunc('hour', now()), t.name::regclass, 0, 0, t.rows, 0, 0, 0, 0
    from (values ('queue_1', 100000), ('idle', 1000)) as t (name, rows)`);
  await run(database, redundantOnly);
  const findings = await openFindings(database, 'index.redundant');
  t.deepEqual(
    findings.map(({ object_name, severity, detail }) => [object_name, severity, detail['entries_per_day']]),
    [
      ['idle_a', 'info', 12000],
      ['queue_a', 'warning', 1200000],
    ],
  );
});
