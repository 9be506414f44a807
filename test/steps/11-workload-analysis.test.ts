/** Step 11 on workloads of which the clients know what they did. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import type { JsonObject } from '../../src/steps/step.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { requireDone, run } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import { passHours } from '../support/query-history.ts';
import { unprivilegedInstallation } from '../support/sessions.ts';
import { parseTexts, pgbench } from '../support/workload.ts';

const only = ['workload_analysis'];
const { escapeIdentifier: quote } = pg;

interface Ratio {
  reads: number;
  writes: number;
  read_ratio: number | null;
}

interface Analysis {
  workload_type: string | null;
  read_ratio: number | null;
  write_ratio: number | null;
  status: string;
  basis?: string;
  calls: Ratio | null;
  rows: Ratio;
  blocks: Ratio | null;
  unclassified_calls: number | null;
  wal: { server_bytes: number | null; statements_bytes: number | null };
  counters_lost: boolean;
  statements: { status: string; remedy?: string; not_readable?: number };
  tables: {
    table: string;
    workload_type: string;
    rows: Ratio;
    calls: Ratio | null;
    hot_share: number | null;
    indexes: number;
  }[];
  recommendations: JsonObject[];
}

async function analyze(database: TestDatabase): Promise<Analysis> {
  const result = await run(database, { only });
  requireDone(result, 'workload_analysis');
  return result.cleanup['workload_analysis'] as unknown as Analysis;
}

async function shop(t: ExecutionContext, options: { statements: boolean }): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  if (options.statements) await database.query('create extension pg_stat_statements');
  await database.query(`
    create schema shop;
    create table shop.orders (id int primary key, amount int, note text) with (autovacuum_enabled = false, fillfactor = 50);
    insert into shop.orders select n, 0, 'note' from generate_series(1, 1000) as n;
    create table shop.log (id int, note text) with (autovacuum_enabled = false)`);
  await flushed(database);
  return database;
}

/** What this session counted is seen at once. */
async function flushed(database: TestDatabase): Promise<void> {
  await database.query('select pg_stat_force_next_flush()');
  await database.query('select 1');
}

const random = '\\set id random(1, 1000)\n';

test('ratios are those of what the clients did', async (t) => {
  const database = await shop(t, { statements: true });
  const first = await analyze(database);
  const before = first.calls ?? { reads: 0, writes: 0 };
  const { url } = database;
  await pgbench(t, url, {
    transactions: 300,
    clients: 2,
    text: `${random}select note from shop.orders where id = :id;`,
  });
  await pgbench(t, url, {
    transactions: 90,
    text: `${random}update shop.orders set amount = amount + 1 where id = :id;`,
  });
  await pgbench(t, url, {
    transactions: 50,
    text: `${random}insert into shop.log values (:id), (:id), (:id);`,
  });
  await pgbench(t, url, { transactions: 1, text: 'delete from shop.log;' });
  await pgbench(t, url, {
    transactions: 9,
    text: `${random}with gone as (delete from shop.orders where id < :id - 100000 returning id) select * from gone;`,
  });
  const unparsed = await analyze(database);
  t.is(unparsed.status, 'analyzed');
  t.is(unparsed.basis, 'calls');
  t.is(unparsed.unclassified_calls, 9);
  await parseTexts(url);
  const parsed = await analyze(database);
  t.is(parsed.unclassified_calls, 0);
  const calls = parsed.calls!;
  t.is(calls.writes - before.writes, 150);
  // What the test itself and the set-up asked are a few beside those of the clients.
  t.true(Math.abs(calls.reads - before.reads - 600) <= 5, String(calls.reads - before.reads));
  t.true(Math.abs(parsed.read_ratio! - 600 / 750) <= 0.01, String(parsed.read_ratio));
  t.true(Math.abs(parsed.read_ratio! + parsed.write_ratio! - 1) < 1e-9);
  t.is(parsed.workload_type, 'read-heavy');
  t.false(parsed.counters_lost);
  t.true(parsed.wal.server_bytes! > 0 && parsed.wal.statements_bytes! > 0);
  t.true(parsed.blocks!.reads > 0 && parsed.blocks!.writes > 0);

  const orders = parsed.tables.find(({ table }) => table === 'shop.orders')!;
  t.is(orders.rows.writes, 90);
  t.is(orders.hot_share, 1);
  t.is(orders.indexes, 1);
  t.is(orders.calls!.reads, 600);
  t.is(orders.calls!.writes, 100, 'with the insert of the set-up');
  const log = parsed.tables.find(({ table }) => table === 'shop.log')!;
  t.is(log.rows.writes, 300);
  t.is(log.calls!.writes, 51);
  t.is(log.hot_share, null);
  t.is(log.workload_type, 'mixed', 'its rows were read by the delete');
  const rows = await database.query<{ table_name: string; rows_written: number; hot_share: number | null }>(
    'select table_name, rows_written::int, hot_share from maint.workload order by table_name',
  );
  t.deepEqual(rows, [
    { table_name: 'log', rows_written: 300, hot_share: null },
    { table_name: 'orders', rows_written: 90, hot_share: 1 },
  ]);
});

test('what mostly writes is write-heavy, and what lies between is mixed', async (t) => {
  const database = await shop(t, { statements: true });
  await analyze(database);
  await pgbench(t, database.url, { transactions: 400, text: `${random}insert into shop.log values (:id);` });
  const heavy = await analyze(database);
  t.is(heavy.workload_type, 'write-heavy');
  t.true(heavy.recommendations.some(({ kind }) => kind === 'few_indexes'));
  await pgbench(t, database.url, {
    transactions: 400,
    text: `${random}select from shop.orders where id = :id;`,
  });
  const mixed = await analyze(database);
  t.is(mixed.workload_type, 'mixed');
  t.false(mixed.recommendations.some(({ kind }) => kind === 'few_indexes'));
  // A day later nothing of it counts any more.
  await passHours(database, 30);
  t.is((await analyze(database)).workload_type, null);
});

test('updates that can not be HOT are explained', async (t) => {
  const database = await shop(t, { statements: true });
  await database.query('create index on shop.orders (amount)');
  await database.query(`create table shop.packed (id int primary key, amount int, note text) with (autovacuum_enabled = false);
    insert into shop.packed select n, 0, repeat('x', 500) from generate_series(1, 1500) as n`);
  await flushed(database);
  await analyze(database);
  await pgbench(t, database.url, { transactions: 2, text: 'update shop.orders set amount = amount + 1;' });
  await pgbench(t, database.url, { transactions: 1, text: 'update shop.packed set amount = amount + 1;' });
  t.deepEqual(
    (await analyze(database)).recommendations.filter(({ table }) => table !== undefined),
    [],
    'not parsed yet',
  );
  await parseTexts(database.url);
  const { recommendations } = await analyze(database);
  const of = (kind: string): JsonObject | undefined => recommendations.find((one) => one['kind'] === kind);
  t.is(of('indexed_columns_updated')?.['table'], 'shop.orders');
  t.deepEqual(of('indexed_columns_updated')?.['columns'], ['amount']);
  t.is(of('fillfactor')?.['table'], 'shop.packed');
  await database.query(of('fillfactor')!['statement'] as string);
});

test('a reset of the statistics counts nothing twice and nothing below zero', async (t) => {
  const database = await shop(t, { statements: false });
  await analyze(database);
  await pgbench(t, database.url, { transactions: 60, text: `${random}insert into shop.log values (:id);` });
  t.is((await analyze(database)).tables.find(({ table }) => table === 'shop.log')!.rows.writes, 60);
  await database.query('select pg_stat_reset()');
  await pgbench(t, database.url, { transactions: 7, text: `${random}insert into shop.log values (:id);` });
  const { tables, counters_lost } = await analyze(database);
  t.true(counters_lost);
  t.is(tables.find(({ table }) => table === 'shop.log')!.rows.writes, 67);
  t.deepEqual(
    await database.query(`select from maint.table_workload
      where least(rows_scanned, rows_fetched, rows_inserted, rows_updated, rows_hot_updated, rows_deleted, blocks) < 0`),
    [],
  );
});

test('without pg_stat_statements the rows of the tables tell, and the result says so', async (t) => {
  const database = await shop(t, { statements: false });
  const first = await analyze(database);
  t.is(first.workload_type, null);
  t.is(first.status, 'insufficient_history');
  t.is(first.statements.status, 'not_installed');
  t.regex(first.statements.remedy!, /create extension pg_stat_statements/);
  t.is((await analyze(database)).status, 'no_activity');
  await pgbench(t, database.url, { transactions: 50, text: `${random}insert into shop.log values (:id);` });
  const { workload_type, basis, calls, rows, write_ratio } = await analyze(database);
  t.deepEqual(
    { workload_type, basis, calls, write_ratio },
    { workload_type: 'write-heavy', basis: 'rows', calls: null, write_ratio: 1 },
  );
  t.is(rows.writes, 50);
});

test('statements that may not be read are counted as such', async (t) => {
  const installation = await unprivilegedInstallation(t);
  await installation.database.query('create extension pg_stat_statements; create table seen (n int)');
  await installation.database.query('insert into seen values (1)');
  const { cleanup, steps } = await installation.run(only);
  t.is(steps['workload_analysis']!.status, 'partial');
  t.like(steps['workload_analysis']!.coverage!.unexamined[0], {
    what: 'statements of other roles',
    reason: 'not_permitted',
  });
  const analysis = cleanup['workload_analysis'] as unknown as Analysis;
  t.true(analysis.statements.not_readable! > 0);
});

test('tables keep their names, whatever these are', async (t) => {
  const database = await shop(t, { statements: false });
  await database.query('create schema "odd ""schema"""');
  for (const name of hostileNames)
    await database.query(
      `create table "odd ""schema""".${quote(name)} (id int) with (autovacuum_enabled = false)`,
    );
  await flushed(database);
  await analyze(database);
  for (const [place, name] of hostileNames.entries()) {
    // The first is the busiest.
    await database.query(
      `insert into "odd ""schema""".${quote(name)} select n from generate_series(1, $1) as n`,
      [5000 - 200 * place],
    );
  }
  await flushed(database);
  const { tables } = await analyze(database);
  const [{ names }] = (await database.query<{ names: string[] }>(
    `select array_agg(format('%I.%I', 'odd "schema"', u.name) order by u.position) as names
     from unnest($1::text[]) with ordinality as u (name, position)`,
    [hostileNames],
  )) as [{ names: string[] }];
  t.deepEqual(tables.map(({ table }) => table).sort(), [...names].sort());
});
