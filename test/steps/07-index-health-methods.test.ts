import test from 'ava';
import {
  configure,
  counted,
  health,
  healthOf,
  thinOut,
  truth,
  vacuumed,
  withItems,
} from '../support/index-health.ts';
import { unprivilegedInstallation } from '../support/sessions.ts';
import { createExtensions } from '../support/extensions.ts';

test('a large index is sampled, and the answer is near the truth', async (t) => {
  const database = await withItems(t, { rows: 300_000 });
  await thinOut(database, 'item', 25);
  await health(database);
  const {
    method,
    bloat_percent: bloat,
    error_points: error,
    pages_read: read,
  } = await healthOf(database, 'item_id');
  t.is(method, 'sampled_pages');
  t.true(read! < 600, `${read} pages`);
  t.true(error! < 2.5, `± ${error}`);
  const real = await truth(database, 'item_id');
  t.true(Math.abs(bloat! - real) < 3, `${bloat}, in truth ${real}`);
});

test('more pages are read where the verdict hangs on it', async (t) => {
  const database = await withItems(t, { rows: 300_000 });
  // Full and nearly empty pages by turns, of which every sample has another share.
  await database.query('delete from item where id / 1000 % 5 = 0 and id % 20 <> 0');
  await vacuumed(database, 'item');
  await configure(database, 'bloat_threshold', 50);
  await health(database);
  const far = await healthOf(database, 'item_id');
  await configure(database, 'bloat_threshold', Math.round(far.bloat_percent! * 100) / 100);
  await database.query('delete from maint.index_measurement');
  await health(database);
  const near = await healthOf(database, 'item_id');
  t.true(near.pages_read! >= far.pages_read!, `${far.pages_read} pages, then ${near.pages_read}`);
  t.true(near.error_points! <= far.error_points!, `± ${far.error_points}, then ± ${near.error_points}`);
});

test('each access method has its own measure', async (t) => {
  const database = await withItems(t, { rows: 30_000 });
  await configure(database, 'min_size_mb', 0);
  await database.query(`
    drop index item_id;
    alter table item add words text[], add place point;
    update item set words = array[name, left(name, 3)], place = point(id, kind);
    create index item_hash on item using hash (name);
    create index item_gin on item using gin (words) with (fastupdate = on);
    create index item_gist on item using gist (place);
    create index item_spgist on item using spgist (place);
    create index item_brin on item using brin (id)`);
  // Else the versions before the update would be in the new indexes, as dead rows.
  await vacuumed(database, 'item');
  await database.query('vacuum full item');
  await vacuumed(database, 'item');
  await health(database);
  t.deepEqual(
    await database.query(`select index_name, why from maint.index_health where verdict = 'bloated'`),
    [],
    'all of them are new',
  );
  const brin = await healthOf(database, 'item_brin');
  t.like(brin, { verdict: 'healthy', method: 'no_bloat' });
  const hash = await healthOf(database, 'item_hash');
  t.is(hash.method, 'pgstathashindex');
  const hashTruth = await truth(database, 'item_hash');
  t.true(
    Math.abs(hash.bloat_percent! - hashTruth) <= hash.error_points! + 3,
    `${hash.bloat_percent}, in truth ${hashTruth}`,
  );

  await database.query('delete from item where id % 10 <> 0');
  await vacuumed(database, 'item');
  await database.query(
    `insert into item select n, 1, 'x', array[n::text], point(n, n) from generate_series(1, 50) as n`,
  );
  await counted(database);
  t.true((await health(database)).gin_pending_pages! >= 1);
  for (const name of ['item_gin', 'item_gist', 'item_spgist']) {
    const { verdict, method, why } = await healthOf(database, name);
    t.regex(method!, /_pages$/, name);
    t.true(verdict === 'bloated' || verdict === 'unknown', `${name} is ${verdict}: ${why}`);
    const real = await truth(database, name);
    const [interval] = await database.query<{ low: number; high: number }>(
      `select bloat_low::float8 as low, bloat_high::float8 as high from maint.index_health where index_name = $1`,
      [name],
    );
    t.true(
      interval!.low <= real && real <= interval!.high,
      `${name}: ${JSON.stringify(interval)}, in truth ${real}`,
    );
  }
});

test('without pageinspect the whole index is read, within the budget', async (t) => {
  const database = await withItems(t, { extensions: ['pgstattuple'] });
  await database.query('create unique index item_unique on item (id)');
  await thinOut(database, 'item', 40);
  const result = await health(database);
  t.like(result, { not_sampled_because: 'not_installed: create extension pageinspect' });
  const { method, bloat_percent: bloat } = await healthOf(database, 'item_unique');
  t.is(method, 'pgstatindex');
  const real = await truth(database, 'item_unique');
  t.true(Math.abs(bloat! - real) < 2, `${bloat}, in truth ${real}`);
  t.is((await healthOf(database, 'item_id')).verdict, 'bloated');

  await createExtensions(database, ['pageinspect']);
  await health(database);
  t.is((await healthOf(database, 'item_id')).method, 'all_pages', 'a better way is taken once there is one');
});

test('without any extension it is an estimate, and none where that is known to fail', async (t) => {
  const database = await withItems(t, { extensions: [] });
  await database.query(`
    create unique index item_unique on item (id);
    create index item_kind on item (kind);
    create index item_lower on item (lower(name));
    create index item_some on item (id) where kind < 9;
    update item set name = null where id % 2 = 0;
    create index item_null on item (name)`);
  await configure(database, 'min_size_mb', 0);
  await vacuumed(database, 'item');
  await thinOut(database, 'item', 50);
  t.like(await health(database), { not_sampled_because: 'not_installed: create extension pageinspect' });
  const unique = await healthOf(database, 'item_unique');
  t.is(unique.method, 'statistics');
  const real = await truth(database, 'item_unique');
  t.true(Math.abs(unique.bloat_percent! - real) < 4, `${unique.bloat_percent}, in truth ${real}`);
  for (const [name, reason] of [
    ['item_kind', /keys repeat/],
    ['item_lower', /expression/],
    ['item_some', /partial/],
    ['item_null', /mostly null/],
  ] as const) {
    const { verdict, not_measured: why } = await healthOf(database, name);
    t.is(verdict, 'unknown', name);
    t.regex(why!, reason);
  }
});

test('a role that may read neither pages nor statistics says so, and calls nothing healthy', async (t) => {
  const { database, run } = await unprivilegedInstallation(t);
  await database.query('create extension pageinspect; create extension pgstattuple');
  await database.query(`create table public.theirs (id int) with (autovacuum_enabled = false);
    insert into public.theirs select generate_series(1, 60000); create index theirs_id on public.theirs (id)`);
  await vacuumed(database, 'public.theirs');
  const { cleanup, status } = await run(['index_health']);
  t.is(status, 'partial');
  t.like(cleanup['index_health'], {
    healthy: 0,
    bloated: 0,
    unknown: 1,
    unknown_because: { not_permitted: 1 },
    not_sampled_because: 'not_permitted: only a superuser may read pages with pageinspect',
  });
});

test('the extension may live in any schema, under any name', async (t) => {
  const database = await withItems(t, { extensions: [] });
  await database.query('create schema "My tools"');
  await createExtensions(database, ['pageinspect'], 'schema "My tools"');
  t.like(await health(database), { healthy: 1 });
  t.is((await healthOf(database, 'item_id')).method, 'all_pages');
});
