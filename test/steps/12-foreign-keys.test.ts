import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { foundNames, openFindings, requireDone, run } from '../support/maintenance.ts';
import type { FindingRow } from '../support/maintenance.ts';

const kind = 'fk.unindexed';
const only = ['foreign_keys'];
const { escapeIdentifier: quote } = pg;

interface Suggestions {
  count: number | null;
  suggestions: { summary: string; statement: string | null }[];
  joins: { status: string; reason?: string };
}

async function suggestions(database: TestDatabase): Promise<Suggestions> {
  return (await run(database, { only })).cleanup['foreign_key_suggestions'] as unknown as Suggestions;
}

/** Runs each statement of a remedy by itself, as psql does. */
async function apply(database: TestDatabase, { remedy }: Pick<FindingRow, 'remedy'>): Promise<void> {
  for (const statement of remedy!.split(/;\n|;$/).filter((each) => each !== ''))
    await database.query(statement);
}

/** Whether the server itself now finds the referencing rows of one key by an index. */
async function planOf(database: TestDatabase, text: string): Promise<string> {
  await database.query('set enable_seqscan = off');
  const rows = await database.query<{ 'QUERY PLAN': string }>(`explain ${text}`);
  await database.query('reset enable_seqscan');
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

const shop = `
  create schema shop;
  create table shop.customer (id int primary key, region int, code text, unique (region, code));
  create table shop."order" (id int primary key, customer int references shop.customer);
`;

test('a clean database gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await suggestions(database);
  t.is(result.count, 0);
  t.deepEqual(result.suggestions, []);
});

test('found, and served by what the remedy makes', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(shop);
  const result = await suggestions(database);
  t.is(result.count, 1);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.object_name, 'order_customer_fkey');
  t.is(finding!.table_name, 'order');
  t.is(finding!.severity, 'info', 'an empty table');
  t.deepEqual(finding!.detail['columns'], ['customer']);
  t.is(finding!.detail['referenced_table'], 'customer');
  t.is(result.suggestions[0]!.statement, finding!.remedy);
  await apply(database, finding!);
  t.regex(await planOf(database, 'select from shop."order" where customer = 1'), /Index (Only )?Scan|Bitmap/);
  t.is((await suggestions(database)).count, 0);
  t.deepEqual(await openFindings(database, kind), []);
});

for (const [what, index, served] of [
  ['the columns in another order, and more behind them', '(b, a, c)', true],
  ['all columns only as INCLUDE', '(a) include (b)', false],
  ['another column before them', '(c, a, b)', false],
  ['another column between them', '(a, c, b)', false],
  ['BRIN', 'using brin (a, b)', false],
  ['an expression', '((a + 0), b)', false],
  ['rows with the key only', '(a, b) where a is not null and b is not null', true],
  ['rows with another column only', '(a, b) where c is not null', false],
  ['some of the rows', '(a, b) where a > 0', false],
  ['one column of two', '(a)', false],
] as const) {
  test(`an index with ${what} ${served ? 'serves' : 'does not serve'}`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await database.query(`
      create table parent (a int, b int, primary key (a, b));
      create table child (a int, b int, c int, foreign key (a, b) references parent);
      create index on child ${index};
    `);
    t.deepEqual(await foundNames(database, kind), []);
    await run(database, { only });
    t.deepEqual(await foundNames(database, kind), served ? [] : ['public.child_a_b_fkey']);
  });
}

test('hash serves one column; an invalid index serves none', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table parent (id int primary key);
    create table hashed (p int references parent);
    create index on hashed using hash (p);
    create table broken (p int references parent);
    create index broken_idx on broken (p);
    update pg_index set indisvalid = false where indexrelid = 'broken_idx'::regclass;
  `);
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['public.broken_p_fkey']);
});

test('every kind of foreign key, each once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table node (id int primary key, parent int constraint own references node);
    create table pair (a int, b int, unique (a, b));
    create table child (
      a int, b int, p int, q int, r int,
      constraint whole foreign key (a, b) references pair (a, b) match full,
      constraint late foreign key (p) references node deferrable initially deferred,
      constraint cascades foreign key (q) references node on delete cascade);
    insert into child (r) values (99);
  `);
  await database.query(`
    alter table child add constraint unproven foreign key (r) references node not valid;
    create temp table passing (p int);
  `);
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.deepEqual(
    findings.map(({ object_name }) => object_name),
    ['cascades', 'late', 'unproven', 'whole', 'own'],
  );
  t.is(findings.find(({ object_name: name }) => name === 'unproven')!.detail['validated'], false);
  for (const finding of findings) await apply(database, finding);
  t.is((await suggestions(database)).count, 0);
});

test('one that casts its column has no remedy, and says why', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `
    create table parent (id numeric primary key);
    create table child (p int references parent);
    create index on child (p);
    create table same_family (p bigint references node_id (id));
  `
      .replace('node_id', 'ids')
      .replace('create table parent', 'create table ids (id int primary key); create table parent'),
  );
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.deepEqual(
    findings.map(({ table_name, remedy }) => [table_name, remedy]),
    [
      ['child', null],
      ['same_family', 'create index concurrently on public.same_family (p);'],
    ],
  );
  t.regex(findings[0]!.detail['no_remedy_because'] as string, /another type/);
  t.notRegex(
    await planOf(database, 'select from child where 1::numeric = p'),
    /Index Cond/,
    'as the server sees it',
  );
});

const partitioned = `
  create table parent (id int primary key);
  create table child (k int, p int references parent) partition by list (k);
  create table child_1 partition of child for values in (1);
  create table child_2 partition of child for values in (2, 3) partition by list (k);
  create table child_2_2 partition of child_2 for values in (2);
  create table child_2_3 partition of child_2 for values in (3);
`;

test('a partitioned foreign key is judged once, over its tree', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(partitioned);
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['public.child_p_fkey']);
  const [finding] = await openFindings(database, kind);
  t.is(finding!.table_name, 'child');
  t.is((finding!.detail['partitions_without_index'] as string[]).length, 3);

  // Half served: an index that fits and can be taken, and one that serves but has to be made anew.
  await database.query(
    'create index taken on child_1 (p); create index partly on child_2_2 (p) where p is not null',
  );
  await run(database, { only });
  const [half] = await openFindings(database, kind);
  t.deepEqual(half!.detail['partitions_without_index'], ['public.child_2_3']);
  await apply(database, half!);
  t.is((await suggestions(database)).count, 0);
  const [tree] = await database.query<{ valid: boolean; leaves: string[] }>(
    `select bool_and(x.indisvalid) as valid,
       array_agg(x.indrelid::regclass::text order by 1) filter (where t.isleaf) as leaves
     from pg_index i, pg_partition_tree(i.indexrelid) t join pg_index x on x.indexrelid = t.relid
     where i.indrelid = 'child'::regclass`,
  );
  t.true(tree!.valid);
  t.deepEqual(tree!.leaves.sort(), ['child_1', 'child_2_2', 'child_2_3']);
  const made = await database.query(`select from pg_class where relkind = 'i' and relname like 'maint_fk_%'`);
  t.is(made.length, 2, 'the index that fitted was taken');
});

test('indexes on all partitions serve it, and so does one on the partitioned table', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(partitioned);
  await database.query('create index on child_1 (p); create index on child_2 (p)');
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), []);
  await database.query('drop index child_1_p_idx');
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['public.child_p_fkey']);
  await database.query('create index on child (p)');
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), []);
});

test('a key to a partitioned table is one key, and its partitions count as the parent', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table parent (id int primary key) partition by range (id);
    create table parent_1 partition of parent for values from (0) to (10);
    create table parent_2 partition of parent for values from (10) to (20);
    create table child (p int references parent);
    insert into parent select generate_series(0, 19);
    delete from parent where id > 15;
    select pg_stat_force_next_flush();
  `);
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.deepEqual(
    findings.map(({ object_name }) => object_name),
    ['child_p_fkey'],
  );
  t.is(findings[0]!.detail['parent_deletes'], 4);
});

test('ranked by size, by deletes in the parent and by joins; small ones are notices', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create extension pg_stat_statements;
    create table calm (id int primary key); create table busy (id int primary key); create table joined (id int primary key);
    create table to_calm (p int references calm); create table to_busy (p int references busy);
    create table to_joined (p int references joined); create table tiny (p int references calm);
    insert into calm select generate_series(1, 100); insert into joined select generate_series(1, 100);
    insert into busy select generate_series(1, 600); delete from busy where id > 100;
    insert into to_calm select 1 + n % 100 from generate_series(1, 2000) as n;
    insert into to_busy select 1 + n % 100 from generate_series(1, 2000) as n;
    insert into to_joined select 1 + n % 100 from generate_series(1, 2000) as n;
    insert into tiny values (null);
    analyze to_calm; analyze to_busy; analyze to_joined; analyze tiny;
    select pg_stat_force_next_flush();
  `);
  for (let call = 0; call < 3; call += 1)
    await database.query('select count(*) from to_joined c join joined as p on p.id = c.p where c.p > 5');
  const result = await suggestions(database);
  t.is(result.joins.status, 'counted');
  const rank = await database.query<{ table_name: string; severity: string; joins: string | null }>(
    `select table_name, severity, detail ->> 'joins' as joins from maint.findings where kind = $1 order by finding_id`,
    [kind],
  );
  t.deepEqual(
    rank.map(({ table_name, severity, joins }) => [table_name, severity, joins]),
    [
      ['to_busy', 'warning', '0'],
      ['to_joined', 'info', '3'],
      ['to_calm', 'info', '0'],
      ['tiny', 'info', '0'],
    ],
  );
  await database.query(
    `select maint.configure('features.foreign_key_suggestions.minimum_rows', '5000', 'table:public.to_busy')`,
  );
  await run(database, { only });
  const [busy] = await database.query(`select severity from maint.findings where table_name = 'to_busy'`);
  t.is(busy!['severity'], 'info');
});

test('what an index would cost its writers is told, and one that only costs is held back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create extension pg_stat_statements;
    create table calm (id int primary key); create table busy (id int primary key);
    create table to_calm (p int references calm, n int); create index on to_calm (n);
    create table to_busy (p int references busy);
    insert into calm select generate_series(1, 50);
    insert into busy select generate_series(1, 600); delete from busy where id > 50;
    select pg_stat_force_next_flush();
  `);
  await database.query('select maint.sample_workload(clock_timestamp())');
  await database.query(`
    insert into to_calm select 1 + n % 50 from generate_series(1, 3000) as n;
    insert into to_busy select 1 + n % 50 from generate_series(1, 2000) as n;
    analyze to_calm; analyze to_busy;
    select pg_stat_force_next_flush()`);
  await database.query('select maint.sample_workload(clock_timestamp())');
  await run(database, { only });
  const findings = await database.query<{
    table_name: string;
    severity: string;
    detail: Record<string, unknown>;
  }>(`select table_name, severity, detail from maint.findings where kind = $1 order by finding_id`, [kind]);
  t.deepEqual(
    findings.map(({ table_name, severity }) => [table_name, severity]),
    [
      ['to_busy', 'warning'],
      ['to_calm', 'info'],
    ],
  );
  const [busy, calm] = findings;
  t.is(busy!.detail['held_back_because'], undefined);
  t.like(busy!.detail['write_cost'], { indexes_on_table: 0, rows_inserted: 2000, new_entries: 2000 });
  t.like(calm!.detail['write_cost'], { indexes_on_table: 1, rows_inserted: 3000, new_entries: 3000 });
  t.regex(calm!.detail['held_back_because'] as string, /^3000 rows were written in /);
});

test('without pg_stat_statements joins are unknown, not none', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(shop);
  const result = await suggestions(database);
  t.deepEqual([result.joins.status, result.joins.reason], ['unknown', 'not_installed']);
  t.is((await openFindings(database, kind))[0]!.detail['joins'], null);
});

test('the result names five, the findings all', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table parent (id int primary key)');
  for (let number = 0; number < 7; number += 1)
    await database.query(`create table child_${number} (p int references parent)`);
  const result = await suggestions(database);
  t.is(result.count, 7);
  t.is(result.suggestions.length, 5);
  t.is((await openFindings(database, kind)).length, 7);
});

test('every name works, in every schema, and the remedy runs as it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const name of hostileNames) {
    const schema = quote(name);
    const table = `${schema}.${quote(name)}`;
    await database.query(`
      create schema ${schema};
      create table ${table} (${quote(name)} int primary key, ${quote('other ' + name.slice(0, 10))} int
        constraint ${quote(name + '_fk'.slice(0, name.length === 63 ? 0 : 3))} references ${table});
      create table ${schema}.tree (k int, ${quote(name)} int constraint in_tree references ${table}) partition by list (k);
      create table ${schema}.${quote('leaf')} partition of ${schema}.tree for values in (1);
    `);
  }
  await run(database, { only });
  const findings = await openFindings(database, kind);
  t.is(findings.length, hostileNames.length * 2);
  for (const { remedy } of findings) {
    // Names may hold a semicolon and a line break: the statements of a remedy begin at known words.
    const statements = remedy!.split(/;\n(?=create index |alter index )/);
    for (const statement of statements) await database.query(statement);
  }
  t.is((await suggestions(database)).count, 0);
});

test('not due again before six hours, and off when switched off', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(shop);
  await database
    .query(`select maint.configure('operational.maintenance_tasks.interval', '0')`)
    .catch(() => undefined);
  await run(database, { only });
  await database.query(`update maint.run_log set started_at = started_at - interval '5 hours 59 minutes'`);
  await database.query(`update maint.step_log set started_at = started_at - interval '5 hours 59 minutes'`);
  t.is((await run(database, { only, force: false })).steps['foreign_keys']!.reason, 'not_due');
  await database.query(`update maint.run_log set started_at = started_at - interval '2 minutes'`);
  await database.query(`update maint.step_log set started_at = started_at - interval '2 minutes'`);
  const due = await run(database, { only, force: false });
  t.notThrows(() => {
    requireDone(due, 'foreign_keys');
  });
  await database.query(`select maint.configure('features.foreign_key_suggestions.enabled', 'false')`);
  const off = await run(database, { only });
  t.is(off.steps['foreign_keys']!.reason, 'disabled');
  t.is((off.cleanup['foreign_key_suggestions'] as unknown as Suggestions).count, null, 'unknown, not zero');
  t.is((await openFindings(database, kind)).length, 1);
});
