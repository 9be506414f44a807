/** Indexes that a REINDEX would make smaller, and such that look as if it would. */
import { vacuumed } from '../support/index-health.ts';
import type { SetUp } from './fixtures.ts';
import { createExtensions } from '../support/extensions.ts';

//! index.bloated app.thin_id app.thin_pkey : half of the rows are gone, here and there
//! index.bloated app.emptied_id : a stretch of rows is gone, and its pages with them
//! not index.bloated app.nearly_id : a tenth is gone, less than the threshold
//! not index.bloated app.loose_id : half full because its fillfactor says so
//! not index.bloated app.loose_kind : its keys are together in posting lists already
//! not index.bloated app.small_id : thinned out, and smaller than min_size_mb
//! index.bloated app.apart_kind : keys that repeat, in tuples of their own, which a new index puts together
//! not index.bloated app.brin_id : BRIN has no bloat
//! index.bloated app.log_1_id_idx : a partition's
//! not index.bloated app.log_2_id_idx app.log_id : the other partition, and their parent
//! config features.index_health.min_size_mb 0.5

const rows = 60_000;

const setUp: SetUp = async (database) => {
  await createExtensions(database, ['pageinspect']);
  await database.query('create schema app');
  const table = async (name: string, indexes: readonly string[], count = rows): Promise<void> => {
    await database.query(`
      create table app.${name} (id int, kind int) with (autovacuum_enabled = false);
      insert into app.${name} select n, n % 20 from generate_series(1, ${count}) as n;
      ${indexes.join(';')}`);
    await vacuumed(database, `app.${name}`);
  };
  await table('thin', [
    'create index thin_id on app.thin (id)',
    'alter table app.thin add primary key (kind, id)',
  ]);
  await table('emptied', ['create index emptied_id on app.emptied (id)']);
  await table('nearly', ['create index nearly_id on app.nearly (id)']);
  await table('loose', [
    'create index loose_id on app.loose (id) with (fillfactor = 50)',
    'create index loose_kind on app.loose (kind)',
  ]);
  await table('small', ['create index small_id on app.small (id)'], 2000);
  await table('brin', ['create index brin_id on app.brin using brin (id)']);
  await table('apart', ['create index apart_kind on app.apart (kind) with (deduplicate_items = off)']);
  await database.query('alter index app.apart_kind set (deduplicate_items = on)');
  await database.query(`
    create table app.log (id int) partition by range (id);
    create table app.log_1 partition of app.log for values from (0) to (60000) with (autovacuum_enabled = false);
    create table app.log_2 partition of app.log for values from (60000) to (120000) with (autovacuum_enabled = false);
    create index log_id on app.log (id);
    insert into app.log select n from generate_series(0, 119999) as n`);
  const remove: [string, string][] = [
    ['thin', 'id % 2 = 0'],
    ['emptied', 'id between 10000 and 45000'],
    ['nearly', 'id % 10 = 0'],
    ['small', 'id % 2 = 0'],
    ['log_1', 'id % 2 = 0'],
    ['log_2', 'false'],
  ];
  for (const [name, which] of remove) {
    await database.query(`delete from app.${name} where ${which}`);
    await vacuumed(database, `app.${name}`);
  }
};

export default setUp;
