import test from 'ava';
import { featureNames, workKinds } from '../../../src/catalog/query-risk/feature-names.ts';
import type { FeatureName } from '../../../src/catalog/query-risk/feature-names.ts';
import { planFeatures, wantedFacts } from '../../../src/catalog/query-risk/plan-features.ts';
import type { CatalogFacts, PlanNode, RelationFacts } from '../../../src/catalog/query-risk/plan-node.ts';
import { BelievedRows } from '../../../src/catalog/query-risk/plan-rows.ts';
import { explainQuery } from '../../../src/catalog/query-risk/explain.ts';
import { runAsync } from '../../../src/core/drivers.ts';
import { connectionHost } from '../../../src/worker/host.ts';
import { createDatabase } from '../../support/database.ts';

const node = (type: string, rows: number, more: Partial<PlanNode> = {}): PlanNode => ({
  'Node Type': type,
  'Startup Cost': 0,
  'Total Cost': rows,
  'Plan Rows': rows,
  'Plan Width': 8,
  ...more,
});

const table = (more: Partial<RelationFacts> = {}): RelationFacts => ({
  schema: 'public',
  name: 't',
  pages: 1000,
  rows: 100_000,
  toast_pages: 0,
  indexes: 2,
  key_triggers: {},
  triggers: {},
  trigger_queries: {},
  unindexed_references: 0,
  widths: {},
  numerics: [],
  ...more,
});

const scan = (rows: number, more: Partial<PlanNode> = {}): PlanNode =>
  node('Seq Scan', rows, { Schema: 'public', 'Relation Name': 't', 'Parent Relationship': 'Outer', ...more });

function featuresOf(plan: PlanNode, relation: RelationFacts, functions: CatalogFacts['functions'] = {}) {
  const values = planFeatures(
    { Plan: plan },
    { work_mem: 4 * 2 ** 20, relations: [relation], functions: new Map(Object.entries(functions)) },
  );
  return (name: FeatureName): number => 2 ** (values[featureNames.indexOf(name)] ?? NaN) - 1;
}

test('between two parameters the planner’s half percent is not believed, and never more than the table', (t) => {
  const believed = (filter: string, rows: number): number =>
    new BelievedRows(() => table()).of(scan(rows, { Filter: filter }));
  t.is(believed('((t.a >= $1) AND (t.a <= $2))', 500), 10_000);
  t.is(
    believed('((t.a >= ($1)::date) AND (t.a < ($2)::date) AND (t.b >= $3) AND (t.b <= $4))', 500),
    100_000,
  );
  t.is(believed('(t.a >= $1)', 33_333), 33_333);
  t.is(believed('((t.a >= $1) AND (t.b <= $2))', 500), 500);
});

test('a LIMIT of unknown size is a page, one that is known is not, and an offset is read through', (t) => {
  const rows = new BelievedRows(() => table());
  const limit = (planned: number, more: Partial<PlanNode> = {}): PlanNode =>
    node('Limit', planned, { Plans: [scan(100_000)], ...more });
  t.is(rows.of(limit(10_000)), 30);
  t.is(rows.of(limit(5)), 5);
  t.is(rows.taken(limit(10_000)), 30);
  t.is(rows.taken(limit(10_000, { 'Startup Cost': 10_000 })), 10_030);
});

test('below a LIMIT a scan ends early, and a sort reads everything all the same', (t) => {
  const direct = featuresOf(node('Limit', 5, { Plans: [scan(100_000)] }), table());
  t.true(direct('work_scanned_row') < 10);
  const sorted = featuresOf(
    node('Limit', 5, {
      Plans: [
        node('Sort', 100_000, {
          'Parent Relationship': 'Outer',
          'Sort Key': ['t.a'],
          Plans: [scan(100_000)],
        }),
      ],
    }),
    table(),
  );
  t.true(Math.abs(sorted('work_scanned_row') - 100_000) < 10);
  t.true(sorted('work_comparison') > 100_000);
});

test('a pattern costs the bytes of its column, what lies in TOAST among them', (t) => {
  const plan = scan(500, { Filter: '(t.body ~~ $1)' });
  const short = featuresOf(plan, table({ widths: { body: 10 } }));
  const long = featuresOf(plan, table({ widths: { body: 60 }, toast_pages: 50_000 }));
  t.true(Math.abs(short('work_byte') / 1_000_000 - 1) < 0.01);
  t.is(short('work_toast_byte'), 0);
  t.true(Math.abs(long('work_toast_byte') / (50_000 * 8192) - 1) < 0.01);
});

test('a function in PL/pgSQL is one for each row, with the statements in its body; hostile names are names', (t) => {
  const plan = scan(1000, { Output: ['f(t.a)', '"constructor"(t.a)', 'count(*)'] });
  const features = featuresOf(plan, table(), { f: { queries: 2, loops: 0 } });
  t.true(Math.abs(features('work_procedure') - 1000) < 0.1);
  t.true(Math.abs(features('work_procedure_query') - 2000) < 0.1);
  t.deepEqual(wantedFacts({ Plan: plan }).functions, ['f', 'constructor', 'count']);
});

test('a delete reads the tables that refer to it without an index', (t) => {
  const plan = node('ModifyTable', 0, {
    Operation: 'Delete',
    Schema: 'public',
    'Relation Name': 't',
    Plans: [scan(3)],
  });
  const facts = table({ unindexed_references: 5000, key_triggers: { Delete: 1 } });
  t.true(featuresOf(plan, facts)('unindexed_references') > 14_999);
  t.deepEqual(wantedFacts({ Plan: plan }).relations, [['public', 't', true]]);
});

test('every feature is a finite number or missing, whatever a plan holds', (t) => {
  const odd = node('Something New', 1e300, { 'Plan Width': 1e10, Plans: [node('Limit', 0, { Plans: [] })] });
  const values = planFeatures({ Plan: odd }, { relations: [], functions: new Map(), work_mem: 4 * 2 ** 20 });
  t.is(values.length, featureNames.length);
  t.true(values.every((value) => Number.isFinite(value) && value >= -1));
  t.is(new Set(featureNames).size, featureNames.length);
  t.true(workKinds.every((kind) => (featureNames as readonly string[]).includes(`work_${kind}`)));
});

test('the catalog is asked once for what a plan names: widths, triggers, functions, references', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create table "a ""b" (id int primary key, "Te xt" text, amount numeric);
    insert into "a ""b" select n, repeat('x', 40), n from generate_series(1, 100) as n;
    create table child (parent int references "a ""b" on delete cascade);
    insert into child select 1 from generate_series(1, 50);
    create function f(int) returns int language plpgsql as 'begin for i in 1 .. 2 loop perform $1; end loop; return 1; end';
    create function note() returns trigger language plpgsql as 'begin perform 1; return new; end';
    create trigger note before update on "a ""b" for each row execute function note();
    analyze "a ""b"; analyze child`);
  const [row] = await database.query<{ facts: CatalogFacts }>(`select maint.plan_facts($1::jsonb) as facts`, [
    JSON.stringify({
      relations: [
        ['public', 'a "b', true],
        ['public', 'none', false],
      ],
      functions: ['f', 'count', 'none'],
    }),
  ]);
  const [relation] = row!.facts.relations;
  t.is(row!.facts.relations.length, 1);
  t.deepEqual(row!.facts.functions, { f: { queries: 1, loops: 1 } });
  t.deepEqual(Object.keys(relation!.widths), ['Te xt']);
  t.true(relation!.widths['Te xt']! > 39);
  t.deepEqual(relation!.numerics, ['amount']);
  t.deepEqual(relation!.triggers, { Insert: 0, Update: 1, Delete: 0 });
  t.deepEqual(relation!.trigger_queries, { Insert: 0, Update: 1, Delete: 0 });
  t.is(relation!.key_triggers['Delete'], 1);
  t.is(relation!.unindexed_references, 50);

  const client = await database.client();
  const explained = await runAsync(
    explainQuery(`delete from "a ""b" where "Te xt" ~ 'y' and f(id) > 1`),
    connectionHost(client),
  );
  if (!('features' in explained)) return t.fail(JSON.stringify(explained));
  const feature = (name: FeatureName): number => explained.features[featureNames.indexOf(name)] ?? NaN;
  t.true(feature('work_hard_byte') > 0);
  t.true(feature('work_procedure_query') > 0);
  t.true(feature('unindexed_references') > 0);
});
