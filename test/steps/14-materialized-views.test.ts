import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { foundNames, openFindings } from '../support/maintenance.ts';
import { check, sales } from '../support/materialized-views.ts';

const { escapeIdentifier: quote } = pg;

/** All statements of the session count at once, instead of within a second. */
const flush = 'select pg_stat_force_next_flush()';

async function write(database: TestDatabase, statement: string): Promise<void> {
  await database.query(statement);
  await database.query(flush);
  await database.query('select 1');
}

/** As if all that step 14 has seen was seen that much earlier. */
async function hoursPass(database: TestDatabase, hours: number): Promise<void> {
  await database.query(
    `update maint.matview_sample set refreshed_before = refreshed_before - make_interval(hours => $1)`,
    [hours],
  );
}

test('a clean database gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await check(database);
  t.is(result.count, 0);
  t.is(result.index_suggestions, 0);
  t.deepEqual(await openFindings(database, 'matview.'), []);
});

test('a view that is filled, uniquely indexed and fresh gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  t.deepEqual((await check(database)).staleness_unknown, [
    { view: 'public.total', because: 'seen for the first time' },
  ]);
  await hoursPass(database, 100);
  const result = await check(database);
  t.is(result.count, 1);
  t.deepEqual(result.staleness_unknown, []);
  t.deepEqual(await openFindings(database, 'matview.'), []);
});

test('one that was never filled is found, and filled by the remedy, those that it reads first', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table base (a int);
    create materialized view below as select a from base with no data;
    create view between as select a from below;
    create materialized view above as select a from between with no data;
  `);
  const result = await check(database);
  t.is(result.unpopulated, 2);
  t.deepEqual(result.refresh_order.names, ['public.below', 'public.above']);
  const [above] = await openFindings(database, 'matview.unpopulated');
  t.is(above!.object_name, 'above');
  await t.throwsAsync(database.query('select from above'), { message: /has not been populated/ });
  await database.query(above!.remedy!);
  t.deepEqual(await database.query('select from above'), []);
  t.is((await check(database)).unpopulated, 0);
  t.deepEqual(await openFindings(database, 'matview.unpopulated'), []);
});

for (const [what, index, usable] of [
  ['on a plain column', 'create unique index i on total (id)', true],
  ['on two columns', 'create unique index i on total (region, id) include (amount)', true],
  ['of the same that treats nulls as equal', 'create unique index i on total (id) nulls not distinct', true],
  ['that is not unique', 'create index i on total (id)', false],
  ['over some rows', 'create unique index i on total (id) where id > 0', false],
  ['on an expression', 'create unique index i on total ((id + 0))', false],
] as const) {
  test(`an index ${what} ${usable ? 'allows' : 'does not allow'} a concurrent refresh`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await database.query(sales);
    await database.query(`drop index total_id`);
    await database.query(index);
    await check(database);
    t.deepEqual(await foundNames(database, 'matview.no_unique_index'), usable ? [] : ['public.total']);
    const refresh = database.query('refresh materialized view concurrently total');
    if (usable) {
      await t.notThrowsAsync(refresh, 'the server agrees');
      return;
    }
    await t.throwsAsync(refresh, { message: /cannot refresh materialized view/ });
    const [finding] = await openFindings(database, 'matview.no_unique_index');
    await database.query(finding!.remedy!);
    await database.query('refresh materialized view concurrently total');
    await check(database);
    t.deepEqual(await foundNames(database, 'matview.no_unique_index'), []);
  });
}

test('no unique index is suggested where no column is known to be unique', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table base as select i % 5 as a from generate_series(1, 100) as i;
    create materialized view repeating as select a from base;
    create materialized view unanalyzed with (autovacuum_enabled = false) as select a from base;
    create materialized view nothing as select;
    analyze repeating;
  `);
  await check(database);
  const findings = await openFindings(database, 'matview.no_unique_index');
  t.deepEqual(
    findings.map(({ object_name, remedy, detail }) => [
      object_name,
      remedy,
      /missing/.test(detail['no_remedy_because'] as string),
    ]),
    [
      ['nothing', null, true],
      ['repeating', null, false],
      ['unanalyzed', null, true],
    ],
  );
});

test('stale: base tables changed and it was not refreshed for a day; fresh again by the remedy', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  await check(database);
  await write(database, 'update sale set amount = amount + 1 where id <= 7');
  t.is((await check(database)).stale, 0, 'changed, but refreshed less than a day ago');
  await hoursPass(database, 23);
  t.is((await check(database)).stale, 0);
  await hoursPass(database, 1);
  t.is((await check(database)).stale, 1);
  const [finding] = await openFindings(database, 'matview.stale');
  t.is(finding!.detail['changes'], 7);
  t.is(finding!.remedy, 'refresh materialized view concurrently public.total;');
  await database.query(finding!.remedy!);
  t.is((await check(database)).stale, 0);
  t.deepEqual(await openFindings(database, 'matview.stale'), []);
  await hoursPass(database, 100);
  t.is((await check(database)).stale, 0, 'nothing was written since');
});

for (const [what, statement, stale] of [
  ['a refresh that finds nothing to change', 'refresh materialized view concurrently total', false],
  ['a refresh', 'refresh materialized view total', false],
  ['a grant', 'grant select on total to public', true],
  ['a grant of what is granted already', 'grant select on total to pg_monitor', true],
  ['a rename', 'alter materialized view total rename to renamed', true],
  ['another schema', 'create schema other; alter materialized view total set schema other', true],
  ['a new index', 'create index on total (region)', true],
  ['a rebuilt index', 'reindex index concurrently total_id', true],
  ['analyze', 'analyze total', true],
  ['vacuum', 'vacuum total', true],
] as const) {
  test(`${what} ${stale ? 'is no refresh' : 'makes it fresh'}`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await database.query(sales);
    await check(database);
    // Written and undone: a refresh will find nothing to change, but the counter can't tell.
    await write(database, 'update sale set amount = 0 where id = 1');
    await write(database, 'update sale set amount = 1 where id = 1');
    await hoursPass(database, 48);
    t.is((await check(database)).stale, 1);
    await database.query('grant select on total to pg_monitor');
    t.is((await check(database)).stale, 1);
    await database.query(statement);
    t.is((await check(database)).stale, stale ? 1 : 0);
  });
}

for (const [what, statement, stale] of [
  ['rows deleted', 'delete from sale where id = 1', true],
  ['truncation', 'truncate sale', true],
  ['a rewrite of the table', 'vacuum full sale', false],
  ['reading', 'select count(*) from sale', false],
  [
    'a write that is rolled back in another table',
    'create table other (a int); insert into other values (1)',
    false,
  ],
] as const) {
  test(`below it ${what} ${stale ? 'is' : 'is not'} a change`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await database.query(sales);
    await check(database);
    await write(database, statement);
    await hoursPass(database, 48);
    t.is((await check(database)).stale, stale ? 1 : 0);
  });
}

test('a reset of the counters makes nothing stale and loses no change seen before', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  await write(database, 'select 1');
  await check(database);
  await database.query('select pg_stat_reset()');
  await hoursPass(database, 48);
  t.is((await check(database)).stale, 0);
  await write(database, 'update sale set amount = 0 where id < 4');
  t.is((await check(database)).stale, 1);
  await database.query('select pg_stat_reset()');
  await check(database);
  const [finding] = await openFindings(database, 'matview.stale');
  t.is(finding!.detail['changes'], 3);
});

test('changes count through views, partitions, inheritance and other materialized views', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table part (k int) partition by list (k);
    create table part_1 partition of part for values in (1) partition by list (k);
    create table part_1_1 partition of part_1 for values in (1);
    create view part_view as select k from part;
    create table parent (k int); create table child () inherits (parent);
    create table alone (k int); insert into alone values (1);
    create materialized view of_part as select k from part_view;
    create materialized view of_parent as select k from parent;
    create materialized view of_alone as select k from alone;
    create materialized view of_matview as select k from of_alone;
    create materialized view of_none as select 1 as k;
  `);
  await write(database, 'select 1');
  await check(database);
  await write(database, 'insert into part values (1); insert into child values (1)');
  await hoursPass(database, 48);
  const result = await check(database);
  t.deepEqual(await foundNames(database, 'matview.stale'), ['public.of_parent', 'public.of_part']);
  t.deepEqual(
    result.staleness_unknown.map(({ view }) => view),
    ['public.of_none'],
  );
  await write(database, 'insert into alone values (2)');
  await check(database);
  const ofAlone = (await openFindings(database, 'matview.stale')).find(
    ({ object_name: name }) => name === 'of_alone',
  );
  await write(database, ofAlone!.remedy!);
  await check(database);
  t.deepEqual(await foundNames(database, 'matview.stale'), [
    'public.of_matview',
    'public.of_parent',
    'public.of_part',
  ]);
});

test('a partition that comes or goes with its rows is a change', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table part (k int) partition by list (k);
    create table part_1 partition of part for values in (1);
    insert into part values (1);
    create materialized view total as select k from part;
  `);
  await write(database, 'create table part_2 partition of part for values in (2)');
  await check(database);
  await write(database, 'create table part_3 partition of part for values in (3)');
  await hoursPass(database, 48);
  t.is((await check(database)).stale, 0, 'an empty one is none');
  await write(database, 'alter table part detach partition part_1');
  t.is((await check(database)).stale, 1);
});

test('what no counter tells is unknown, not fresh', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table base (a int);
    create function hidden() returns bigint language sql stable begin atomic; select count(*) from base; end;
    create extension file_fdw;
    create server files foreign data wrapper file_fdw;
    create foreign table file (a text) server files options (filename '/dev/null');
    create materialized view of_function as select hidden() as a;
    create materialized view of_file as select a from file;
    create materialized view of_both as select base.a from base, file;
  `);
  await check(database);
  const result = await check(database);
  t.deepEqual(result.staleness_unknown, [
    { view: 'public.of_both', because: 'no counter tells what changes in public.file' },
    { view: 'public.of_file', because: 'no counter tells what changes in public.file' },
    { view: 'public.of_function', because: 'no counter tells what changes in public.hidden()' },
  ]);
  await write(database, 'insert into base values (1)');
  await hoursPass(database, 48);
  await check(database);
  t.deepEqual(await foundNames(database, 'matview.stale'), ['public.of_both'], 'what was counted is enough');
});

test('where the server counts nothing, an open finding stays open', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  await check(database);
  await write(database, 'delete from sale where id = 1');
  await hoursPass(database, 48);
  t.is((await check(database)).stale, 1);
  const client = await database.client();
  await client.query('set track_counts = off');
  const uncounted = { ...database, client: () => Promise.resolve(client) };
  const result =
    process.env['MAINT_TEST_HOST'] === 'node'
      ? await check(uncounted)
      : await check({
          ...database,
          query: async (text, params) => (await client.query(text, params)).rows as never,
        });
  t.is(result.stale, 0);
  t.regex(result.staleness_unknown[0]!.because, /track_counts/);
  t.deepEqual(await foundNames(database, 'matview.stale'), ['public.total']);
});

test('samples are kept for views that are there, and written only when something changed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  await write(database, 'create materialized view other as select 1 as a');
  await check(database);
  await check(database);
  const samples = (): Promise<{ version: string }[]> =>
    database.query('select xmin::text as version from maint.matview_sample order by matview_oid');
  const before = await samples();
  t.is(before.length, 2);
  await check(database);
  t.deepEqual(await samples(), before);
  await database.query('drop materialized view other');
  await check(database);
  t.is((await samples()).length, 1);
});

test('every name works, in every schema, and each remedy runs as it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension pg_stat_statements');
  await database.query(
    `select maint.configure('features.materialized_view_support.index_minimum_calls', '1')`,
  );
  await database.query(
    `select maint.configure('features.materialized_view_support.index_minimum_rows', '1')`,
  );
  for (const name of hostileNames) {
    const view = `${quote(name)}.${quote(name)}`;
    await database.query(`
      create schema ${quote(name)};
      create table ${quote(name)}."base" as select i as ${quote(name)} from generate_series(1, 20) as i;
      create materialized view ${view} as select ${quote(name)} from ${quote(name)}."base";
      create materialized view ${quote(name)}."above" as select ${quote(name)} from ${view} with no data;
      analyze ${view};
    `);
    await database.query(`select from ${view} where ${quote(name)} = 7`);
  }
  await check(database);
  for (const [kind, count] of [
    ['matview.unpopulated', hostileNames.length],
    ['matview.no_unique_index', hostileNames.length * 2],
    ['matview.index_suggestion', hostileNames.length],
  ] as const) {
    const findings = await openFindings(database, kind);
    t.is(findings.length, count, kind);
    for (const { remedy } of findings) if (remedy !== null) await database.query(remedy);
  }
  const result = await check(database);
  t.deepEqual(
    [result.unpopulated, result.no_unique_index, result.index_suggestions],
    [0, hostileNames.length, 0],
    'only the unanalyzed ones have none',
  );
});
