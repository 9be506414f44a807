/** Step 8 on workloads that real clients made. What resets and evictions do is in test/cluster/query-history.test.ts. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, requireDone, waitForRow } from '../support/maintenance.ts';
import { configure, learn, patterns } from '../support/patterns.ts';
import type { Learning } from '../support/patterns.ts';
import { unprivilegedInstallation } from '../support/sessions.ts';
import { passHours } from '../support/query-history.ts';
import { parseTexts, pgbench } from '../support/workload.ts';
import { ended, startWorker } from '../support/worker.ts';

/** Whatever is not slow is fast, so that a busy machine changes nothing; a scan of these rows takes longer anywhere. */
const slowMs = 5;

async function shop(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension pg_stat_statements');
  await database.query(`
    create schema shop;
    create table shop.orders (id int primary key, customer int, note text) with (autovacuum_enabled = false);
    insert into shop.orders select n, n % 20000, repeat(md5(n::text), 2) from generate_series(1, 200000) as n;
    create table shop.log (id int, note text)`);
  await database.query('vacuum analyze shop.orders');
  // Else these rows may be counted as written later.
  await database.query('select pg_stat_force_next_flush()');
  await configure(database, 'slow_ms', slowMs);
  await configure(database, 'fast_ms', slowMs);
  return database;
}

const slowText = 'select count(*) from shop.orders where customer = $1';
const spillingText = 'select note from shop.orders order by note offset $1';
const chattyText = 'select customer from shop.orders where id = $1';
const fastText = 'select note from shop.orders where id = $1';
const insertText = 'insert into shop.log values ($1, $2)';

/** Each statement so often as it says; none of them more. */
async function workload(t: ExecutionContext, database: TestDatabase): Promise<void> {
  const { url } = database;
  const random = '\\set id random(1, 20000)\n';
  await pgbench(t, url, {
    transactions: 4,
    text: `${random}select count(*) from shop.orders where customer = :id;`,
  });
  await pgbench(t, url, {
    transactions: 3,
    text: `set work_mem = '64kB';\n\\set n 200000\nselect note from shop.orders order by note offset :n;`,
  });
  await pgbench(t, url, {
    transactions: 25,
    text: `begin;\n${`${random}select customer from shop.orders where id = :id;\n`.repeat(100)}commit;`,
  });
  await pgbench(t, url, {
    transactions: 6,
    clients: 2,
    text: `${random}select note from shop.orders where id = :id;`,
  });
  await pgbench(t, url, {
    transactions: 11,
    text: `${random}\\set c 7\ninsert into shop.log values (:id, :c);`,
  });
  // Too few of each.
  await pgbench(t, url, {
    transactions: 9,
    text: `${random}select id, note from shop.orders where id = :id;`,
  });
  await pgbench(t, url, {
    transactions: 2,
    text: `${random}select sum(id) from shop.orders where customer = :id;`,
  });
}

/** What the server itself has counted, by text. */
async function counted(database: TestDatabase): Promise<Map<string, { calls: number; ms: number }>> {
  const rows = await database.query<{ query: string; calls: number; ms: number }>(
    `select query, calls::int, total_exec_time as ms from pg_stat_statements
     where dbid = (select oid from pg_database where datname = current_database())`,
  );
  return new Map(rows.map(({ query, ...figures }) => [query, figures]));
}

test('slow, spilling, chatty and fast statements are learned with their figures, and nothing else is', async (t) => {
  const database = await shop(t);
  await learn(database);
  const before = await counted(database);
  await workload(t, database);
  await learn(database);
  // Over two intervals.
  await pgbench(t, database.url, {
    transactions: 8,
    text: '\\set id random(1, 20000)\nselect note from shop.orders where id = :id;',
  });
  const after = await counted(database);
  const unparsed = await learn(database);
  t.is(unparsed.slow_patterns, 3);
  t.is(unparsed.fast_patterns, 2);
  t.is(unparsed.not_parsed_yet, 5);
  t.false(unparsed.counters_lost);
  await parseTexts(database.url);
  const parsed = await learn(database);
  t.is(parsed.slow_patterns, 3);
  t.is(parsed.fast_patterns, 2);
  t.is(parsed.not_parsed_yet, 0);

  const learned = await patterns(database);
  t.deepEqual(
    learned
      .map(({ kind, text, calls }) => ({ kind, text, calls }))
      .sort((a, b) => (a.text < b.text ? -1 : 1)),
    [
      { kind: 'fast', text: insertText, calls: 11 },
      { kind: 'slow', text: slowText, calls: 4 },
      { kind: 'slow', text: chattyText, calls: 2500 },
      { kind: 'slow', text: spillingText, calls: 3 },
      { kind: 'fast', text: fastText, calls: 20 },
    ].sort((a, b) => (a.text < b.text ? -1 : 1)),
  );
  for (const { text, calls, total_exec_ms } of learned) {
    const own = {
      calls: (after.get(text)?.calls ?? 0) - (before.get(text)?.calls ?? 0),
      ms: (after.get(text)?.ms ?? 0) - (before.get(text)?.ms ?? 0),
    };
    t.is(calls, own.calls, text);
    t.true(Math.abs(total_exec_ms - own.ms) < 0.01, `${text}: ${total_exec_ms} and ${own.ms}`);
  }
  const reasons = (text: string): unknown[] =>
    learned.find((one) => one.text === text)!.reasons.map(({ reason }) => reason);
  t.deepEqual(reasons(slowText), ['missing_index']);
  t.true(reasons(spillingText).includes('spills_to_disk'));
  t.deepEqual(reasons(chattyText), ['row_by_row']);
  t.deepEqual(reasons(fastText), []);
  for (const { tables, parsed: isParsed } of learned) {
    t.true(isParsed);
    t.regex(tables.join(), /^shop\.(orders|log)$/);
  }
  const slow = await openFindings(database, 'query.slow_pattern');
  t.is(slow.length, 3);
  t.deepEqual(await openFindings(database, 'query.fast_pattern'), [], 'nothing is wrong with them');
  t.is(slow.filter(({ remedy }) => remedy !== null).length, 1);
  const remedy = slow.find(({ remedy: one }) => one !== null)!;
  t.is(remedy.remedy, 'create index concurrently on shop.orders (customer);');
  t.is(remedy.schema_name, 'shop');
  t.is(remedy.table_name, 'orders');
  t.deepEqual(remedy.detail['columns'], ['customer']);
});

test('a database in which nobody does anything gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension pg_stat_statements');
  const { slow_patterns, fast_patterns, status } = await learn(database);
  t.deepEqual(
    { slow_patterns, fast_patterns, status },
    { slow_patterns: 0, fast_patterns: 0, status: 'learned' },
  );
  t.deepEqual(await openFindings(database, 'query.'), []);
});

test('what was counted before the first snapshot counts only where it is younger than the window', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create extension pg_stat_statements');
  await database.query(`select maint.take_query_snapshot(clock_timestamp() + '2 days')`);
  t.deepEqual(await database.query('select from maint.query_interval'), []);
  await passHours(database, 48);
  const again = await learn(database);
  t.is(again.status, 'learned');
  const fresh = await createDatabase(t, { template: 'installed' });
  await fresh.query('create extension pg_stat_statements');
  await fresh.query(`select maint.take_query_snapshot(clock_timestamp() + '2 days')`);
  await passHours(fresh, 96);
  // Nothing was taken in the last 24 hours but what this run takes: an interval that lies before them for the most part.
  t.is((await learn(fresh)).status, 'insufficient_history');
});

test('what was slow is fast once its index is there, and is forgotten when it expires', async (t) => {
  const database = await shop(t);
  await learn(database);
  const ask = (times: number): Promise<void> =>
    pgbench(t, database.url, {
      transactions: times,
      text: '\\set id random(1, 20000)\nselect count(*) from shop.orders where customer = :id;',
    });
  await ask(5);
  await learn(database);
  await parseTexts(database.url);
  await learn(database);
  const [finding] = await openFindings(database, 'query.slow_pattern');
  const [applied] = await database.query<{ action: { action_id: number } }>(
    'select maint.apply($1) as action',
    [finding!.finding_id],
  );
  startWorker(t, database);
  t.is((await ended(database, applied!.action.action_id)).status, 'succeeded');
  await passHours(database, 30);
  await learn(database);
  t.deepEqual(await openFindings(database, 'query.'), []);
  t.is((await patterns(database)).length, 1, 'remembered until it expires');
  await ask(20);
  await learn(database);
  const [only, ...more] = await patterns(database);
  t.deepEqual(more, []);
  t.is(only!.kind, 'fast');
  t.is(only!.calls, 20);
  await passHours(database, 24 * 8);
  await learn(database);
  t.deepEqual(await patterns(database), []);
});

test('what the server does not count, or not for this role, is said with its remedy', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const missing = await learn(database);
  t.is(missing.status, 'not_installed');
  t.is(missing.slow_patterns, null);
  t.is(missing.fast_patterns, null);
  t.is(missing.remedy, 'create extension pg_stat_statements;');
  await database.query(
    'create schema "odd ""schema"; create extension pg_stat_statements schema "odd ""schema"',
  );
  t.is((await learn(database)).status, 'learned');

  const { database: plain, owner, run } = await unprivilegedInstallation(t);
  const asPlain = async (): Promise<Learning> => {
    const result = await run(['pattern_learning']);
    requireDone(result, 'pattern_learning');
    return result.cleanup['pattern_learning'] as unknown as Learning;
  };
  await plain.query('create extension pg_stat_statements; create table public.hidden (n int)');
  for (let n = 0; n < 20; n += 1) await plain.query('select n from public.hidden where n = 5');
  const hidden = await asPlain();
  t.is(hidden.fast_patterns, null, 'none that could be read');
  t.is(hidden.unexamined!.reason, 'not_permitted');
  t.is(hidden.unexamined!.remedy, `grant pg_read_all_stats to ${owner};`);
  // What had been called before it can be read is not history.
  await plain.query(hidden.unexamined!.remedy);
  t.is((await asPlain()).fast_patterns, 0);
  for (let n = 0; n < 15; n += 1) await plain.query('select n from public.hidden where n = 5');
  t.is((await asPlain()).fast_patterns, 1);
  t.is((await patterns(plain))[0]!.calls, 15);
  await plain.query('revoke all on function pg_stat_statements(boolean) from public');
  const refused = await asPlain();
  t.is(refused.status, 'not_permitted');
  t.is(refused.fast_patterns, null);
  t.is((await patterns(plain)).length, 1, 'stays as it was');
  await plain.query(refused.remedy!);
  t.is((await asPlain()).status, 'learned');
});

test('a worker takes snapshots and parses by itself', async (t) => {
  const database = await shop(t);
  await configure(database, 'snapshot_interval', 1);
  startWorker(t, database);
  for (let n = 0; n < 12; n += 1) await database.query('select note from shop.orders where id = 7');
  await waitForRow(
    database,
    `select from maint.query_history where text like 'select note from shop.orders%' and fingerprint is not null`,
  );
  await waitForRow(database, 'select from maint.query_interval having count(*) > 2');
  await waitForRow(database, 'select from maint.workload_sample');
  await learn(database);
  const [learned] = await patterns(database);
  t.is(learned!.calls, 12);
  t.true(learned!.parsed);
});

test('intervals are rolled up by the hour, kept as long as they should be, and sum up to the same', async (t) => {
  const database = await shop(t);
  const client = await database.client();
  const sums = async (): Promise<unknown> =>
    (
      await client.query(`select verb = 'own' as own, sum(calls)::int as calls, sum(row_count)::int as rows
      from maint.query_history where verb <> 'own' group by 1`)
    ).rows;
  await configure(database, 'statements_kept', 10);
  const names = Array.from({ length: 40 }, (_, place) => `c${place}`);
  for (const name of names)
    await database.query(`create view shop.${name} as select id as ${name} from shop.log`);
  const calls = 4;
  for (let minute = 0; minute < calls; minute += 1) {
    for (const name of names) await database.query(`select ${name} from shop.${name}`);
    await client.query(
      `select maint.take_query_snapshot(clock_timestamp() - interval '5 hours' + $1 * interval '1 minute')`,
      [minute],
    );
  }
  const before = await sums();
  const kept =
    await client.query(`select interval_id, count(*) filter (where statement_id is not null)::int as kept
    from maint.query_history group by 1`);
  t.true(kept.rows.every((row: { kept: number }) => row.kept <= 20));
  await client.query('select maint.take_query_snapshot(clock_timestamp())');
  const { rows: intervals } = await client.query<{ rolled_up: boolean; snapshots: number }>(
    'select rolled_up, snapshots from maint.query_interval order by ended_at',
  );
  t.true(intervals[0]!.rolled_up);
  t.is(
    intervals.filter(({ rolled_up: rolled }) => rolled).reduce((all, { snapshots }) => all + snapshots, 0),
    calls,
  );
  t.deepEqual(await sums(), before);
  await client.query(`select maint.take_query_snapshot(clock_timestamp() + interval '8 days')`);
  await client.query(`select maint.take_query_snapshot(clock_timestamp() + interval '8 days 3 hours')`);
  t.deepEqual(
    (await client.query(`select from maint.query_interval where ended_at < now() + interval '20 hours'`))
      .rows,
    [],
  );
});
