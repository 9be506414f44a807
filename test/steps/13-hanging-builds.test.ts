import test from 'ava';
import pg from 'pg';
import { quoted, quotedTable } from '../support/broken-indexes.ts';
import type { IndexName } from '../support/broken-indexes.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import {
  cancel,
  openFindings,
  run,
  startStatement,
  waitForRow,
  waitUntilBlocked,
} from '../support/maintenance.ts';
import type { FindingRow, RunResult, UnderWay } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import {
  openSession,
  prepareTransaction,
  under,
  unprivilegedInstallation,
  waitForState,
} from '../support/sessions.ts';

const kind = 'build.hanging';
const only = ['hanging_builds'];
const shop: IndexName = { schema: 'shop', table: 'orders', index: 'orders_a' };

async function makeTable(database: TestDatabase, name: IndexName): Promise<void> {
  await database.query(`create schema if not exists ${pg.escapeIdentifier(name.schema)}`);
  await database.query(
    `create table ${quotedTable(name)} as select g as a from generate_series(1, 100) as g`,
  );
}

function createIndex(name: IndexName): string {
  return `create index concurrently ${pg.escapeIdentifier(name.index)} on ${quotedTable(name)} (a)`;
}

/** As if the builds sampled until now had been sampled an hour earlier. */
async function anHourLater(database: TestDatabase): Promise<void> {
  await database.query(
    `update maint.index_build_sample set unchanged_since = unchanged_since - interval '1 hour'`,
  );
}

async function found(database: TestDatabase): Promise<FindingRow[]> {
  return await openFindings(database, kind);
}

async function samples(database: TestDatabase): Promise<number> {
  return (await database.query('select from maint.index_build_sample')).length;
}

function counts(result: RunResult): unknown[] {
  const monitoring = result.cleanup['concurrent_index_monitoring'] as Record<string, number>;
  return [
    result.cleanup['hanging_concurrent_builds'],
    monitoring['active_builds'],
    monitoring['hanging_builds'],
  ];
}

/** Waits until the build waits in this phase: between two phases it looks blocked as well. */
async function waitForPhase(database: TestDatabase, build: UnderWay, phase: string): Promise<void> {
  await waitForRow(
    database,
    `select from pg_stat_progress_create_index as p
     join pg_locks as l on l.pid = p.pid and not l.granted
     where p.pid = $1 and p.phase = $2`,
    [build.pid, phase],
  );
}

/** A build of shop that waits for an open transaction, and the session that holds it up. */
async function hangingBuild(
  database: TestDatabase,
): Promise<{ build: UnderWay; holder: { client: pg.Client; pid: number } }> {
  await makeTable(database, shop);
  const holder = await openSession(
    database,
    'forgotten',
    'begin',
    `insert into ${quotedTable(shop)} values (0)`,
  );
  await waitForState(database, holder.pid, 'idle in transaction');
  const build = await startStatement(database, createIndex(shop));
  await waitForPhase(database, build, 'waiting for writers before build');
  return { build, holder };
}

test('without builds there is nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.deepEqual(counts(result), [0, 0, 0]);
  t.deepEqual(result.alerts, []);
});

test('a build that an open transaction holds up is hanging, is named with it, and goes on by the remedy', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { build, holder } = await hangingBuild(database);
  t.deepEqual(counts(await run(database, { only })), [0, 1, 0], 'seen for the first time');
  t.deepEqual(counts(await run(database, { only })), [0, 1, 0], 'two runs in quick succession say nothing');
  await anHourLater(database);
  const result = await run(database, { only });
  t.deepEqual(counts(result), [1, 1, 1]);
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['warning'],
  );
  const [finding] = await found(database);
  t.is(finding!.schema_name, 'shop');
  t.is(finding!.table_name, 'orders');
  t.is(finding!.object_name, 'orders_a');
  t.is(finding!.detail['pid'], build.pid);
  t.is(finding!.detail['phase'], 'waiting for writers before build');
  t.is(finding!.detail['blocker_pid'], holder.pid);
  t.is(finding!.detail['blocker_query'], 'insert into "shop"."orders" values (0)');
  t.is(finding!.detail['blocker_state'], 'idle in transaction');
  t.is(finding!.detail['lockers_total'], 1);
  t.is(finding!.detail['lockers_done'], 0);
  t.true(Number(finding!.detail['unchanged_seconds']) >= 3600);
  t.is(result.alerts[0]!.message, finding!.summary);
  t.regex(finding!.summary, new RegExp(`waits for process ${holder.pid} of role postgres \\(forgotten\\)`));

  await database.query(finding!.remedy!);
  t.is(await build.ended, null, 'the build is done');
  t.deepEqual(counts(await run(database, { only })), [0, 0, 0]);
  t.deepEqual(await found(database), []);
  t.is(await samples(database), 0);
});

test('a build that has moved between two runs is not hanging, and one that then stops is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  const write = `insert into ${quotedTable(shop)} values (0)`;
  const first = await openSession(database, 'first', 'begin', write);
  const second = await openSession(database, 'second', 'begin', write);
  const build = await startStatement(database, createIndex(shop));
  await waitForPhase(database, build, 'waiting for writers before build');
  const locker = `select from pg_stat_progress_create_index where pid = $1 and current_locker_pid = $2`;
  const waitsForFirst = (await database.query(locker, [build.pid, first.pid])).length === 1;
  const [ends, stays] = waitsForFirst ? [first, second] : [second, first];
  await run(database, { only });
  await anHourLater(database);
  await ends.client.query('commit');
  await waitForRow(database, locker, [build.pid, stays.pid]);
  await waitUntilBlocked(database, build);
  t.deepEqual(counts(await run(database, { only })), [0, 1, 0]);
  await anHourLater(database);
  t.deepEqual(counts(await run(database, { only })), [1, 1, 1]);
  t.is((await found(database))[0]!.detail['blocker_pid'], stays.pid);
  await stays.client.query('commit');
  t.is(await build.ended, null);
});

test('an open snapshot holds a build up at its end, and a reader a REINDEX', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  await makeTable(database, { ...shop, table: 'other' });
  const snapshot = await openSession(
    database,
    'snapshot',
    'begin isolation level repeatable read',
    'select * from shop.other',
  );
  const build = await startStatement(database, createIndex(shop));
  await waitForPhase(database, build, 'waiting for old snapshots');
  await run(database, { only });
  await anHourLater(database);
  t.deepEqual(counts(await run(database, { only })), [1, 1, 1]);
  const [hanging] = await found(database);
  t.is(hanging!.detail['phase'], 'waiting for old snapshots');
  t.is(hanging!.detail['blocker_pid'], snapshot.pid);
  await snapshot.client.query('commit');
  t.is(await build.ended, null);

  const reader = await openSession(database, 'reader', 'begin', `select * from ${quotedTable(shop)}`);
  const reindex = await startStatement(database, `reindex index concurrently ${quoted(shop)}`);
  await waitForPhase(database, reindex, 'waiting for readers before marking dead');
  await run(database, { only });
  await anHourLater(database);
  await run(database, { only });
  const [late, ...others] = await found(database);
  t.deepEqual(others, []);
  t.is(late!.detail['command'], 'REINDEX CONCURRENTLY');
  t.is(late!.detail['blocker_pid'], reader.pid);
  await database.query(late!.remedy!);
  t.is(await reindex.ended, null);
});

test('a blocker at work is cancelled, not ended', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  const busy = await openSession(database, 'busy');
  const statement = under(
    busy,
    `select pg_sleep(600) from (select * from ${quotedTable(shop)} for update) as t`,
  );
  await waitForState(database, busy.pid, 'active');
  await waitForRow(database, `select from pg_locks where pid = $1 and mode = 'RowShareLock'`, [busy.pid]);
  const build = await startStatement(database, createIndex(shop));
  await waitForPhase(database, build, 'waiting for old snapshots');
  await run(database, { only });
  await anHourLater(database);
  await run(database, { only });
  const [finding] = await found(database);
  t.is(finding!.detail['blocker_pid'], busy.pid);
  await database.query(finding!.remedy!);
  t.regex((await statement.ended)!.message, /canceling statement/);
  t.is(await build.ended, null);
  t.is((await busy.client.query('select 1')).rowCount, 1, 'its session lives on');
});

test.serial('a prepared transaction is named, not the innocent session that prepared it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  const gid = `it's; ${database.name}`;
  await prepareTransaction(t, database, gid, `insert into ${quotedTable(shop)} values (0)`);
  const build = await startStatement(database, createIndex(shop));
  await waitForPhase(database, build, 'waiting for writers before build');
  await run(database, { only });
  await anHourLater(database);
  await run(database, { only });
  const [finding] = await found(database);
  t.is(finding!.detail['blocker_pid'], null);
  t.is(finding!.detail['blocker_prepared_transaction'], gid);
  t.not(finding!.detail['current_locker_pid'], 0, 'there is a session to fall for');
  await database.query(finding!.remedy!);
  t.is(await build.ended, null);
});

test('builds that hang are told apart, by every name and in every schema', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = hostileNames.slice(0, 6).map((name) => ({ schema: name, table: name, index: `${name}_i` }));
  for (const name of names) await makeTable(database, name);
  const holder = await openSession(
    database,
    'holder',
    'begin',
    ...names.map((name) => `lock table ${quotedTable(name)} in row exclusive mode`),
  );
  const builds: UnderWay[] = [];
  for (const name of names) builds.push(await startStatement(database, createIndex(name)));
  for (const build of builds) await waitForPhase(database, build, 'waiting for writers before build');
  await run(database, { only });
  await anHourLater(database);
  const result = await run(database, { only });
  t.deepEqual(counts(result), [names.length, names.length, names.length]);
  t.is(result.alerts.length, names.length, 'an alert for each');
  const shown = (await found(database)).map(({ schema_name, table_name, object_name }) =>
    [schema_name, table_name, object_name].join('|'),
  );
  t.deepEqual(shown.sort(), names.map((name) => [name.schema, name.table, name.index].join('|')).sort());
  for (const { summary, schema_name } of await found(database)) {
    t.true(summary.includes(pg.escapeIdentifier(schema_name!)) || /^[a-z]+$/.test(schema_name!));
  }
  await holder.client.query('commit');
  for (const build of builds) await build.ended;
});

test('the next build of the same session does not inherit the time of the first', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  await database.query(`create index orders_a on ${quotedTable(shop)} (a)`);
  await openSession(database, 'forgotten', 'begin', `insert into ${quotedTable(shop)} values (0)`);
  const builder = await openSession(database, 'builder');
  const seen: unknown[] = [];
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    const build = under(builder, `reindex index concurrently ${quoted(shop)}`);
    await waitForPhase(database, build, 'waiting for writers before build');
    t.deepEqual(counts(await run(database, { only })), [0, 1, 0]);
    await anHourLater(database);
    seen.push((await database.query('select counters from maint.index_build_sample'))[0]);
    await cancel(database, build);
  }
  t.deepEqual(seen[0], seen[1], 'they look the same');
});

test('a long sort moves no counter and is not hanging', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database, shop);
  // Slow to compare, so that the sort takes longer than the test.
  await database.query(`
    create function shop.slow(a int, b int) returns int language plpgsql immutable as $$
      begin
        perform pg_sleep(600) from pg_stat_progress_create_index where phase like '%sorting%' and pid = pg_backend_pid();
        return btint4cmp(a, b);
      end $$;
    create operator class shop.slow_ops for type int using btree as
      operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 shop.slow(int, int)`);
  const build = await startStatement(
    database,
    `create index concurrently orders_a on ${quotedTable(shop)} (a shop.slow_ops)`,
  );
  await waitForRow(
    database,
    `select from pg_stat_progress_create_index where pid = $1 and phase like '%sorting live tuples'`,
    [build.pid],
  );
  await run(database, { only });
  await anHourLater(database);
  t.deepEqual(counts(await run(database, { only })), [0, 1, 0]);
  await cancel(database, build);
});

test('builds of other databases are theirs', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await createDatabase(t, { template: 'installed' });
  const { build, holder } = await hangingBuild(other);
  await run(database, { only });
  t.deepEqual(counts(await run(database, { only })), [0, 0, 0]);
  t.is(await samples(database), 0);
  await holder.client.query('commit');
  await build.ended;
});

test('hanging_after decides, and the feature can be off', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { build, holder } = await hangingBuild(database);
  await database.query(`select maint.configure('features.concurrent_index_monitoring.hanging_after', '0')`);
  t.deepEqual(counts(await run(database, { only })), [0, 1, 0], 'one look shows no standstill');
  t.deepEqual(counts(await run(database, { only })), [1, 1, 1]);
  await database.query(`select maint.configure('features.concurrent_index_monitoring.enabled', 'false')`);
  const result = await run(database, { only });
  t.is(result.steps['hanging_builds']!.reason, 'disabled');
  t.deepEqual(counts(result), [null, null, null]);
  t.is((await found(database)).length, 1, 'what was not looked at stays open');
  await holder.client.query('commit');
  t.is(await build.ended, null);
});

test('what the owner may not see is named as not permitted, and an open finding about it stays', async (t) => {
  const { database, owner, run: runAsOwner } = await unprivilegedInstallation(t);
  const { build, holder } = await hangingBuild(database);
  await database.query(`grant pg_read_all_stats to ${owner}`);
  await runAsOwner(only);
  await anHourLater(database);
  t.deepEqual(counts(await runAsOwner(only)), [1, 1, 1]);
  await database.query(`revoke pg_read_all_stats from ${owner}`);
  const result = await runAsOwner(only);
  t.is(result.status, 'partial', JSON.stringify(result.steps['hanging_builds']));
  const monitoring = result.cleanup['concurrent_index_monitoring'] as Record<string, unknown>;
  t.deepEqual(monitoring['unexamined'], [
    { reason: 'not_permitted', role: 'postgres', sessions: 1, pids: [build.pid] },
  ]);
  t.is((await found(database)).length, 1);
  t.is(await samples(database), 1);
  await holder.client.query('commit');
  t.is(await build.ended, null);
  t.deepEqual(counts(await runAsOwner(only)), [0, 0, 0]);
  t.deepEqual(await found(database), []);
});
