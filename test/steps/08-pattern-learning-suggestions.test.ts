/** What step 8 suggests, and what it does not. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import type { JsonObject } from '../../src/steps/step.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';
import { openFindings } from '../support/maintenance.ts';
import type { FindingRow } from '../support/maintenance.ts';
import { configure, learn, patterns, planAsked } from '../support/patterns.ts';
import type { Pattern } from '../support/patterns.ts';
import { parseTexts } from '../support/workload.ts';

const { escapeIdentifier: quote } = pg;
const kind = 'query.slow_pattern';

/** Everything that was called three times is slow: what a test asks is what matters here, not how long it took. */
async function database(t: ExecutionContext, setUp: string): Promise<TestDatabase> {
  const made = await createDatabase(t, { template: 'installed' });
  await made.query('create extension pg_stat_statements');
  await made.query(setUp);
  await made.query('select pg_stat_force_next_flush()');
  await made.query('analyze');
  await configure(made, 'slow_ms', 0.001);
  await configure(made, 'fast_ms', 0.001);
  await learn(made);
  return made;
}

/** A table of some 150 pages that nobody else writes statistics of. */
function table(name: string, columns = 'id int, customer int, status int, note text'): string {
  return `create table ${name} (${columns}) with (autovacuum_enabled = false);
    insert into ${name} select n, n % 1000, n % 3, repeat('x', 100) from generate_series(1, 8000) as n;`;
}

async function ask(made: TestDatabase, text: string, parameters: unknown[] = []): Promise<void> {
  for (let time = 0; time < 3; time += 1) await made.query(text, parameters);
}

/** Learns with everything parsed; what the set-up did was called once and is no pattern. */
async function learned(made: TestDatabase): Promise<Pattern[]> {
  await learn(made);
  await parseTexts(made.url);
  await learn(made);
  await planAsked(made);
  await learn(made);
  return await patterns(made);
}

function reasonsOf(pattern: Pattern | undefined): unknown[] {
  return (pattern?.reasons ?? []).map(({ reason }) => reason);
}

function indexOf(pattern: Pattern | undefined): JsonObject | undefined {
  return pattern?.suggestions.find((one) => one['kind'] === 'create_index');
}

async function hasHypopg(made: TestDatabase): Promise<boolean> {
  const rows = await made.query(`select from pg_available_extensions where name = 'hypopg'`);
  return rows.length > 0;
}

test('an index is tried on the generic plan, and one that nobody would use is not suggested', async (t) => {
  const made = await database(
    t,
    `create schema shop; ${table('shop.orders')} ${table('shop.items')}
     create table shop.customers (id int primary key, name text);
     insert into shop.customers select n, 'c' || n from generate_series(1, 1000) as n`,
  );
  const hypopg = await hasHypopg(made);
  if (hypopg) await made.query('create extension hypopg');
  else t.log('hypopg is not installed on this machine: left out');
  await ask(made, 'select note from shop.orders where customer = $1 and status = $2', [7, 1]);
  await ask(made, 'select count(*) from shop.items where status = $1', [1]);
  await ask(made, 'select id from shop.items where id > 7 order by customer desc limit 3');
  await ask(
    made,
    'select c.name, o.note from shop.customers c join shop.orders o on o.id = c.id where c.name = $1',
    ['c7'],
  );
  await ask(made, 'update shop.items set note = note where customer = $1', [5]);
  const found = await learned(made);
  const of = (start: string): Pattern | undefined => found.find(({ text }) => text.startsWith(start));

  const searched = of('select note from');
  t.deepEqual(reasonsOf(searched), ['missing_index']);
  const index = indexOf(searched)!;
  t.is(index['statement'], 'create index concurrently on shop.orders (customer, status);');
  t.is(index['verdict'], hypopg ? 'verified' : 'unverified');
  if (hypopg) t.true((index['planned_gain'] as number) > 0.5);
  else t.is(index['because'], 'hypopg is not installed in this database');

  t.deepEqual(reasonsOf(of('select count')), ['sequential_scan'], 'a third of the rows is no search');
  t.is(indexOf(of('select count')), undefined);
  t.is(
    indexOf(of('select id from shop.items'))?.['statement'],
    'create index concurrently on shop.items (customer);',
  );
  t.is(indexOf(of('select c.name'))?.['statement'], 'create index concurrently on shop.orders (id);');
  t.is(
    indexOf(of('update shop.items'))?.['statement'],
    'create index concurrently on shop.items (customer);',
  );

  // What is suggested serves: the same shapes give no suggestion once the indexes are there.
  const findings = await openFindings(made, kind);
  for (const remedy of new Set(findings.flatMap(({ remedy: one }) => one ?? []))) await made.query(remedy);
  await learn(made);
  t.deepEqual(
    (await openFindings(made, kind)).filter(({ remedy }) => remedy !== null),
    [],
  );
});

test('hypothetical indexes of the session are left alone, and nothing of ours stays', async (t) => {
  const made = await database(t, table('orders'));
  if (!(await hasHypopg(made))) {
    t.log('hypopg is not installed on this machine: left out');
    t.pass();
    return;
  }
  await made.query('create extension hypopg');
  await made.query(`select hypopg_create_index('create index on orders (status)')`);
  await ask(made, 'select note from orders where customer = $1', [7]);
  const [pattern] = await learned(made);
  t.is(indexOf(pattern)?.['verdict'], 'verified', JSON.stringify(indexOf(pattern)));
  const left = await made.query<{ count: number }>('select count(*)::int as count from hypopg_list_indexes');
  t.is(left[0]!.count, 1);
  t.deepEqual(await made.query('select name from pg_prepared_statements where name like $1', ['maint%']), []);
});

test('a statement full of emoji is learned, whatever is cut of it', async (t) => {
  const made = await database(t, table('orders'));
  // Other conditions make other patterns.
  for (const filler of [0, 1, 2, 3])
    await ask(
      made,
      `select /* ${'x'.repeat(filler)}${'😀'.repeat(200)} */ note from orders where customer = $1${' and id > 0'.repeat(filler)}`,
      [7],
    );
  const found = (await learned(made)).filter(({ text }) => text.includes('😀'));
  t.true(found.length > 1, `${found.length} patterns`);
  const findings = await openFindings(made, kind);
  t.is(findings.filter(({ summary }) => /😀/u.test(summary)).length, found.length);
  for (const { summary } of findings) t.notThrows(() => encodeURIComponent(summary));
});

test('names are quoted in what is suggested, whatever they are', async (t) => {
  const schema = quote('odd "schema"');
  const tables = hostileNames.map((name) => `${schema}.${quote(name)}`);
  const columns = (name: string): string => `id int, ${quote(name)} int, status int, note text`;
  const made = await database(
    t,
    `create schema ${schema}; ${hostileNames.map((name, place) => table(tables[place]!, columns(name))).join(' ')}`,
  );
  for (const [place, name] of hostileNames.entries())
    await ask(made, `select note from ${tables[place]!} where ${quote(name)} = $1`, [7]);
  await learned(made);
  const findings = await openFindings(made, kind);
  t.deepEqual(findings.map(({ table_name: name }) => name).sort(), [...hostileNames].sort());
  for (const { remedy } of findings) await made.query(remedy!);
  const [indexed] = await made.query<{ count: number }>(
    `select count(*)::int as count from pg_index as x join pg_class as c on c.oid = x.indrelid
     join pg_attribute as a on a.attrelid = c.oid and a.attnum = x.indkey[0] where a.attname = c.relname and c.relnamespace = (select oid from pg_namespace where nspname = $1)`,
    ['odd "schema"'],
  );
  t.is(indexed!.count, hostileNames.length);
});

test('a name that may mean several tables is not guessed at, nor is what a view stands for', async (t) => {
  const made = await database(
    t,
    `create schema one; create schema two; ${table('one.orders')} ${table('two.orders')}
     create view one.seen as select * from one.orders`,
  );
  const client = await made.client();
  await client.query('set search_path = two');
  for (let time = 0; time < 3; time += 1) {
    await client.query('select note from orders where customer = $1', [7]);
    await client.query('select note from one.seen where customer = $1', [7]);
  }
  const found = await learned(made);
  t.is(found.length, 2);
  for (const pattern of found) {
    t.deepEqual(reasonsOf(pattern), ['not_known']);
    t.deepEqual(pattern.suggestions, []);
  }
  const ambiguous = found.find(({ text }) => text.includes('from orders'));
  t.deepEqual(ambiguous!.tables, ['orders (it stands for tables in 2 schemas: one, two)']);
});

test('stale statistics are a reason, and applying the finding analyzes the table', async (t) => {
  const made = await database(t, table('orders'));
  await made.query('create index on orders (customer)');
  await made.query('update orders set status = 5');
  await made.query('select pg_stat_force_next_flush()');
  await ask(made, 'select note from orders where customer = $1', [7]);
  const [pattern, ...more] = await learned(made);
  t.deepEqual(more, []);
  t.deepEqual(reasonsOf(pattern), ['stale_statistics']);
  const [finding] = await openFindings(made, kind);
  t.is(finding!.remedy, 'analyze public.orders;');
  const [applied] = await made.query<{ action: JsonObject }>('select maint.apply($1) as action', [
    finding!.finding_id,
  ]);
  t.is(applied!.action['kind'], 'analyze_table');
  await made.query('analyze orders');
  await learn(made);
  t.deepEqual(reasonsOf((await patterns(made))[0]), ['not_known']);
});

test('an index that its writers would pay more for than it saves is held back', async (t) => {
  const made = await database(t, `${table('orders')} create index on orders (id)`);
  // A million entries cost 20 seconds; three searches take some milliseconds.
  await made.query('insert into orders select n, n % 1000, 1, null from generate_series(1, 1000000) as n');
  await made.query('analyze orders');
  await made.query('select pg_stat_force_next_flush()');
  await ask(made, 'select note from orders where customer = $1', [7]);
  const [pattern] = await learned(made);
  const index = indexOf(pattern)!;
  t.is(index['statement'], 'create index concurrently on public.orders (customer);');
  t.regex(index['held_back_because'] as string, /its writers would spend about \d+/);
  t.is((index['write_cost'] as JsonObject)['indexes_on_table'], 1);
  t.is((index['write_cost'] as JsonObject)['new_entries'], 1_000_000);
  t.deepEqual(
    (await openFindings(made, kind)).map(({ remedy }: FindingRow) => remedy),
    [null],
  );
});

test('HOT updates that an index would end are counted among its cost', async (t) => {
  const made = await database(
    t,
    `create table orders (id int, customer int, note text) with (autovacuum_enabled = false, fillfactor = 50);
     insert into orders select n, n % 1000, repeat('x', 100) from generate_series(1, 8000) as n`,
  );
  await ask(made, 'select note from orders where customer = $1', [7]);
  for (let time = 0; time < 3; time += 1)
    await made.query('update orders set customer = customer + 1 where id % 80 = 1');
  await made.query('select pg_stat_force_next_flush()');
  const found = await learned(made);
  const index = indexOf(found.find(({ text }) => text.startsWith('select')))!;
  const cost = index['write_cost'] as JsonObject;
  t.is(cost['rows_updated'], 300);
  t.is(cost['hot_share'], 1);
  t.is(cost['hot_updates_lost'], 300);
});

test('a statement that would run what a user wrote is not planned', async (t) => {
  const made = await database(
    t,
    `${table('orders')} create table public.proof (by text);
     do $$ begin create role test_plain; exception when duplicate_object or unique_violation then null; end $$;
     grant create on schema public to test_plain; grant all on all tables in schema public to test_plain;
     set role test_plain;
     create function public.evil() returns int volatile language plpgsql as
       'begin insert into public.proof values (current_user); return 7; end';
     create function public.trap(int) returns int immutable language plpgsql as 'begin return public.evil(); end';
     create function public.equal(int, text) returns boolean immutable language plpgsql as
       'begin return public.evil() = 7; end';
     create operator public.=== (leftarg = int, rightarg = text, procedure = public.equal, restrict = eqsel);
     reset role`,
  );
  t.teardown(async () => {
    await made.query('drop owned by test_plain');
  });
  await ask(made, 'select note from orders where customer = $1 and id = public.trap(5)', [7]);
  await ask(made, `select note from orders where customer = $1 and id === 'x'::text`, [7]);
  await made.query('truncate public.proof');
  // Planning by the client itself ran the insert: that is a statement as well.
  const found = (await learned(made)).filter(({ text }) => text.startsWith('select note'));
  t.is(found.length, 2);
  for (const pattern of found) {
    const index = indexOf(pattern)!;
    t.is(index['verdict'], 'unverified');
    t.regex(
      index['because'] as string,
      /^its search_path has schema public, in which others may create objects$/,
    );
  }
  t.deepEqual(await made.query('select * from public.proof'), []);
  const gaps = await made.query(
    `select what, reason from maint.gaps where step_name = 'pattern_learning' and what = 'plans of slow statements'`,
  );
  t.deepEqual(gaps, [{ what: 'plans of slow statements', reason: 'not_safe' }]);
});

test('slow statements that no worker has planned yet are named as not examined', async (t) => {
  const made = await database(t, table('orders'));
  await ask(made, 'select note from orders where customer = $1', [7]);
  await learn(made);
  await parseTexts(made.url);
  await learn(made);
  const reasonsNow = (): Promise<unknown[]> =>
    made.query(
      `select reason from maint.gaps where step_name = 'pattern_learning' and what = 'plans of slow statements'`,
    );
  t.deepEqual(await reasonsNow(), [{ reason: 'no_worker' }]);
  await planAsked(made);
  await learn(made);
  t.deepEqual(await reasonsNow(), []);
});
