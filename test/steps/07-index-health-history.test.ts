import test from 'ava';
import type pg from 'pg';
import { keepIndexIdentities } from '../../src/catalog/index-usage.ts';
import { runAsync } from '../../src/core/drivers.ts';
import { connectionHost } from '../../src/worker/host.ts';
import type { TestDatabase } from '../support/database.ts';
import {
  configure,
  counted,
  health,
  healthOf,
  thinOut,
  vacuumed,
  withItems,
} from '../support/index-health.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { awayFromMidnight } from '../support/midnight.ts';

test.beforeEach(awayFromMidnight);

interface Sample {
  index_id: number;
  index_name: string;
  resolution: string;
  samples: number;
  size_bytes: number;
  bloat_percent: number | null;
  leaf_density: number | null;
  method: string | null;
  table_writes: number;
  scans: number;
  rebuilt: boolean;
}

/** The oldest first. */
async function history(database: TestDatabase): Promise<Sample[]> {
  return await database.query<Sample>(
    `select index_id::int, index_name, resolution, samples, size_bytes::int, bloat_percent::float8, leaf_density::float8,
       method, table_writes::int, scans::int, rebuilt
     from maint.index_history order by sampled_at`,
  );
}

async function oidOf(database: TestDatabase, index: string): Promise<number> {
  const [row] = await database.query<{ oid: number }>('select $1::regclass::oid::int as oid', [index]);
  return row!.oid;
}

test('a sample for each run in which something changed, none for the others', async (t) => {
  const database = await withItems(t);
  await health(database);
  await health(database);
  t.is((await history(database)).length, 1);
  await database.query('update item set kind = 1 where id <= 100');
  await counted(database);
  await health(database);
  t.is((await history(database)).length, 1, 'too little to matter');
  await thinOut(database, 'item', 30);
  await health(database);
  const [first, second, ...more] = await history(database);
  t.is(more.length, 0);
  t.is(first!.table_writes, 0, 'writes are counted since it is watched');
  t.is(second!.table_writes, 18_100);
  t.true(Math.abs(first!.leaf_density! - 90) < 1);
  t.true(second!.bloat_percent! > 28 && second!.bloat_percent! < 32);
});

test('carried across a rebuild, a rename, and another OID, with step 6 or without it', async (t) => {
  const database = await withItems(t);
  for (const sampled of [true, false]) {
    await database.query(`select maint.configure('features.index_cleanup.enabled', '${sampled}')`);
    const look = (): Promise<unknown> => run(database, { only: ['unused_indexes', 'index_health'] });
    await look();
    const id = (await healthOf(database, 'item_id')).index_id;
    await database.query('reindex index item_id');
    await look();
    t.is((await healthOf(database, 'item_id')).index_id, id);
    await database.query('alter index item_id rename to "Item id"');
    await look();
    t.is((await healthOf(database, 'Item id')).index_id, id);
    const before = await oidOf(database, '"Item id"');
    await database.query('reindex index concurrently "Item id"');
    t.not(await oidOf(database, '"Item id"'), before);
    await look();
    t.is((await healthOf(database, 'Item id')).index_id, id);
    // Both at once: only the server's counters tell that it is the same one.
    await database.query('reindex index concurrently "Item id"');
    await database.query('alter index "Item id" rename to item_id');
    await look();
    t.is((await healthOf(database, 'item_id')).index_id, id);
  }
  const samples = await history(database);
  t.deepEqual(
    samples.map(({ rebuilt }) => rebuilt),
    [false, true, true, true, true, true, true],
  );
  t.is(new Set(samples.map(({ index_id }) => index_id)).size, 1);
});

test('an index that is gone takes its history with it', async (t) => {
  const database = await withItems(t);
  await health(database);
  await database.query('drop index item_id');
  await health(database);
  t.deepEqual(await history(database), []);
  t.deepEqual(await database.query('select from maint.index_health'), []);
});

test('writes go on being counted over a reset of the statistics', async (t) => {
  const database = await withItems(t);
  await health(database);
  await database.query(`update item set id = id + 100000 where id <= 6000`);
  await counted(database);
  await health(database);
  await database.query('select pg_stat_reset()');
  await database.query(`update item set id = id + 100000 where id between 6001 and 9000`);
  await counted(database);
  await health(database);
  const writes = (await history(database)).map(({ table_writes }) => table_writes);
  t.deepEqual(writes, [0, 6000, 9000]);
});

test('samples of old days become one a day, and old days are forgotten', async (t) => {
  const database = await withItems(t);
  await health(database);
  for (const [day, hour, bloat, rebuilt] of [
    [10, 9, 5, true],
    [10, 11, null, false],
    [9, 9, 6, false],
    [2, 9, 7, false],
  ] as const) {
    await database.query(
      `insert into maint.index_sample (usage_id, sampled_at, size_bytes, bloat_percent, method, scans, table_writes, rebuilt)
       select m.usage_id, ((now() at time zone 'utc')::date - $1::int)::timestamp at time zone 'utc' + $2 * interval '1 hour',
         1000, $3, 'all_pages', $2, 100 - $1::int, $4
       from maint.index_measurement as m`,
      [day, hour, bloat, rebuilt],
    );
  }
  await health(database);
  const rows = await history(database);
  t.deepEqual(
    rows.map(({ resolution, samples, bloat_percent: bloat, scans, rebuilt }) => [
      resolution,
      samples,
      bloat,
      scans,
      rebuilt,
    ]),
    [
      ['day', 2, 5, 11, true],
      ['day', 1, 6, 9, false],
      ['run', 1, 7, 9, false],
      ['run', 1, rows[3]!.bloat_percent, 0, false],
    ],
  );
  await configure(database, 'history_days', 9);
  await health(database);
  t.deepEqual(
    (await history(database)).map(({ resolution }) => resolution),
    ['day', 'run', 'run'],
  );
});

test('a dry run leaves nothing behind', async (t) => {
  const database = await withItems(t);
  await thinOut(database, 'item', 50);
  const result = await run(database, { only: ['index_health'], dryRun: true });
  t.is(result.would_report?.[0]?.kind, 'index.bloated');
  t.deepEqual(await history(database), []);
  t.deepEqual(await database.query('select from maint.index_measurement'), []);
});

test('an index that could not be measured has its size in the history all the same', async (t) => {
  const database = await withItems(t);
  await configure(database, 'page_budget', 0);
  await health(database);
  await database.query('insert into item select n, 1, md5(n::text) from generate_series(1, 20000) as n');
  await vacuumed(database, 'item');
  await health(database);
  const [first, second] = await history(database);
  t.is(first!.bloat_percent, null);
  t.is(first!.method, null);
  t.true(second!.size_bytes > first!.size_bytes);
  t.is(second!.table_writes, 20_000);
});

test('a run and a worker that look at the same time take one index for the same', async (t) => {
  const database = await withItems(t);
  await health(database);
  const id = (await healthOf(database, 'item_id')).index_id;
  // Only the server's counters tell now that it is the same one.
  await database.query('reindex index concurrently item_id');
  await database.query('alter index item_id rename to item_other');
  const counters = `update maint.index_usage set counter = counter + $1 where usage_id = ${id}`;
  const look = async (client: pg.Client): Promise<void> => {
    await runAsync(keepIndexIdentities(new Date().toISOString()), connectionHost(client));
  };
  const [first, second] = [await database.client(), await database.client()];
  // One that sees higher counters than the index has now takes it for a new one, and does not say so yet.
  await database.query(counters, [1_000_000]);
  await first.query('begin');
  await look(first);
  await database.query(counters, [-1_000_000]);
  await second.query('begin');
  const looking = look(second);
  await waitForRow(
    database,
    `select from pg_stat_activity
     where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`,
  );
  await first.query('commit');
  await looking;
  await second.query('commit');
  t.is((await database.query(`select from maint.index_usage where index_name = 'item_other'`)).length, 1);
});
