/** What tests of step 6 need: scans that are counted at once, and windows that are over in no time. */
import type { TestDatabase } from './database.ts';
import { run } from './maintenance.ts';
import type { RunResult } from './maintenance.ts';

const only = ['unused_indexes'];

/** One run of step 6, which takes one sample. */
export function sample(database: TestDatabase): Promise<RunResult> {
  return run(database, { only });
}

/** Runs a query some times with its own statistics flushed, as its session would do a second later. */
export async function scan(database: TestDatabase, query: string, times = 1): Promise<void> {
  const client = await database.client();
  await client.query('set enable_seqscan = off');
  for (let done = 0; done < times; done += 1) await client.query(query);
  await client.query('select pg_stat_force_next_flush()');
  await client.end();
}

/** Moves all samples so many days into the past, and pretends that there was one on each day since. */
export async function passDays(database: TestDatabase, days: number): Promise<void> {
  await database.query(
    `update maint.index_usage set first_seen = first_seen - make_interval(days => $1),
       known_since = known_since - make_interval(days => $1)`,
    [days],
  );
  await database.query(
    `with moved as (delete from maint.index_usage_day returning *)
     insert into maint.index_usage_day select m.usage_id, m.day - $1::int, m.scans_before from moved m`,
    [days],
  );
  await database.query(
    `with moved as (delete from maint.index_usage_sample returning *)
     insert into maint.index_usage_sample
     select m.day - $1::int, m.samples, m.sampled_at - make_interval(days => $1), m.statistics from moved m`,
    [days],
  );
  await database.query(
    `insert into maint.index_usage_sample
     select l.day + n, 1, l.sampled_at + make_interval(days => n), l.statistics
     from (select * from maint.index_usage_sample order by day desc limit 1) l, generate_series(1, $1 - 1) n`,
    [days],
  );
}

/** Makes findings about indexes as small as those of tests warnings, as those of large ones are. */
export async function smallOnesCount(database: TestDatabase): Promise<void> {
  await database.query(`select maint.configure('features.index_cleanup.min_size_mb', '0'),
    maint.configure('features.redundant_index_detection.min_size_mb', '0')`);
}

/** Makes the next run judge what it knows, without a window. */
export async function judgeNow(database: TestDatabase): Promise<void> {
  await database.query(`select maint.configure('features.index_cleanup.days_unused', '0')`);
}

/**
 * From PostgreSQL 16 on the server itself tells when an index was last scanned. That can't be moved into the past, so
 * an index that a test scans stays undecided there, whatever the samples say.
 */
export async function lastScanIsTold(database: TestDatabase): Promise<boolean> {
  const [row] = await database.query<{ told: boolean }>(
    `select current_setting('server_version_num')::int >= 160000 as told`,
  );
  return row?.told === true;
}

/** A table with a used and an unused index, and rows to find. */
export async function makeShop(database: TestDatabase): Promise<void> {
  await database.query(`create schema shop; create table shop.orders (id int primary key, a int, b text)`);
  await database.query('create index by_a on shop.orders (a); create index by_b on shop.orders (b)');
  await database.query('insert into shop.orders select n, n, n from generate_series(1, 500) n');
  // Its session would report what it read and wrote some seconds later, in the midst of the test.
  await database.query('select pg_stat_force_next_flush()');
}

export const useA = 'select from shop.orders where a = 7';
export const useB = `select from shop.orders where b = '7'`;
