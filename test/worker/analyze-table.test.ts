import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import { actionRecord, ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

const { escapeIdentifier: quote } = pg;

async function installed(t: Parameters<typeof createDatabase>[0]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.actions_per_hour', '0'),
    maint.configure('features.statistics_refresh.min_table_size_mb', '0')`);
  return database;
}

async function newTable(database: TestDatabase, schema: string, table: string): Promise<void> {
  await database.query(`create schema if not exists ${quote(schema)};
    create table ${quote(schema)}.${quote(table)} with (autovacuum_enabled = false) as select 1 as n`);
}

test('a run queues, the worker analyzes, and the result says that it is done', async (t) => {
  const database = await installed(t);
  const names = hostileNames.slice(0, 10);
  for (const name of names) await newTable(database, name, name);
  const before = await run(database, { only: ['refresh_statistics'] });
  t.like(before.cleanup['statistics_refresh'], {
    tables_analyzed: 0,
    tables_analyzed_queued: 10,
    success: null,
  });
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.action having count(*) filter (where status = 'succeeded') = ${names.length}`,
  );
  const [row] = await database.query<{ result: typeof before }>('select maint.result($1) as result', [
    before.run_id,
  ]);
  t.like(row!.result.cleanup['statistics_refresh'], {
    stale_tables_found: 10,
    tables_analyzed: 10,
    tables_analyzed_queued: 0,
    success: true,
  });
  t.is((await database.query('select from pg_stats where tablename = any ($1)', [names])).length, 10);
});

test('a table that took the name of the one meant is left alone', async (t) => {
  const database = await installed(t);
  await newTable(database, 'shop', 'orders');
  const oid = await oidOf(database, 'shop', 'orders');
  await database.query('alter table shop.orders rename to old');
  await newTable(database, 'shop', 'orders');
  const id = await queueAction(database, 'analyze_table', { schema: 'shop', table: 'orders', oid });
  startWorker(t, database);
  t.like(await ended(database, id), { status: 'expired', statement: null });
  t.deepEqual(await database.query(`select from pg_stats where schemaname = 'shop'`), []);
});

test('it does not queue behind who holds the table exclusively, and is done afterwards', async (t) => {
  const database = await installed(t);
  await database.query(`select maint.configure('operational.worker.lock_timeout', '50')`);
  await newTable(database, 'shop', 'orders');
  const holder = await database.client();
  await holder.query('begin; lock table shop.orders in share update exclusive mode');
  const oid = await oidOf(database, 'shop', 'orders');
  const id = await queueAction(database, 'analyze_table', { schema: 'shop', table: 'orders', oid });
  startWorker(t, database);
  await waitForRow(database, `select from maint.safeguard_event where event = 'lock_timeout'`);
  t.is((await actionRecord(database, id)).status === 'succeeded', false);
  await holder.query('commit');
  await database.query('update maint.action set not_before = null');
  await database.query(`update maint_boss.job set start_after = now() where state < 'active'`);
  await database.query(`notify maint_work, 'maint_action'`);
  t.is((await ended(database, id)).status, 'succeeded');
});
