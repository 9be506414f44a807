/** Step 6 over what happens to counters and indexes between two samples: no loss makes an index look unused. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { judgeNow, makeShop, passDays, sample, scan, useA, useB } from '../support/index-usage.ts';
import { foundNames, openFindings } from '../support/maintenance.ts';
import { awayFromMidnight } from '../support/midnight.ts';

test.beforeEach(awayFromMidnight);

const kind = 'index.unused';

const losses = {
  'pg_stat_reset()': 'select pg_stat_reset()',
  'pg_stat_reset_single_table_counters of the index': `select pg_stat_reset_single_table_counters('shop.by_a'::regclass)`,
  'drop and create': 'drop index shop.by_a; create index by_a on shop.orders (a)',
  'a change of the type': 'alter table shop.orders alter a type bigint',
} as const;

for (const [what, statement] of Object.entries(losses)) {
  test(`${what} between samples: scans before it count, and the window begins anew`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await makeShop(database);
    await scan(database, useA, 10);
    await sample(database);
    await passDays(database, 7);
    await scan(database, useA, 10);
    // Not sampled: these scans are lost with the counter.
    await database.query(statement);
    await sample(database);
    t.false(
      (await foundNames(database, kind)).includes('shop.by_a'),
      'its scans are not known, and not none',
    );

    await judgeNow(database);
    await sample(database);
    t.deepEqual(await foundNames(database, kind), ['shop.by_b'], '10 scans are known of by_a');

    await database.query(`select maint.reset('features.index_cleanup.days_unused')`);
    await passDays(database, 7);
    await sample(database);
    t.deepEqual(await foundNames(database, kind), ['shop.by_a', 'shop.by_b'], 'not scanned since');
  });
}

const continuous = {
  'REINDEX INDEX CONCURRENTLY': ['reindex index concurrently shop.by_b'],
  'REINDEX TABLE CONCURRENTLY, twice': [
    'reindex table concurrently shop.orders',
    'reindex table concurrently shop.orders',
  ],
  'REINDEX INDEX': ['reindex index shop.by_b'],
  'VACUUM FULL': ['vacuum full shop.orders'],
  CLUSTER: ['cluster shop.orders using orders_pkey'],
  'a change of the type of another column': ['alter table shop.orders alter a type bigint'],
  'a rename of index, table and schema': [
    'alter index shop.by_b rename to "new name"',
    'alter table shop.orders rename to "new table"',
    'alter schema shop rename to "new schema"',
  ],
  'a rename, then REINDEX CONCURRENTLY': [
    'alter index shop.by_b rename to renamed',
    'sample',
    'reindex index concurrently shop.renamed',
  ],
  "a reset of counters that are no index's": [`select pg_stat_reset_shared('bgwriter')`],
} as const;

for (const [what, statements] of Object.entries(continuous)) {
  test(`${what} between samples: the window goes on, with its scans`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await makeShop(database);
    await sample(database);
    await passDays(database, 4);
    await scan(database, useB, 9);
    await sample(database);
    for (const statement of statements) {
      if (statement === 'sample') await sample(database);
      else await database.query(statement);
    }
    await sample(database);
    await passDays(database, 3);
    await sample(database);
    const findings = await openFindings(database, kind);
    const renamed = what.startsWith('a rename of')
      ? 'new name'
      : what.startsWith('a rename,')
        ? 'renamed'
        : 'by_b';
    const ours = findings.filter(({ object_name }) => object_name === renamed);
    t.deepEqual(
      ours.map(({ detail }) => detail['scans']),
      [9],
      'covered, and 9 scans',
    );

    const table = what.startsWith('a rename of') ? '"new schema"."new table"' : 'shop.orders';
    await scan(database, `select from ${table} where b = '7'`);
    await sample(database);
    t.false((await openFindings(database, kind)).some(({ object_name }) => object_name === renamed));
  });
}

test('drop and create of an index that had not been seen in use: the window begins anew', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await sample(database);
  await passDays(database, 7);
  // The counter is as before when the next sample is taken: none.
  await scan(database, useB, 10);
  await database.query('drop index shop.by_b; create index by_b on shop.orders (b)');
  t.deepEqual((await sample(database)).cleanup['unused_indexes_undecided'], { window_not_covered: 1 });
  t.deepEqual(await foundNames(database, kind), ['shop.by_a']);
});

test('drop and create of an index that nothing was ever read from: the window begins anew', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int); create index x on t (a)');
  await sample(database);
  await passDays(database, 7);
  await database.query('update maint.index_usage set witness = 0');
  await database.query('drop index x; create index x on t (a)');
  t.deepEqual((await sample(database)).cleanup['unused_indexes_undecided'], { window_not_covered: 1 });
});

test('an index that was empty when first seen is known again after REINDEX CONCURRENTLY', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int); create index x on t (a)');
  await sample(database);
  await database.query('insert into t select n from generate_series(1, 500) n');
  await database.query('select pg_stat_force_next_flush()');
  await sample(database);
  const [{ witness } = {}] = await database.query<{ witness: number }>(
    'select witness::int from maint.index_usage',
  );
  t.true(witness! > 100, 'kept up to date, within a factor of two');
  await database.query('reindex index concurrently x');
  await passDays(database, 7);
  await sample(database);
  t.deepEqual(await foundNames(database, kind), ['public.x']);
});

test('another index under the same name is another index', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await scan(database, useA, 20);
  await sample(database);
  await passDays(database, 7);
  await database.query('drop index shop.by_a; create index by_a on shop.orders (a, b)');
  t.deepEqual((await sample(database)).cleanup['unused_indexes_undecided'], { window_not_covered: 1 });
  await judgeNow(database);
  await sample(database);
  t.deepEqual(
    await foundNames(database, kind),
    ['shop.by_a', 'shop.by_b'],
    'the scans were those of another',
  );
});
