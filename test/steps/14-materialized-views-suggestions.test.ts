/** The index suggestions of step 14: only for columns that statements were seen to use. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings } from '../support/maintenance.ts';
import { check, sales } from '../support/materialized-views.ts';

async function prepareSuggestions(database: TestDatabase): Promise<void> {
  await database.query(sales);
  await database.query(`
    create extension pg_stat_statements;
    create schema "Far away";
    create materialized view "Far away"."To tal" as
      select i as id, 'n' || i as "Na me", i % 7 as kind, now() as at, 'x'::xml as document from generate_series(1, 2000) as i;
    create unique index on "Far away"."To tal" (id);
    analyze;
  `);
  await database.query(
    `select maint.configure('features.materialized_view_support.index_minimum_calls', '3')`,
  );
}

test('an index is suggested for columns that statements compare, and the remedy makes one that they use', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await prepareSuggestions(database);
  const statement = `select id from "Far away"."To tal" as v where v."Na me" = 'n7' and v.kind = 3 and at > now()`;
  for (let call = 0; call < 2; call += 1) await database.query(statement);
  t.is((await check(database)).index_suggestions, 0, 'too few calls');
  await database.query(statement);
  const result = await check(database);
  t.is(result.index_suggestions, 1);
  const [finding] = await openFindings(database, 'matview.index_suggestion');
  t.deepEqual(finding!.detail['columns'], ['Na me', 'kind']);
  t.is(finding!.detail['calls'], 3);
  await database.query(finding!.remedy!);
  await database.query('analyze');
  const plan = await database.query(`explain ${statement}`);
  t.regex(JSON.stringify(plan), /Index Scan using \\"To tal_Na me_kind_idx\\"/);
  t.is((await check(database)).index_suggestions, 0);
  t.deepEqual(await openFindings(database, 'matview.index_suggestion'), []);
});

for (const [what, statement] of [
  ['a column that has an index', 'select from "Far away"."To tal" where id = 7 and kind = 2'],
  ['a function of a column', `select from "Far away"."To tal" where upper("Na me") = 'X'`],
  ['an expression', 'select from "Far away"."To tal" where kind + 1 = 2'],
  [
    'what a column is compared with is computed from the view',
    'select from "Far away"."To tal" where kind = id + 1',
  ],
  ['one of two alternatives', 'select from "Far away"."To tal" where kind = 1 or at is null'],
  ['a negation', 'select from "Far away"."To tal" where not (kind = 1)'],
  [
    'another table in a subquery',
    'select from "Far away"."To tal" where exists (select from sale where region = \'x\' and amount = 1)',
  ],
  ['a column of a type without order', 'select from "Far away"."To tal" where document is null'],
  ['a table of the same name', "select from total where region = 'x'"],
  ['text that only looks like a condition', `select 'from "Far away"."To tal" where kind = 1' where 1 = 1`],
] as const) {
  test(`no index is suggested for ${what}`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await prepareSuggestions(database);
    await database.query('create schema other; create table other.total (region text, kind int)');
    for (let call = 0; call < 3; call += 1) await database.query(statement);
    t.is((await check(database)).index_suggestions, 0);
  });
}

test('joins and ranges count; one index for what shares its first column', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await prepareSuggestions(database);
  await database.query(
    `select maint.configure('features.materialized_view_support.index_minimum_calls', '1')`,
  );
  const calls = [
    'select from "Far away"."To tal" v join sale s on s.amount = v.kind',
    'select from "Far away"."To tal" v join sale s on (s.amount = v.kind)',
    'select from "Far away"."To tal" where kind in (1, 2) and at between now() and now()',
    'select from "Far away"."To tal" where at > now() - interval \'1 day\'',
    'select from "Far away"."To tal" where "Na me" >= \'x\'',
  ];
  for (const statement of calls) await database.query(statement);
  await check(database);
  const findings = await openFindings(database, 'matview.index_suggestion');
  t.deepEqual(findings.map(({ detail }) => detail['columns']).sort(), [['Na me'], ['kind']]);
});

test('without pg_stat_statements nothing is suggested, and the result says why', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(sales);
  await database.query(
    `select maint.configure('features.materialized_view_support.index_minimum_rows', '1')`,
  );
  const result = await check(database);
  t.is(result.index_suggestions, null);
  t.is(result.index_suggestions_basis.reason, 'not_installed');
});
