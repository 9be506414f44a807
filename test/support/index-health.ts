/** What tests of step 7 need: indexes with a known share of bloat, and the truth about it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { createDatabase } from './database.ts';
import type { TestDatabase } from './database.ts';
import { requireDone, run, waitForRow } from './maintenance.ts';
import type { RunResult } from './maintenance.ts';
import { createExtensions } from './extensions.ts';

export interface IndexHealth {
  healthy: number;
  bloated: number;
  underutilized: number;
  unknown: number;
  unknown_because?: Record<string, number>;
  measured: number;
  unchanged: number;
  pages_read: number;
  gin_pending_pages?: number;
  not_sampled_because?: string;
}

export interface AutomaticReindex {
  enabled: boolean;
  planned: boolean;
  reason?: string;
  next_in_hours?: number;
  queued?: number;
  left_out?: Record<string, number>;
  rebuilt: number;
  rebuilt_queued: number;
}

export interface HealthRow {
  index_name: string;
  verdict: string;
  why: string;
  bloat_percent: number | null;
  error_points: number | null;
  method: string | null;
  not_measured: string | null;
  pages_read: number | null;
  index_id: number;
}

export async function health(database: TestDatabase): Promise<IndexHealth> {
  const result = await check(database);
  requireDone(result, 'index_health');
  return result.cleanup['index_health'] as unknown as IndexHealth;
}

export function check(database: TestDatabase): Promise<RunResult> {
  return run(database, { only: ['index_health'] });
}

export async function configure(
  database: TestDatabase,
  key: string,
  value: unknown,
  scope = 'database',
): Promise<void> {
  await database.query('select maint.configure($1, $2, $3)', [
    `features.index_health.${key}`,
    JSON.stringify(value),
    scope,
  ]);
}

/** Each index of the view by its name. */
export async function healthOf(database: TestDatabase, index: string): Promise<HealthRow> {
  const [row] = await database.query<HealthRow>(
    `select index_name, verdict, why, bloat_percent::float8, error_points::float8, method, not_measured, pages_read,
       index_id::int
     from maint.index_health where index_name = $1`,
    [index],
  );
  if (!row) throw new Error(`${index} is not in maint.index_health`);
  return row;
}

/**
 * pg-maint with the given extensions and a table of so many rows without any bloat. Autovacuum must not be quicker than the
 * test.
 */
export async function withItems(
  t: ExecutionContext,
  {
    rows = 60_000,
    extensions = ['pageinspect', 'pgstattuple'],
  }: { rows?: number; extensions?: string[] } = {},
): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, extensions);
  await database.query(`
    create table item (id int, kind int, name text) with (autovacuum_enabled = false);
    insert into item select n, n % 10, md5(n::text) from generate_series(1, ${rows}) as n;
    create index item_id on item (id)`);
  await vacuumed(database, 'item');
  return database;
}

/**
 * Counts what was changed so far, and vacuums: otherwise it would be counted afterwards. Again while there are dead rows left:
 * a session of another test that is just being opened may still see them.
 */
export async function vacuumed(database: TestDatabase, table: string): Promise<void> {
  await counted(database);
  for (let attempt = 0; ; attempt += 1) {
    // Without index_cleanup a few dead rows are left to a later vacuum.
    await database.query(`vacuum (analyze, index_cleanup on) ${table}`);
    await counted(database);
    const [left] = await database.query<{ dead: number }>(
      'select pg_stat_get_dead_tuples($1::regclass)::int as dead',
      [table],
    );
    if (left?.dead === 0) return;
    if (attempt === 50) throw new Error(`${table} keeps ${left?.dead ?? 0} dead rows`);
    await sleep(200);
  }
}

export async function counted(database: TestDatabase): Promise<void> {
  await database.query('select pg_stat_force_next_flush()');
  await database.query('select pg_stat_clear_snapshot()');
}

/** Deletes so many of each hundred rows, here and there, and vacuums. */
export async function thinOut(database: TestDatabase, table: string, percent: number): Promise<void> {
  await database.query(`delete from ${table} where id % 100 < ${percent}`);
  await vacuumed(database, table);
}

/**
 * What a REINDEX would give back, in percent: by doing it and undoing it. It keeps dead rows that a snapshot of another
 * session may still see, such as that of an ANALYZE by autovacuum.
 */
export async function truth(database: TestDatabase, index: string): Promise<number> {
  await waitForRow(
    database,
    `select where not exists (
       select from pg_stat_activity as a
       where a.datname = current_database() and a.pid <> pg_backend_pid() and coalesce(a.backend_xmin, a.backend_xid) is not null)`,
  );
  const client = await database.client();
  const size = async (): Promise<number> => {
    const { rows } = await client.query<{ size: number }>(`select pg_relation_size($1)::float8 as size`, [
      index,
    ]);
    return rows[0]!.size;
  };
  const before = await size();
  await client.query('begin');
  await client.query(`reindex index ${index}`);
  const after = await size();
  await client.query('rollback');
  await client.end();
  return 100 * (1 - after / before);
}
