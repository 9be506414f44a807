/** Tables whose statistics no longer say what is in them, beside those that only look like it. */
import { waitForRow } from '../support/maintenance.ts';
import type { SetUp } from './fixtures.ts';

//! config features.statistics_refresh.min_table_size_mb 0
//! config features.statistics_refresh.stale_threshold_hours 0 table:app.old_*
//! config features.statistics_refresh.min_table_size_mb 1 table:app.small_*
//! statistics.stale app.never : filled and never analyzed
//! statistics.stale app.rewritten : more changed than autovacuum would wait for
//! statistics.stale app.emptied app."Sta;le" : deletes count, and names are names
//! statistics.stale app.old_touched : of any age, as configured, and one row changed
//! statistics.stale app.measurements : partitions were filled, and the root was never analyzed
//! statistics.stale app.summary : a materialized view, never analyzed
//! matview.no_unique_index app.summary
//! clean app.fresh app.old_untouched app.small_never app.empty app.few_changes app.measurements_1
//! not statistics.stale app.fresh app.few_changes : fewer changes than autovacuum would wait for
//! not statistics.stale app.old_untouched : old, and nothing changed since
//! not statistics.stale app.small_never : below the size that is looked at
//! not statistics.stale app.empty : nothing is in it
//! not statistics.stale app.measurements_1 : an ANALYZE of the root is one of it
//! clean app.fresh_pkey
const tables = [
  'fresh',
  'rewritten',
  'emptied',
  '"Sta;le"',
  'few_changes',
  'old_touched',
  'old_untouched',
  'never',
  'small_never',
  'empty',
];
const analyzed = tables.slice(0, 7);

const setUp: SetUp = async (database) => {
  await database.query('create schema app');
  for (const table of tables) {
    // Autovacuum must not be quicker than the check.
    await database.query(`create table app.${table} (id int, v int) with (autovacuum_enabled = false)`);
    if (table !== 'empty')
      await database.query(`insert into app.${table} select n, n % 7 from generate_series(1, 1000) as n`);
  }
  await database.query('alter table app.fresh add primary key (id)');
  await database.query(`create table app.measurements (id int) partition by range (id);
    create table app.measurements_1 partition of app.measurements for values from (0) to (100000)
      with (autovacuum_enabled = false);
    insert into app.measurements select generate_series(1, 1000)`);
  await database.query(`create materialized view app.summary with (autovacuum_enabled = false)
    as select v, count(*) from app.never group by v`);
  await database.query('select pg_stat_force_next_flush()');
  // Each in a transaction of its own: what the same one changed before would still be counted after it.
  for (const table of analyzed) await database.query(`analyze app.${table}`);
  await database.query('update app.rewritten set v = v + 1');
  await database.query('delete from app.emptied where id > 500; update app."Sta;le" set v = v + 1');
  await database.query('update app.few_changes set v = v + 1 where id <= 10');
  await database.query('update app.old_touched set v = v + 1 where id = 1');
  await database.query('select pg_stat_force_next_flush()');
  await waitForRow(database, `select where pg_stat_get_mod_since_analyze('app.old_touched'::regclass) > 0`);
};

export default setUp;
