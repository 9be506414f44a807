import test from 'ava';
import { bloatCauses } from '../../src/catalog/rebuilds.ts';
import { runAsync } from '../../src/core/drivers.ts';
import { connectionHost } from '../../src/worker/host.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { check, configure, counted, health, healthOf, thinOut, withItems } from '../support/index-health.ts';
import type { AutomaticReindex } from '../support/index-health.ts';
import { openFindings, openTransaction, queuedActions, waitForRow } from '../support/maintenance.ts';
import { ended, startWorker } from '../support/worker.ts';

async function reindex(database: TestDatabase): Promise<AutomaticReindex> {
  return (await check(database)).cleanup['automatic_reindex'] as unknown as AutomaticReindex;
}

async function safeguard(database: TestDatabase, key: string, value: unknown): Promise<void> {
  await database.query('select maint.configure($1, $2)', [
    `operational.safeguards.${key}`,
    JSON.stringify(value),
  ]);
}

/** Three bloated indexes of different sizes and shares of bloat. */
async function withBloated(t: Parameters<typeof withItems>[0]): Promise<TestDatabase> {
  const database = await withItems(t);
  await database.query(`
    create index item_name on item (name);
    create table other (id int) with (autovacuum_enabled = false);
    insert into other select generate_series(1, 60000);
    create index other_id on other (id)`);
  await thinOut(database, 'item', 40);
  await thinOut(database, 'other', 80);
  return database;
}

/** As the actions are ranked. */
async function ranked(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ index: string }>(
    `select target ->> 'index' as index from maint.actions where kind = 'reindex_index' order by (evidence ->> 'rank')::int`,
  );
  return rows.map(({ index }) => index);
}

test('off: reported only', async (t) => {
  const database = await withBloated(t);
  const result = await reindex(database);
  t.like(result, { enabled: false, planned: false, reason: 'auto_reindex is off', rebuilt_queued: 0 });
  t.deepEqual(await queuedActions(database), []);
  t.is((await openFindings(database, 'index.bloated')).length, 3);
});

test('weekly: what pays back most first, and not again before a week is over', async (t) => {
  const database = await withBloated(t);
  await configure(database, 'auto_reindex', true);
  t.like(await reindex(database), { enabled: true, planned: true, queued: 3, rebuilt: 0, rebuilt_queued: 3 });
  t.is((await ranked(database))[0], 'other_id', 'four fifths are given back');
  const again = await reindex(database);
  t.like(again, { planned: false, reason: 'not_due', rebuilt_queued: 0 });
  t.true(again.next_in_hours! > 160 && again.next_in_hours! <= 168);
  await database.query(
    `delete from maint.action; update maint.reindex_plan set planned_at = planned_at - interval '8 days'`,
  );
  await configure(database, 'reindex_schedule', 'monthly');
  t.like(await reindex(database), { planned: false, reason: 'not_due' });
  await configure(database, 'reindex_schedule', 'weekly');
  t.like(await reindex(database), { planned: true, queued: 3 });
});

test('on demand: never by itself', async (t) => {
  const database = await withBloated(t);
  await configure(database, 'auto_reindex', true);
  await configure(database, 'reindex_schedule', 'on_demand');
  t.like(await reindex(database), { planned: false, reason: 'on_demand', rebuilt_queued: 0 });
});

test('for one table only', async (t) => {
  const database = await withBloated(t);
  await configure(database, 'auto_reindex', true, 'table:public.other');
  t.like(await reindex(database), { enabled: true, planned: true, queued: 1 });
  t.deepEqual(await ranked(database), ['other_id']);
});

for (const [key, value, reason] of [
  ['max_index_size_mb', 0.5, 'max_index_size_mb'],
  ['max_total_size_mb', 2, 'max_total_size_mb'],
  ['max_actions_per_window', 1, 'count'],
  ['max_minutes_per_window', 0.001, 'time_left_in_window'],
] as const) {
  test(`the limit ${key} leaves out what is beyond it, and says so`, async (t) => {
    const database = await withBloated(t);
    await configure(database, 'auto_reindex', true);
    await safeguard(database, key, value);
    const { queued, left_out: leftOut } = await reindex(database);
    t.true(queued! < 3);
    t.is(leftOut?.[reason], 3 - queued!);
  });
}

test('one that was rebuilt in the last days and is bloated again is not rebuilt, and the cause is told', async (t) => {
  const database = await withItems(t);
  await configure(database, 'auto_reindex', true);
  await health(database);
  await database.query('reindex index item_id');
  await health(database);
  await thinOut(database, 'item', 50);
  const result = await reindex(database);
  t.like(result, { planned: true, queued: 0, left_out: { rebuilt_recently: 1 } });
  const [finding] = await openFindings(database, 'index.bloated');
  t.is(finding!.detail['bloated_again_because'], 'autovacuum is off for its table');
  t.regex(finding!.summary, /rebuilt 0 days ago: autovacuum is off/);
  await configure(database, 'reindex_min_days', 0);
  t.like(
    await reindex(database),
    { planned: true, queued: 1 },
    'a plan that queued nothing does not put the next one off',
  );
});

test('rows that an old snapshot keeps from VACUUM are bloat: a concurrent rebuild leaves them out; and it is named as the cause', async (t) => {
  const database = await withItems(t);
  await health(database);
  const reader = await openTransaction(
    database,
    'set transaction isolation level repeatable read',
    'select 1',
  );
  await database.query('delete from item where id % 2 = 0');
  await counted(database);
  await database.query('vacuum item');
  await counted(database);
  const [left] = await database.query<{ dead: number; oid: number }>(
    `select pg_stat_get_dead_tuples('item'::regclass)::int as dead, 'item_id'::regclass::oid::int as oid`,
  );
  t.is(left!.dead, 30_000);
  await health(database);
  const { bloat_percent: bloat } = await healthOf(database, 'item_id');
  const size = async (index: string): Promise<number> => {
    const [row] = await database.query<{ bytes: number }>('select pg_relation_size($1)::int as bytes', [
      index,
    ]);
    return row!.bytes;
  };
  const before = await size('item_id');
  // It stands at its end, and waits for the snapshot: the new index is complete.
  const rebuilding = (await database.client()).query('reindex index concurrently item_id');
  await waitForRow(
    database,
    `select from pg_stat_progress_create_index
     where datname = current_database() and phase = 'waiting for old snapshots' and index_relid <> ${left!.oid}`,
  );
  const given = 100 * (1 - (await size('item_id_ccnew')) / before);
  t.true(Math.abs(given - bloat!) < 3, `${given}, and ${bloat} were told`);

  const inTwoHours = new Date(Date.now() + 2 * 3600_000).toISOString();
  const client = await database.client();
  const cause = async (): Promise<string | undefined> =>
    (await runAsync(bloatCauses([left!.oid], inTwoHours), connectionHost(client))).get(left!.oid);
  t.regex((await cause())!, /^the transaction of process \d+ keeps old rows from being removed$/);
  await reader.end();
  await rebuilding;
  t.true((await size('item_id')) < before * 0.55);
});

test('a transaction of another database keeps no rows of this one', async (t) => {
  const database = await withItems(t, { rows: 10 });
  const other = await createDatabase(t);
  const client = await database.client();
  const reader = await openTransaction(other, 'set transaction isolation level repeatable read', 'select 1');
  const [index] = await database.query<{ oid: number }>(`select 'item_id'::regclass::oid::int as oid`);
  const inTwoHours = new Date(Date.now() + 2 * 3600_000).toISOString();
  const causes = await runAsync(bloatCauses([index!.oid], inTwoHours), connectionHost(client));
  t.is(causes.get(index!.oid), 'autovacuum is off for its table');
  await reader.end();
});

test("an exclusion constraint's index is reported, and not rebuilt concurrently", async (t) => {
  const database = await withItems(t, { rows: 10 });
  await configure(database, 'auto_reindex', true);
  await database.query(`
    create table span (id int, exclude using btree (id with =)) with (autovacuum_enabled = false);
    insert into span select generate_series(1, 60000)`);
  await thinOut(database, 'span', 60);
  t.like(await reindex(database), { queued: 0, left_out: { can_not_be_rebuilt_concurrently: 1 } });
  const [finding] = await openFindings(database, 'index.bloated');
  t.is(finding!.remedy, 'reindex index public.span_id_excl;');
  await t.throwsAsync(database.query('select maint.apply($1)', [finding!.finding_id]), {
    message: /exclusion constraint/,
  });
});

test('applied by hand it is rebuilt at once, and the new index is measured', async (t) => {
  const database = await withBloated(t);
  await check(database);
  const [finding] = await openFindings(database, 'index.bloated');
  t.is(finding!.object_name, 'item_id');
  const [row] = await database.query<{ action: { action_id: number; kind: string } }>(
    'select maint.apply($1) as action',
    [finding!.finding_id],
  );
  t.is(row!.action.kind, 'reindex_index');
  startWorker(t, database);
  const record = await ended(database, row!.action.action_id);
  t.is(record.status, 'succeeded', record.outcome!);
  t.is(record.outcome, 'rebuilt');
  t.true(record.size_after! < record.size_before! * 0.7);
  await waitForRow(database, 'select from maint.index_history where rebuilt');
  const fresh = await healthOf(database, 'item_id');
  t.true(Math.abs(fresh.bloat_percent!) < 2, `${fresh.bloat_percent}`);
  t.is(fresh.verdict, 'healthy');
  const samples = await database.query<{ rebuilt: boolean }>(
    'select rebuilt from maint.index_history where index_id = $1 order by sampled_at',
    [fresh.index_id],
  );
  t.deepEqual(samples, [{ rebuilt: false }, { rebuilt: true }]);
});

test('a rebuild that would not be done before the window closes does not begin', async (t) => {
  const database = await withBloated(t);
  await configure(database, 'auto_reindex', true, 'table:public.other');
  await reindex(database);
  // Fourteen hours of a window at least are left at any time of day; it would take a year.
  await database.query(`update maint.action set evidence = evidence || '{"predicted_bytes": 1e15}'`);
  await safeguard(database, 'maintenance_windows', ['00:00-24:00']);
  startWorker(t, database);
  const [{ action_id: id } = { action_id: 0 }] = await database.query<{ action_id: number }>(
    'select action_id::int from maint.actions',
  );
  const record = await ended(database, id);
  t.is(record.status, 'skipped');
  t.regex(record.outcome!, /^time_left: it would take \d+ minutes/);
});
