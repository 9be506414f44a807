/**
 * All findings of steps 6, 10, 12 and 14 on random schemas, applied in random order, with the server as judge: every query that an index
 * served is served still, every unique key is enforced, every foreign key that was served is served. MAINT_TEST_ROUNDS tries more schemas.
 */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow } from '../support/index-usage.ts';
import { openFindings, run } from '../support/maintenance.ts';
import { Random, seedOfRun } from './random.ts';
import { randomTable, rowValues } from './random-schema.ts';
import type { IndexSpec, TableSpec } from './random-schema.ts';
import { lost, planTraits, servedQueries, undone } from './served-queries.ts';
import type { PlanTraits, ServedQuery } from './served-queries.ts';

const rounds = Number(process.env['MAINT_TEST_ROUNDS'] ?? '1');
const tableCount = 8;
const indexesPerTable = 9;
const rowCount = 150;
const steps = ['unused_indexes', 'redundant_indexes', 'foreign_keys', 'materialized_views'];

/** A query that was run, or one that a foreign key runs, and how it was planned before anything was dropped. */
interface Shape {
  table: string;
  query: ServedQuery;
  before: PlanTraits;
}

function insertOf(table: string, row: number, like?: { row: number; index: IndexSpec }): string {
  const values = rowValues(row);
  for (const { text } of like?.index.keys ?? [])
    for (const column of text.match(/\b[abcdn]\b/g) ?? []) values[column] = rowValues(like!.row)[column]!;
  return `insert into ${table} (${Object.keys(values).join(', ')}) values (${Object.values(values).join(', ')})`;
}

/** Keys of each table to a parent, some with an index for them, and some materialized views over it. */
async function makeSchema(client: pg.Client, random: Random): Promise<TableSpec[]> {
  const rows = (offset: number): string => `select n from generate_series(${offset}, ${offset + 999}) as n`;
  await client.query(`create table parent (id int primary key); insert into parent ${rows(0)};
    create table parent_b (id int primary key); insert into parent_b ${rows(1000)};
    create table parent_ab (a int, b int, primary key (a, b)); insert into parent_ab select n, n + 1000 from (${rows(0)}) as r (n)`);
  const tables = Array.from({ length: tableCount }, (_, place) =>
    randomTable(random, `t${place}`, indexesPerTable),
  );
  for (const { name, statements } of tables) {
    for (const statement of statements) await client.query(statement);
    const keys = [
      '(a) references parent',
      '(b) references parent_b',
      '(a, b) references parent_ab',
      '(n) references parent',
    ];
    for (const key of random.sample(keys, random.below(4)))
      await client.query(`alter table ${name} add foreign key ${key}`);
    for (const key of random.sample(
      ['b', 'n', 'n, b', 'b, a, n', 'a, b, n', 'n) where (n is not null'],
      random.below(3),
    ))
      await client.query(`create index on ${name} (${key})`);
    for (let row = 1; row <= rowCount; row += 1) await client.query(insertOf(name, row));
    if (random.chance(0.4)) {
      await client.query(`create materialized view m_${name} as select a, b, c, n from ${name}`);
      for (const key of random.sample(['a', 'a, b', 'b', 'a, b, c', 'c'], 3))
        await client.query(`create index on m_${name} (${key})`);
    }
  }
  await client.query('analyze');
  return tables;
}

/** Runs some of the queries that the indexes can serve, so that those that serve them are in use. */
async function useSome(
  database: TestDatabase,
  random: Random,
  tables: readonly TableSpec[],
): Promise<Shape[]> {
  const client = await database.client();
  const shapes: Shape[] = [];
  const views = await database.query<{ name: string }>(
    'select matviewname as name from pg_matviews order by 1',
  );
  const queries = [
    // A search by a predicate alone may be lost with a smaller index, as its finding says.
    ...tables.flatMap(({ name, indexes }) =>
      indexes.flatMap((index) => servedQueries(index, false).map((query) => ({ table: name, query }))),
    ),
    ...views.flatMap(({ name }) =>
      ['a = 7', 'a = 7 and b = 7', 'b = 7', `c = 'x'`].map((condition) => ({
        table: name,
        query: { text: `select * from %t where ${condition}`, settings: [] },
      })),
    ),
  ];
  for (const { table, query } of queries) {
    if (!random.chance(0.2)) continue;
    const before = await undone(client, () => planTraits(client, query, table));
    if (!before.indexed) continue;
    shapes.push({ table, query, before });
    await undone(client, async () => {
      for (const setting of ['enable_seqscan = off', ...query.settings])
        await client.query(`set local ${setting}`);
      await client.query(query.text.replaceAll('%t', table));
    });
  }
  await client.query('select pg_stat_force_next_flush()');
  await client.end();
  return shapes;
}

/** What the server asks for a foreign key when a referenced row goes: by all columns of the key. */
async function keyShapes(client: pg.Client): Promise<Shape[]> {
  const { rows } = await client.query<{ table: string; condition: string }>(
    `select k.conrelid::regclass::text as table, (
       select string_agg(format('%I = 7', a.attname), ' and ' order by a.attnum)
       from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) as condition
     from pg_constraint k where k.contype = 'f' and k.connamespace = 'public'::regnamespace order by 1, 2`,
  );
  const shapes: Shape[] = [];
  for (const { table, condition } of rows) {
    const query = { text: `select 1 from only %t where ${condition}`, settings: [] };
    shapes.push({ table, query, before: await undone(client, () => planTraits(client, query, table)) });
  }
  return shapes;
}

/** Runs the steps together, or one by one in some order, as intervals and `only` would have it. */
async function find(database: TestDatabase, random: Random): Promise<void> {
  if (random.chance(0.4))
    for (const step of random.sample(steps, steps.length)) await run(database, { only: [step] });
  else await run(database, { only: steps });
}

async function applyAll(
  t: ExecutionContext,
  database: TestDatabase,
  random: Random,
  what: string,
): Promise<string[]> {
  const findings = [];
  for (const kind of ['index.', 'fk.', 'matview.']) findings.push(...(await openFindings(database, kind)));
  const drops = findings.filter(({ remedy }) => remedy?.startsWith('drop index') === true);
  const dropped = drops.map(({ schema_name, object_name }) => `${schema_name!}.${object_name!}`);
  t.deepEqual([...new Set(dropped)], dropped, `${what}: one finding that drops an index`);
  for (const { detail } of drops)
    t.false(dropped.includes(`public.${detail['covered_by'] as string}`), `${what}: a keeper is dropped`);
  const applied: string[] = [];
  for (const { remedy } of random.sample(findings, findings.length)) {
    for (const statement of (remedy ?? '').split(/;\n?/).filter((each) => each.trim() !== '')) {
      await t.notThrowsAsync(database.query(statement), `${what}: ${statement}`);
      applied.push(statement);
    }
  }
  return applied;
}

async function judge(
  t: ExecutionContext,
  client: pg.Client,
  shapes: readonly Shape[],
  tables: readonly TableSpec[],
  what: string,
): Promise<void> {
  for (const { table, query, before } of shapes) {
    const after = await undone(client, () => planTraits(client, query, table));
    t.is(lost(before, after), null, `${what}: ${query.text} on ${table}`);
  }
  for (const { name, indexes } of tables) {
    for (const index of indexes.filter(({ unique }) => unique)) {
      const duplicate = insertOf(name, rowCount + 1, { row: 1, index });
      // A deferrable constraint would find it at the end only.
      const refused = await undone(client, () =>
        client.query(`set constraints all immediate; ${duplicate}`),
      ).then(
        () => 'no error',
        (error: unknown) => (error as pg.DatabaseError).code,
      );
      t.is(refused, '23505', `${what}: ${index.name} of ${name}: ${duplicate}`);
    }
  }
}

test('all findings can be applied, in any order: what was served is served, what was unique is unique', async (t) => {
  t.timeout(120_000 * rounds);
  const first = seedOfRun();
  t.log(`MAINT_TEST_SEED=${first}`);
  for (let round = 0; round < rounds; round += 1) {
    const seed = first + round;
    const random = new Random(seed);
    const database = await createDatabase(t, { template: 'installed' });
    const client = await database.client();
    const tables = await makeSchema(client, random);
    await judgeNow(database);
    await database.query(`select maint.configure('features.index_cleanup.min_scans', '1')`);
    const keys = await keyShapes(client);
    const shapes = [
      ...(await useSome(database, random, tables)),
      ...keys.filter(({ before }) => before.indexed),
    ];
    const counts = [];
    for (const time of ['first', 'second']) {
      const what = `MAINT_TEST_SEED=${seed}, ${time} run`;
      await find(database, random);
      const applied = await applyAll(t, database, random, what);
      await judge(t, client, shapes, tables, `${what}\n${applied.join('\n')}`);
      counts.push(applied.length);
    }
    t.log(`${shapes.length} queries in use, ${counts.join(' and ')} statements applied`);
    t.true(shapes.length > 30 && counts[0]! > 15, `MAINT_TEST_SEED=${seed}: something to prove`);
    await client.end();
  }
});
