/** Each verdict of step 10 on random schemas, proven by the server; and what it must find, by a naive oracle. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';
import { Random, seedOfRun } from './random.ts';
import { createIndex, randomTable, rowValues } from './random-schema.ts';
import type { IndexSpec, TableSpec } from './random-schema.ts';
import { lost, planTraits, servedQueries, undone } from './served-queries.ts';

const only = ['redundant_indexes'];
const tableCount = 20;
const indexesPerTable = 16;

interface Verdict {
  table: TableSpec;
  index: IndexSpec;
  keeper: IndexSpec;
  sameRows: boolean;
  remedy: string;
}

async function verdicts(database: TestDatabase, tables: readonly TableSpec[]): Promise<Verdict[]> {
  const findings = await openFindings(database, 'index.redundant');
  return findings.map(({ table_name, object_name, detail, remedy }) => {
    const table = tables.find(({ name }) => name === table_name)!;
    const named = (name: unknown): IndexSpec => table.indexes.find((index) => index.name === name)!;
    return {
      table,
      index: named(object_name),
      keeper: named(detail['covered_by']),
      sameRows: detail['difference'] !== 'fewer_rows',
      remedy: remedy!.replace(' concurrently', ''),
    };
  });
}

/** A row that has the key of row `like`, and all else of its own. */
function insertOf(table: string, row: number, index?: IndexSpec, like = row): string {
  const values = rowValues(row);
  for (const { text } of index?.keys ?? []) {
    for (const column of text.match(/\b[abcdn]\b/g) ?? []) values[column] = rowValues(like)[column]!;
  }
  return `insert into ${table} (${Object.keys(values).join(', ')}) values (${Object.values(values).join(', ')})`;
}

async function sqlstateOf(client: pg.Client, statement: string): Promise<string> {
  await client.query('savepoint statement');
  try {
    await client.query(statement);
    return 'none';
  } catch (error) {
    return (error as pg.DatabaseError).code ?? String(error);
  } finally {
    await client.query('rollback to savepoint statement');
  }
}

/** The keeper alone must serve what the candidate alone serves: nothing else on the table may help it. */
async function proveAlone(
  t: ExecutionContext,
  client: pg.Client,
  verdict: Verdict,
  seed: string,
): Promise<number> {
  const { index, keeper, table } = verdict;
  await client.query(
    `create table with_candidate (like ${table.name}); create table with_keeper (like ${table.name})`,
  );
  await client.query(createIndex(index, 'with_candidate', 'the_candidate'));
  await client.query(createIndex(keeper, 'with_keeper', 'the_keeper'));
  let proven = 0;
  for (const query of servedQueries(index, verdict.sameRows)) {
    const before = await planTraits(client, query, 'with_candidate');
    const after = await planTraits(client, query, 'with_keeper');
    // With more rows than the candidate, the keeper must visit the table to check the predicate.
    const loss = lost(before, after, verdict.sameRows);
    t.is(loss, null, `${seed}: ${index.name} under ${keeper.name}: ${query.text} loses ${String(loss)}`);
    if (before.indexed) proven += 1;
  }
  if (index.unique) {
    for (const one of ['with_candidate', 'with_keeper']) {
      await client.query(insertOf(one, 1));
      const state = await sqlstateOf(client, insertOf(one, 2, index, 1));
      t.is(state, '23505', `${seed}: ${one}: ${index.name} under ${keeper.name} takes a duplicate`);
      if (index.nullsNotDistinct) {
        const empty = `insert into ${one} (a, n, state) values`;
        t.is(
          await sqlstateOf(client, `${empty} (1, 100, 'on'), (1, 100, 'on')`),
          '23505',
          `${seed}: ${one}: ${index.name}: nulls are not distinct`,
        );
      }
    }
  }
  return proven;
}

/** On the table itself, with all its other indexes, after the remedy. */
async function proveDropped(
  t: ExecutionContext,
  client: pg.Client,
  verdict: Verdict,
  seed: string,
): Promise<void> {
  const { index, table, remedy } = verdict;
  const queries = servedQueries(index, verdict.sameRows);
  const before = [];
  for (const query of queries) before.push(await planTraits(client, query, table.name));
  await client.query(remedy);
  for (const [place, query] of queries.entries()) {
    const loss = lost(before[place]!, await planTraits(client, query, table.name));
    t.is(loss, null, `${seed}: without ${index.name}: ${query.text} loses ${String(loss)}`);
  }
  await client.query(insertOf(table.name, 1));
  if (index.unique) {
    t.is(
      await sqlstateOf(client, insertOf(table.name, 2, index, 1)),
      '23505',
      `${seed}: without ${index.name}`,
    );
  }
  await proveForeignKeys(t, client, table, seed);
}

async function proveForeignKeys(
  t: ExecutionContext,
  client: pg.Client,
  table: TableSpec,
  seed: string,
): Promise<void> {
  for (const child of ['child', 'other']) {
    if (!table.statements.some((statement) => statement.startsWith(`create table ${table.name}_${child} `)))
      continue;
    await client.query(`insert into ${table.name}_${child} values (1)`);
    t.is(await sqlstateOf(client, `insert into ${table.name}_${child} values (77)`), '23503', seed);
    t.is(await sqlstateOf(client, `delete from ${table.name}`), '23503', seed);
  }
}

/** All of a table's indexes as the server writes them, and whether anybody needs them in themselves. */
const definitionsQuery = `
  select t.relname as table_name, c.relname as index_name,
    regexp_replace(pg_get_indexdef(c.oid), '^(CREATE (?:UNIQUE )?INDEX) \\S+ ', '\\1 ') as definition,
    x.indisunique as unique,
    exists (select from pg_constraint k where k.conindid = c.oid) or x.indisreplident or x.indisclustered as needed
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_class t on t.oid = x.indrelid
  where c.relnamespace = 'public'::regnamespace and not c.relispartition
  order by c.oid`;

interface Definition {
  table_name: string;
  index_name: string;
  definition: string;
  unique: boolean;
  needed: boolean;
}

/** Key columns of a B-tree that has nothing but key columns, as the server writes them. */
function plainKey(definition: string): string[] | null {
  const key = / USING btree \(((?:\w+(?: DESC| NULLS \w+)*(?:, )?)+)\)$/.exec(definition)?.[1];
  return key === undefined ? null : key.split(', ');
}

/** Knows only equal texts and plain lists of columns, and asks nothing of step 10: all it finds must be found. */
function naiveMisses(definitions: readonly Definition[], found: ReadonlySet<string>): string[] {
  const misses: string[] = [];
  for (const index of definitions) {
    if (index.needed || found.has(index.index_name)) continue;
    const siblings = definitions.filter((other) => other !== index && other.table_name === index.table_name);
    const twin = siblings.find(
      (other) => other.definition === index.definition && !found.has(other.index_name),
    );
    const key = plainKey(index.definition);
    const longer =
      key === null || index.unique
        ? undefined
        : siblings.find((other) => {
            const otherKey = plainKey(other.definition);
            return (
              otherKey &&
              otherKey.length > key.length &&
              key.every((column, place) => otherKey[place] === column)
            );
          });
    const reason = twin ?? longer;
    if (reason) misses.push(`${index.index_name} beside ${reason.index_name}: ${index.definition}`);
  }
  return misses;
}

test('each redundancy verdict on random schemas holds on the server, and the plain ones are all found', async (t) => {
  t.timeout(180_000);
  const seed = seedOfRun();
  const repeat = `MAINT_TEST_SEED=${seed}`;
  t.log(repeat);
  const random = new Random(seed);
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  const tables = Array.from({ length: tableCount }, (_, place) =>
    randomTable(random, `t${place}`, indexesPerTable),
  );
  for (const { statements } of tables) {
    for (const statement of statements) await client.query(statement);
  }

  t.is((await run(database, { only })).status, 'success', repeat);
  const found = await verdicts(database, tables);
  const names = new Set(found.map(({ index }) => index.name));
  const definitions = await database.query<Definition & pg.QueryResultRow>(definitionsQuery);
  t.deepEqual(naiveMisses(definitions, names), [], repeat);

  let proven = 0;
  for (const verdict of found) {
    const what = `${repeat} ${verdict.table.name}`;
    t.false(names.has(verdict.keeper.name), `${what}: ${verdict.keeper.name} is kept and redundant at once`);
    proven += await undone(client, () => proveAlone(t, client, verdict, what));
    await undone(client, () => proveDropped(t, client, verdict, what));
  }
  t.log(`${definitions.length} indexes, ${found.length} verdicts, ${proven} queries proven`);
  t.true(definitions.length > 200 && found.length > 40 && proven > 200, `${repeat}: something to prove`);

  // All at once: no verdict may rest on an index that another verdict drops.
  const kept: {
    query: ReturnType<typeof servedQueries>[number];
    table: string;
    before: Awaited<ReturnType<typeof planTraits>>;
  }[] = [];
  // Those with fewer rows than their keeper first: a search by their predicate alone may be lost with them, as their
  // findings say, and must not count as what an index of another kind served.
  for (const sameRowsNow of [false, true]) {
    const now = found.filter(({ sameRows }) => sameRows === sameRowsNow);
    for (const { index, table, sameRows } of now) {
      for (const query of servedQueries(index, sameRows)) {
        const before = await undone(client, () => planTraits(client, query, table.name));
        kept.push({ query, table: table.name, before });
      }
    }
    for (const { remedy } of now) await client.query(remedy);
  }
  for (const { query, table, before } of kept) {
    const after = await undone(client, () => planTraits(client, query, table));
    t.is(lost(before, after), null, `${repeat}: all dropped: ${query.text} on ${table}`);
  }
  t.is((await run(database, { only })).cleanup['redundant_indexes_found'], 0, repeat);
});
