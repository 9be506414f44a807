/** Step 6 where scans are not counted, or not here: nothing is called unused, and the reason is said. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow, makeShop, sample, scan } from '../support/index-usage.ts';
import { foundNames } from '../support/maintenance.ts';
import { awayFromMidnight } from '../support/midnight.ts';

test.beforeEach(awayFromMidnight);

const kind = 'index.unused';

/** What step 6 says that it could not examine, by reason. */
async function gaps(database: TestDatabase): Promise<Record<string, string>> {
  const { steps } = await sample(database);
  const { unexamined } = steps['unused_indexes']!.coverage!;
  return Object.fromEntries(unexamined.map(({ reason, detail }) => [reason, detail ?? '']));
}

test('an access method that does not count scans, as far as is known, has no unused indexes', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create access method silent type index handler hashhandler;
    create operator class silent_ops default for type int using silent as
      operator 1 =, function 1 hashint4(int);
    create table t (a int, b int); insert into t select n, n from generate_series(1, 500) as n;
    create index by_a on t using silent (a); create index by_b on t using silent (b)`);
  await judgeNow(database);
  t.deepEqual(await gaps(database), { not_counted: '2: public.by_a, public.by_b' });
  t.deepEqual(await foundNames(database, kind), []);
  await scan(database, 'select from t where a = 7', 10);
  t.deepEqual(await gaps(database), {}, 'one that was scanned shows that it counts');
  t.deepEqual(await foundNames(database, kind), ['public.by_b']);
});

test('tables that Citus has distributed have no unused indexes here; a table of the same name that is not its own says nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await database.query(`create schema other; create table other.pg_dist_partition (logicalrelid regclass);
    insert into other.pg_dist_partition values ('shop.orders')`);
  await judgeNow(database);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b']);
  // Citus is not to be had here: what its extension has is made by hand.
  await database.query(`create extension hstore; update pg_extension set extname = 'citus' where extname = 'hstore';
    alter extension citus add table other.pg_dist_partition`);
  t.deepEqual(await gaps(database), { not_counted: '2: shop.by_a, shop.by_b' });
  t.deepEqual(await foundNames(database, kind), [], 'what was found before is resolved');
});

test('with readers that the server does not list nothing is called unused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b']);
  await database.query(`select maint.configure('features.index_cleanup.unlisted_readers', 'true')`);
  t.deepEqual(await gaps(database), { elsewhere: '2: shop.by_a, shop.by_b' });
  t.deepEqual(await foundNames(database, kind), []);
});
