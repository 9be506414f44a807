import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import { foundNames, openFindings, openTransaction, queuedActions, run } from '../support/maintenance.ts';
import { scan, smallOnesCount } from '../support/index-usage.ts';
import { hostileNames } from '../support/names.ts';
import { cases } from './redundant-cases/index.ts';

const { escapeIdentifier: quote } = pg;
const kind = 'index.redundant';
const only = ['redundant_indexes'];

test('every rule: what is reported, and what is not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  for (const [place, { statements }] of cases.entries()) {
    await client.query(`create schema case_${place}; set search_path = case_${place}`);
    for (const statement of statements) await client.query(statement);
  }
  const result = await run(database, { only });
  t.is(result.status, 'success');
  const findings = await openFindings(database, kind);
  for (const [place, { what, redundant }] of cases.entries()) {
    const found = findings
      .filter(({ schema_name }) => schema_name === `case_${place}`)
      .map(({ object_name, detail }) => [object_name, detail['covered_by']]);
    t.deepEqual(Object.fromEntries(found), redundant, what);
  }
  const pairs = cases.reduce((sum, { redundant }) => sum + Object.keys(redundant).length, 0);
  t.is(result.cleanup['redundant_indexes_found'], pairs);
  t.deepEqual(await queuedActions(database), [], 'never an action');

  for (const { remedy } of findings) await database.query(remedy!);
  t.is(
    (await run(database, { only })).cleanup['redundant_indexes_found'],
    0,
    'none was the keeper of another',
  );
  t.deepEqual(await openFindings(database, kind), []);
});

test('a clean database, and one pair found, explained and resolved', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.is((await run(database, { only })).cleanup['redundant_indexes_found'], 0);
  await smallOnesCount(database);
  await database.query('create table t (a int primary key, b int)');
  await database.query('create index x on t (a, b)');
  t.is(
    (await run(database, { only })).cleanup['redundant_indexes_found'],
    0,
    'the constraint needs its index',
  );

  await database.query('create index y on t (a)');
  const result = await run(database, { only });
  t.is(result.cleanup['redundant_indexes_found'], 1);
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['info'],
  );
  const [finding] = await openFindings(database, kind);
  t.is(finding!.severity, 'warning');
  t.is(finding!.remedy, 'drop index concurrently public.y;');
  t.like(finding!.detail, {
    covered_by: 't_pkey',
    difference: 'none',
    definition: 'CREATE INDEX y ON public.t USING btree (a)',
    covered_by_definition: 'CREATE UNIQUE INDEX t_pkey ON public.t USING btree (a)',
    size_bytes: 8192,
  });
  await database.query(finding!.remedy!);
  t.is((await run(database, { only })).cleanup['redundant_indexes_found'], 0);
});

test('every name works, in every schema, and the remedy runs as it is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const name of hostileNames) {
    const table = `${quote(name)}.${quote(name)}`;
    await database.query(`create schema ${quote(name)}; create table ${table} (a int, ${quote(name)} int)`);
    await database.query(`create index "same name" on ${table} (a, ${quote(name)})`);
    await database.query(
      `create index ${quote(`${name.slice(0, 5)} x`)} on ${table} (a) where ${quote(name)} > 7`,
    );
    await database.query(
      `create index ${quote(`${name.slice(0, 5)} y`)} on ${table} (a) where ${quote(name)} > 5`,
    );
  }
  const { cleanup } = await run(database, { only });
  t.is(cleanup['redundant_indexes_found'], 2 * hostileNames.length);
  t.is(cleanup['redundant_indexes_undecided'], undefined);
  for (const { remedy } of await openFindings(database, kind)) await database.query(remedy!);
  t.is((await run(database, { only })).cleanup['redundant_indexes_found'], 0);
});

test('a smaller partial index is told apart, and can be left out', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int, b int)');
  await database.query('create index x on t (a)');
  await database.query('create index y on t (a) where b > 5');
  await database.query('create index z on t (a) where 5 < b');
  await smallOnesCount(database);
  await run(database, { only });
  t.deepEqual(
    (await openFindings(database, kind)).map((one) => [
      one.object_name,
      one.severity,
      one.detail['difference'],
    ]),
    [
      ['y', 'info', 'fewer_rows'],
      ['z', 'info', 'fewer_rows'],
    ],
  );
  await database.query(
    `select maint.configure('features.redundant_index_detection.partial_indexes', 'false', 'table:public.t')`,
  );
  await run(database, { only });
  t.deepEqual(
    (await openFindings(database, kind)).map((one) => [
      one.object_name,
      one.detail['covered_by'],
      one.severity,
    ]),
    [['z', 'y', 'warning']],
    'the same rows in other words are redundant all the same',
  );
});

test("predicates with somebody's own functions are compared, but never run", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int, b int); create table called (n int)');
  await database.query(
    `create function trap(n int) returns int immutable language plpgsql as $$ begin
       if n = 5 then raise exception 'called'; end if; return n; end $$`,
  );
  await database.query('create index x on t (a) where b > 7 and b > trap(b)');
  await database.query('create index y on t (a, b) where b > 7 and b > trap(b)');
  await database.query('create index z on t (a) where b > 6');
  // Made behind its back: no statement could make an index whose predicate fails.
  await database.query('create index v on t (a) where trap(b) > trap(6)');
  await database.query('create index w on t (a) where b > trap(6)');
  const result = await run(database, { only });
  t.is(result.steps['redundant_indexes']!.status, 'partial');
  t.deepEqual(await foundNames(database, kind), ['public.x']);
  t.like(result.steps['redundant_indexes']!.coverage, {
    unexamined: [
      {
        what: "partial indexes with code in a predicate that is not the server's own",
        reason: 'not_safe',
        detail: '3: public.v, public.w, public.z',
      },
    ],
  });
  const [proven] = await database.query<{ proven: boolean | null }>(
    `select maint.predicate_implied('w'::regclass, 'z'::regclass) as proven`,
  );
  t.is(proven!.proven, null, 'not known, which is not the same as false');
});

test('indexes of an extension are reported', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension hstore');
  await database.query('create table t (a int)');
  await database.query('create index x on t (a); create index y on t (a)');
  await database.query('alter extension hstore add table t');
  await run(database, { only });
  const [finding] = await openFindings(database, kind);
  t.is(finding!.object_name, 'y');
  t.is(finding!.detail['extension'], 'hstore');
});

test('a locked table is judged all the same; what only the server could prove stays open', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int, b int)');
  await database.query('create index x on t (a); create index y on t (a)');
  await database.query('create index z on t (b) where a > 7; create index v on t (b) where a > 5');
  await run(database, { only });
  t.deepEqual(await foundNames(database, kind), ['public.y', 'public.z']);
  await database.query(`select maint.configure('operational.maintenance_tasks.lock_timeout', '50')`);
  const holder = await openTransaction(database, 'lock table t in access exclusive mode');
  await database.query('drop table if exists nothing');
  const result = await run(database, { only });
  t.is(result.cleanup['redundant_indexes_found'], 1);
  t.deepEqual(result.cleanup['redundant_indexes_undecided'], ['public.v', 'public.z']);
  t.deepEqual(await foundNames(database, kind), ['public.y', 'public.z']);
  await holder.end();
  t.is((await run(database, { only })).cleanup['redundant_indexes_found'], 2);
});

test('switched off, it says so and leaves what it had found', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int); create index x on t (a); create index y on t (a)');
  await run(database, { only });
  await database.query(`select maint.configure('features.redundant_index_detection.enabled', 'false')`);
  const result = await run(database, { only });
  t.is(result.steps['redundant_indexes']!.reason, 'disabled');
  t.is(result.cleanup['redundant_indexes_found'], null, 'unknown, not zero');
  t.deepEqual(await foundNames(database, kind), ['public.y']);
});

test('which of two twins stays does not hang on their oids', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table t (a int, b int)');
  await database.query('insert into t select n, n from generate_series(1, 500) as n');
  await database.query('create index z on t (a); create index y on t (a); create index x on t (a desc)');
  await database.query('select pg_stat_force_next_flush()');
  await run(database, { only });
  const kept = async (): Promise<unknown[]> =>
    (await openFindings(database, kind)).map((one) => [one.object_name, one.detail['covered_by']]);
  t.deepEqual(await kept(), [
    ['x', 'y'],
    ['z', 'y'],
  ]);
  await scan(database, 'begin; drop index x, y; select from t where a = 7; rollback', 20);
  await run(database, { only });
  t.deepEqual(
    await kept(),
    [
      ['x', 'z'],
      ['y', 'z'],
    ],
    'the one that is in use',
  );
});
