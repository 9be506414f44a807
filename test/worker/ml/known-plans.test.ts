/** What a session remembers between two questions, and when it looks again. The clock is the test's own. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { explainReadBeside } from '../../../src/catalog/query-risk/explain.ts';
import { featureNames } from '../../../src/catalog/query-risk/feature-names.ts';
import type { FeatureName } from '../../../src/catalog/query-risk/feature-names.ts';
import { KnownPlans } from '../../../src/catalog/query-risk/known-plans.ts';
import { readQuery } from '../../../src/catalog/query-risk/query-text.ts';
import { runAsync } from '../../../src/core/drivers.ts';
import type { AsyncHost } from '../../../src/core/drivers.ts';
import { connectionHost } from '../../../src/worker/host.ts';
import { createDatabase } from '../../support/database.ts';
import type { TestDatabase } from '../../support/database.ts';

interface Asker {
  database: TestDatabase;
  /** The features of a statement, for any values and for its own. */
  ask(text: string): Promise<{ features: number[]; own: number[] | null }>;
  /** How often the catalog was asked since the last call of this. */
  looked(): number;
  goOn(milliseconds: number): void;
}

async function askerOn(t: ExecutionContext): Promise<Asker> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table job (id int, state text, note text);
    insert into job select n, 'open', 'x' from generate_series(1, 1000) as n; analyze job`);
  const host = connectionHost(await database.client());
  const plans = new KnownPlans();
  let now = 1000;
  let looks = 0;
  const counting: AsyncHost = {
    ...host,
    query(text, parameters) {
      if (text.includes('plan_facts')) looks += 1;
      return host.query(text, parameters);
    },
    clock: () => now,
  };
  return {
    database,
    async ask(text) {
      const read = readQuery(text);
      if ('problem' in read) throw new Error(read.problem);
      const program = explainReadBeside<number>(read, plans, '$5::int', 7);
      const { explained, value } = await runAsync(program, counting);
      if ('problem' in explained) throw new Error(JSON.stringify(explained));
      t.is(value, 7);
      return explained;
    },
    looked() {
      const so = looks;
      looks = 0;
      return so;
    },
    goOn(milliseconds) {
      now += milliseconds;
    },
  };
}

const amountOf = (features: readonly number[] | null, name: FeatureName): number =>
  2 ** (features?.[featureNames.indexOf(name)] ?? NaN) - 1;

test('tables and functions are looked up once in a second, whatever the constants', async (t) => {
  const { ask, looked, goOn } = await askerOn(t);
  const first = await ask(`select id from job where lower(state) = 'open'`);
  t.is(looked(), 1);
  const second = await ask(`select id from job where lower(state) = 'done'`);
  t.is(looked(), 0);
  t.is(second.features, first.features, 'a plan that is known is not read again');
  t.not(second.own, first.own);
  await ask('select note from job where upper(note) = $1');
  t.is(looked(), 1, 'a function that was not asked about');
  goOn(999);
  await ask(`select id from job where lower(state) = 'open'`);
  t.is(looked(), 0);
  goOn(1);
  const later = await ask(`select id from job where lower(state) = 'open'`);
  t.is(looked(), 1);
  t.is(later.features, first.features, 'what the catalog says is still the same');
  goOn(-3_600_000);
  await ask(`select id from job where lower(state) = 'open'`);
  t.is(looked(), 1, 'the clock was set back');
});

test('what changes meanwhile is seen: rows at once in the plan, the catalog’s figures after a second', async (t) => {
  const { database, ask, goOn } = await askerOn(t);
  const count = 'select count(*) from job where length(note) > 5';
  const before = await ask(count);
  t.true(Math.abs(amountOf(before.features, 'largest_table_rows') - 1000) < 1);
  await database.query(`insert into job select n, 'done', repeat('y', 300) from generate_series(1, 20000) as n;
    analyze job`);
  goOn(1000);
  const after = await ask(count);
  t.true(Math.abs(amountOf(after.features, 'largest_table_rows') - 21_000) < 10);
  t.true(amountOf(after.features, 'work_byte') > 20 * amountOf(before.features, 'work_byte'));
  await database.query('drop table job; create table job (id int, state text, note text)');
  goOn(1000);
  t.is(amountOf((await ask(count)).features, 'largest_table_rows'), 0);
});

test('another function of the name, other work_mem, and a table that is changed are told apart', async (t) => {
  const { database, ask, goOn } = await askerOn(t);
  const text = 'select f(id) from job';
  await database.query(`create function f(int) returns int language plpgsql as 'begin return 1; end'`);
  const before = await ask(text);
  t.is(amountOf(before.features, 'work_procedure_query'), 0);
  await database.query(
    `create or replace function f(int) returns int language plpgsql as 'begin perform 1; return 1; end'`,
  );
  goOn(1000);
  t.true(amountOf((await ask(text)).features, 'work_procedure_query') > 0);
  await database.query(`create function note() returns trigger language plpgsql as 'begin return new; end';
    create trigger note before update on job for each row execute function note()`);
  t.is(amountOf((await ask('select id from job where id = $1')).features, 'work_trigger'), 0);
  t.true(amountOf((await ask('update job set note = $2 where id = $1')).features, 'work_trigger') > 0);
});
