/** What was set on an index is on it again after maint.undo: compared in the catalog, column by column. */
import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

const { escapeIdentifier: quote, escapeLiteral: literal } = pg;

interface State {
  definition: string;
  owner: string;
  comment: string | null;
  options: string[] | null;
  tablespace: string | null;
  targets: (number | null)[];
  extensions: string[];
  [flag: string]: unknown;
}

async function stateOf(database: TestDatabase, index: string): Promise<State | undefined> {
  const [row] = await database.query<State>(
    `select pg_get_indexdef(c.oid) as definition, pg_get_userbyid(c.relowner) as owner,
       obj_description(c.oid, 'pg_class') as comment, c.reloptions as options,
       (select s.spcname from pg_tablespace s where s.oid = c.reltablespace) as tablespace,
       array(select nullif(a.attstattarget::int, -1) from pg_attribute a where a.attrelid = c.oid order by a.attnum) as targets,
       array(select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
         where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'x' order by 1) as extensions,
       x.indisclustered, x.indisreplident, x.indisunique, x.indimmediate, x.indnullsnotdistinct, x.indkey::text,
       x.indclass::text, x.indcollation::text, x.indoption::text, x.indnkeyatts,
       x.indisvalid and x.indisready and x.indislive as usable
     from pg_class c join pg_index x on x.indexrelid = c.oid
     where c.relname = $1 and c.relnamespace = 'public'::regnamespace`,
    [index],
  );
  return row;
}

/** Drops an index by the worker, undoes that by maint.undo, and returns how it was before and after, and the statement. */
async function dropAndUndo(
  database: TestDatabase,
  index: string,
): Promise<[State, State | undefined, string]> {
  const before = (await stateOf(database, index))!;
  const oid = await oidOf(database, 'public', index);
  const dropped = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index, oid });
  const record = await ended(database, dropped);
  if (record.status !== 'succeeded') throw new Error(`${index} is not dropped: ${record.outcome ?? ''}`);
  if ((await stateOf(database, index)) !== undefined) throw new Error(`${index} is still there`);
  const [row] = await database.query<{ id: number }>(`select (maint.undo($1) ->> 'action_id')::int as id`, [
    dropped,
  ]);
  const undone = await ended(database, row!.id);
  if (undone.status !== 'succeeded') throw new Error(`${index} is not back: ${undone.outcome ?? ''}`);
  return [before, await stateOf(database, index), undone.statement!];
}

const settings: Record<string, string> = {
  'a comment': `comment on index INDEX is ${literal("it's; mine\\ -- really")}`,
  'statistics targets':
    'alter index INDEX alter column 2 set statistics 77; alter index INDEX alter column 3 set statistics 0',
  'storage options': 'alter index INDEX set (fillfactor = 70, deduplicate_items = off)',
  'a tablespace': 'alter index INDEX set tablespace "Else Where"',
  'the clustering mark': 'alter table public.t cluster on INDEX_NAME',
  'the dependence on an extension': 'alter index INDEX depends on extension btree_gist',
};

/** Of the whole server; made in the data directory, where every server may. */
async function makeTablespace(database: TestDatabase): Promise<void> {
  const client = await database.client();
  await client.query('set allow_in_place_tablespaces = on');
  try {
    await client.query(`create tablespace "Else Where" location ''`);
  } catch (error) {
    // Another test has made it, before or at the same moment.
    if (!(error instanceof pg.DatabaseError) || !['42710', '23505'].includes(error.code ?? '')) throw error;
  }
}

async function withTable(t: Parameters<typeof createDatabase>[0]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTablespace(database);
  await database.query(`create extension btree_gist;
    create table public.t (a int not null, b text collate "C", c int[], r int4range, p point);
    insert into public.t select n, n, array[n], int4range(n, n + 1), point(n, n) from generate_series(1, 200) n`);
  startWorker(t, database);
  return database;
}

for (const [what, statement] of Object.entries(settings)) {
  test(`undo brings back ${what}`, async (t) => {
    const database = await withTable(t);
    const name = hostileNames[8]!;
    await database.query(`create index ${quote(name)} on public.t (a, (a + 1), (b || 'x'))`);
    await database.query(
      statement.replaceAll('INDEX_NAME', quote(name)).replaceAll('INDEX', `public.${quote(name)}`),
    );
    const plain = await stateOf(database, name);
    const [before, after, run] = await dropAndUndo(database, name);
    t.deepEqual(before, plain);
    t.deepEqual(after, before);
    t.regex(run, /^CREATE INDEX CONCURRENTLY /);
  });
}

test('undo brings all of it back at once', async (t) => {
  const database = await withTable(t);
  await database.query(`create index i on public.t (a, (a + 1), (b || 'x'))`);
  for (const statement of Object.values(settings))
    await database.query(statement.replaceAll('INDEX_NAME', 'i').replaceAll('INDEX', 'public.i'));
  const [before, after] = await dropAndUndo(database, 'i');
  t.like(before, {
    comment: "it's; mine\\ -- really",
    options: ['fillfactor=70', 'deduplicate_items=off'],
    tablespace: 'Else Where',
    targets: [null, 77, 0],
    extensions: ['btree_gist'],
    indisclustered: true,
  });
  t.deepEqual(after, before);
});

test('undo brings back every kind of definition', async (t) => {
  const database = await withTable(t);
  const definitions: Record<string, string> = {
    included: 'on public.t (a) include (b)',
    uniqueness: 'unique INDEX on public.t (a desc nulls last, b) nulls not distinct',
    collated: 'on public.t (b collate "POSIX" text_pattern_ops)',
    gin: 'on public.t using gin (c) with (fastupdate = off, gin_pending_list_limit = 128)',
    gist: 'on public.t using gist (p, r) with (buffering = on)',
    spgist: 'on public.t using spgist (p)',
    partial: 'on public.t (a) where a > 3 and b is not null',
    brin: 'on public.t using brin (a int4_minmax_multi_ops (values_per_range = 16)) with (pages_per_range = 4, autosummarize = on)',
    hash: 'on public.t using hash (b) with (fillfactor = 60)',
    parameters: `on public.t using gist (c gist__int_ops (numranges = 50))`,
  };
  await database.query('create extension intarray');
  for (const [name, definition] of Object.entries(definitions)) {
    const unique = definition.startsWith('unique INDEX ');
    await database.query(
      `create ${unique ? 'unique ' : ''}index ${name} ${definition.replace('unique INDEX ', '')}`,
    );
    const [before, after] = await dropAndUndo(database, name);
    t.deepEqual(after, before, name);
  }
});

test('statistics of an expression are there again', async (t) => {
  const database = await withTable(t);
  await database.query(`create index i on public.t ((a % 3))`);
  await database.query('analyze public.t');
  const known = `select stadistinct from pg_statistic where starelid = to_regclass('public.i')`;
  t.deepEqual(await database.query(known), [{ stadistinct: 3 }]);
  await dropAndUndo(database, 'i');
  t.deepEqual(await database.query(known), [{ stadistinct: 3 }]);
});
