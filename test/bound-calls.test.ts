/** Functions of extensions are called as what they are: not one that somebody else has put beside them as the better match. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { indexTools } from '../src/catalog/index-tools.ts';
import { countPages, readLeaves } from '../src/steps/index-health/btree-pages.ts';
import { runInTransaction } from '../src/worker/host.ts';
import { createDatabase } from './support/database.ts';
import type { TestDatabase } from './support/database.ts';
import { createExtensions } from './support/extensions.ts';
import { run, waitForRow } from './support/maintenance.ts';

const table = `
  create table public.item (id int8, name text);
  insert into public.item select g, 'item ' || g % 700 from generate_series(1, 60000) as g;
  create index item_id on public.item (id); create index item_name on public.item (name);
  create index item_gin on public.item using gin (to_tsvector('simple', name));
  analyze public.item`;

async function withExtensions(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(
    database,
    ['pageinspect', 'pgstattuple', 'amcheck', 'pg_stat_statements'],
    'schema public',
  );
  await database.query(table);
  return database;
}

/** Other types than those of the extension's functions, each of which fits a call without casts better, or as well. */
const overloads: readonly [name: string, takes: string][] = [
  ['bt_page_stats', 'pg_catalog.text, pg_catalog.int4'],
  ['bt_page_stats', 'pg_catalog.regclass, pg_catalog.int4'],
  ['bt_page_items', 'pg_catalog.text, pg_catalog.int4'],
  ['bt_metap', 'pg_catalog.regclass'],
  ['bt_metap', 'pg_catalog.name'],
  ['get_raw_page', 'pg_catalog.text, pg_catalog.int4'],
  ['get_raw_page', 'pg_catalog.regclass, pg_catalog.int8'],
  ['page_header', 'pg_catalog.text'],
  ['pgstatindex', 'pg_catalog.oid'],
  ['pgstatindex', 'pg_catalog.int8'],
  ['pgstathashindex', 'pg_catalog.oid'],
  ['pgstatginindex', 'pg_catalog.oid'],
  ['bt_index_check', 'pg_catalog.oid'],
  ['bt_index_check', 'pg_catalog.regclass, pg_catalog.text'],
  ['pg_stat_statements', 'pg_catalog.text'],
  ['pg_stat_statements', 'pg_catalog.bool, pg_catalog.bool'],
];

test('an overload in the schema of an extension is not called, and the steps do their work', async (t) => {
  const database = await withExtensions(t);
  await database.query('create sequence public.called');
  await database.query('grant all on sequence public.called to public');
  for (const [name, takes] of overloads)
    await database.query(`create function public.${name}(${takes}) returns pg_catalog.record language plpgsql as
      $f$ begin perform nextval('public.called'); raise exception 'called'; end $f$`);
  const result = await run(database, {
    only: ['integrity_check', 'index_health', 'pattern_learning', 'workload_analysis', 'materialized_views'],
  });
  t.deepEqual(
    Object.values(result.steps).filter(({ error }) => error !== null),
    [],
  );
  t.is(result.integrity_check.checks['btree_structure']!.status, 'healthy');
  t.is((result.cleanup['index_health'] as Record<string, unknown>)['not_sampled_because'], undefined);
  const [called] = await database.query('select is_called from public.called');
  t.deepEqual(called, { is_called: false });
});

test('a function that is no member of its extension is not called: neither in its place, nor added by the owner of the extension', async (t) => {
  const database = await withExtensions(t);
  await database.query(`
    create function public.bt_index_check_own(pg_catalog.regclass) returns void language sql as '';
    alter extension amcheck drop function public.bt_index_check(regclass);
    alter function public.bt_index_check(regclass) rename to bt_index_check_of_amcheck;
    alter function public.bt_index_check_own(regclass) rename to bt_index_check`);
  const schema = `select maint.extension_schema('amcheck', '{bt_index_check(regclass)}') as schema`;
  t.deepEqual(await database.query(schema), [{ schema: null }]);
  await database.query('alter extension amcheck add function public.bt_index_check(regclass)');
  t.deepEqual(await database.query(schema), [{ schema: null }], 'a member, but not one in C');
  const { checks } = (await run(database, { only: ['integrity_check'] })).integrity_check;
  t.like(checks['btree_structure'], { reason: 'not_installed', detail: 'alter extension amcheck update;' });
});

test('the functions for pages say the same as the pages themselves', async (t) => {
  const database = await withExtensions(t);
  await database.query(`
    create table public.varied (a int, b text, c int8) with (autovacuum_enabled = off);
    insert into public.varied select g % 50, repeat(chr(65 + g % 26), g % 90), nullif(g % 3, 0) * g from generate_series(1, 20000) as g;
    create index varied_few on public.varied (a);
    delete from public.varied where a % 3 = 0`);
  await database.query('set enable_seqscan = off; set enable_bitmapscan = off');
  // Entries of rows that are gone are marked dead by the scan that meets them, once no snapshot needs these.
  await waitForRow(
    database,
    `with scanned as materialized (select count(b) from public.varied where a between 0 and 40)
     select from scanned, generate_series(1, 8) as g, public.bt_page_stats('public.varied_few', g) as s where s.dead_items > 0`,
  );
  await database.query(`
    alter table public.varied add unique (a, b, c);
    create index varied_nulls on public.varied (c, b);
    create index varied_apart on public.varied (a) with (deduplicate_items = off)`);
  const client = await database.client();
  const wanted = await database.query<{ oid: number; blocks: number[]; name: string }>(
    `select c.oid::int4 as oid, c.relname as name, array(
       select b from generate_series(0, pg_relation_size(c.oid) / current_setting('block_size')::int - 1) as b)::int4[] as blocks
     from pg_class as c join pg_am as a on a.oid = c.relam and a.amname = 'btree'
     where c.relnamespace = 'public'::regnamespace order by c.oid`,
  );
  t.true(wanted.length >= 6);
  let dead = 0;
  for (const { name, ...index } of wanted) {
    const direct = { privileged: false, schema: 'public' } as const;
    const privileged = { privileged: true, schema: null } as const;
    // Block 0 is the meta page, which has no statistics.
    const counted = [{ ...index, blocks: index.blocks.slice(1) }];
    t.deepEqual(
      await runInTransaction(client, countPages(counted, privileged)),
      await runInTransaction(client, countPages(counted, direct)),
      name,
    );
    const leaves = await runInTransaction(client, readLeaves(counted, direct));
    t.deepEqual(await runInTransaction(client, readLeaves(counted, privileged)), leaves, name);
    t.true((leaves.get(index.oid) ?? []).length > 0, name);
    dead += (leaves.get(index.oid) ?? []).reduce((sum, { deadBytes }) => sum + deadBytes, 0);
  }
  t.true(dead > 0, 'there were entries marked dead');
});

test('the functions for pages read indexes and nothing else, within their size', async (t) => {
  const database = await withExtensions(t);
  await database.query('create temporary table mine (a int primary key)');
  const refused = async (call: string): Promise<string | undefined> =>
    (
      (await t.throwsAsync(database.query(`select maint_privileged.${call}`), undefined, call)) as {
        code?: string;
      }
    ).code;
  t.is(await refused(`btree_leaves('public.item'::regclass, '{1}')`), '42704');
  t.is(await refused(`btree_page_stats('public.item'::regclass, '{1}')`), '42704');
  t.is(await refused(`btree_page_stats('public.item_gin'::regclass, '{1}')`), '42704');
  t.is(await refused(`index_free_space('public.item_id'::regclass, '{1}')`), '42704');
  t.is(await refused(`btree_page_stats('mine_pkey'::regclass, '{1}')`), '42704');
  t.is(await refused(`btree_page_stats(0, '{1}')`), '42704');
  t.is(await refused(`btree_page_stats('public.item_id'::regclass, '{100000}')`), '22023');
  t.is(await refused(`btree_page_stats('public.item_id'::regclass, '{-1}')`), '22023');
  t.is(await refused(`btree_page_stats('public.item_id'::regclass, '{null}')`), '22023');
  t.is(await refused(`btree_page_stats('public.item_id'::regclass, '{{1},{2}}')`), '22023');
  t.is(await refused(`btree_leaves('public.item_id'::regclass, array_fill(1::int8, array[4001]))`), '22023');
});

test('functions in maint_privileged are used only where they belong to a superuser', async (t) => {
  const database = await withExtensions(t);
  const [installation] = await database.query<{ owner: string; superuser: boolean }>(
    `select r.rolname as owner, r.rolsuper as superuser from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
     where n.nspname = 'maint'`,
  );
  t.false(installation!.superuser);
  const client = await database.client();
  await client.query(`set role ${installation!.owner}`);
  const reader = async (): Promise<unknown> => (await runInTransaction(client, indexTools())).page_reader;
  t.deepEqual(await reader(), { privileged: true, schema: null });
  await database.query(`alter schema maint_privileged owner to ${installation!.owner}`);
  t.is(await reader(), null);
  await database.query(
    `alter schema maint_privileged owner to postgres; grant usage on schema maint_privileged to ${installation!.owner}`,
  );
  t.deepEqual(await reader(), { privileged: true, schema: null });
  await database.query(
    `alter function maint_privileged.btree_leaves(oid, int8[]) owner to ${installation!.owner}`,
  );
  t.is(await reader(), null);
});

test('who owns the schema of pageinspect cannot put functions in place of its own while pages are read', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = `owner_${database.name}`;
  await database.query(`create role ${other}; create schema tools authorization ${other}`);
  t.teardown(async () => {
    const client = await database.client();
    await client.query(`drop owned by ${other} cascade; drop role ${other}`);
  });
  await createExtensions(database, ['pageinspect'], 'schema tools');
  await database.query(table);
  const reading = await database.client();
  const taking = await database.client();
  await taking.query(`set role ${other}; set lock_timeout = '200ms'`);
  await reading.query('begin');
  const look = `select maint_privileged.btree_page_stats('public.item_id'::regclass, '{1}')`;
  await reading.query(look);
  const refused = await t.throwsAsync<pg.DatabaseError>(taking.query('drop schema tools cascade'));
  t.is(refused.code, '55P03');
  await reading.query(look);
  await reading.query('commit');
  await taking.query('drop schema tools cascade');
  t.is((await t.throwsAsync<pg.DatabaseError>(reading.query(look))).code, '0A000');
});
