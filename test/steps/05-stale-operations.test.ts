import { randomBytes } from 'node:crypto';
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run, waitForRow, waitUntilBlocked } from '../support/maintenance.ts';
import type { FindingRow } from '../support/maintenance.ts';
import {
  openSession,
  prepareTransaction,
  under,
  unprivilegedInstallation,
  waitForState,
  waitUntilGone,
} from '../support/sessions.ts';
import { connectStandby } from '../support/walsender.ts';

const kind = 'operation.stale';
const only = ['stale_operations'];

interface Other {
  pid: number | null;
  application?: string;
  query?: string;
  state?: string;
  prepared_transaction?: string;
}

async function configure(database: TestDatabase, settings: Record<string, unknown>): Promise<void> {
  for (const [key, value] of Object.entries(settings)) {
    await database.query('select maint.configure($1, $2)', [
      `features.stale_operations.${key}`,
      JSON.stringify(value),
    ]);
  }
}

async function found(database: TestDatabase): Promise<FindingRow[]> {
  return await openFindings(database, kind);
}

async function foundReasons(database: TestDatabase): Promise<unknown[]> {
  return (await found(database)).map(({ detail }) => detail['reason']).sort();
}

/** Of cluster-wide things only the test's own: other tests have slots and standbys at the same time. */
async function foundObject(database: TestDatabase, object: string): Promise<FindingRow | undefined> {
  return (await found(database)).find(({ object_name }) => object_name === object);
}

function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString('hex')}`;
}

/** Waits for all transactions of the cluster that have an id: none of the test's own may be open. */
async function logicalSlot(database: TestDatabase, name: string): Promise<void> {
  await database.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
}

async function dropSlot(database: TestDatabase, name: string): Promise<void> {
  await waitForRow(
    database,
    'select where not exists (select from pg_replication_slots where slot_name = $1 and active)',
    [name],
  );
  await database.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
    [name],
  );
}

test('a database where nothing goes on gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await openSession(database, 'idle', 'select 1');
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.cleanup['stale_operations'], 0);
  t.is(result.cleanup['stale_operations_unexamined'], undefined);
  t.deepEqual(result.alerts, []);
});

test.serial('what has only just begun is not stale', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const sleeper = await openSession(database, 'sleeper');
  under(sleeper, 'select pg_sleep(600)');
  const idler = await openSession(database, 'idler', 'begin', 'create table public.x ()');
  await prepareTransaction(t, database, `just now ${database.name}`, 'create table public.y ()');
  await connectStandby(t, database, uniqueName('standby'));
  await waitForState(database, sleeper.pid, 'active');
  await waitForState(database, idler.pid, 'idle in transaction');
  const result = await run(database, { only });
  t.is(result.cleanup['stale_operations'], 0);
  t.deepEqual(await found(database), []);
});

test('a statement that runs for too long is found, and ended by the remedy', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { stale_after: 1 });
  const sleeper = await openSession(database, 'sleeper');
  const text = `select pg_sleep(600), '${'long '.repeat(1000)}'`;
  const statement = under(sleeper, text);
  await waitForState(database, sleeper.pid, 'active', 1.1);
  const result = await run(database, { only });
  t.is(result.cleanup['stale_operations'], 1);
  t.deepEqual(result.cleanup['stale_operations_by_reason'], { active: 1 });
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['warning'],
  );
  t.deepEqual(result.actions, {}, 'nothing is ended by us');
  const [finding] = await found(database);
  t.is(finding!.detail['reason'], 'active');
  t.is(finding!.detail['pid'], sleeper.pid);
  t.is(finding!.detail['application'], 'sleeper');
  t.is(finding!.detail['query'], text.slice(0, 500));
  t.true(Number(finding!.detail['query_seconds']) >= 1);
  t.deepEqual(finding!.detail['blockers'], []);
  t.is(finding!.detail['victims_total'], 0);
  await run(database, { only });
  t.is((await found(database))[0]!.finding_id, finding!.finding_id, 'the same one, seen again');

  await database.query(finding!.remedy!);
  t.regex((await statement.ended)!.message, /canceling statement/);
  await waitForState(database, sleeper.pid, 'idle');
  t.is((await run(database, { only })).cleanup['stale_operations'], 0);
  t.deepEqual(await found(database), []);

  const next = under(sleeper, 'select pg_sleep(600)');
  await waitForState(database, sleeper.pid, 'active', 1.1);
  await database.query(finding!.remedy!);
  await run(database, { only });
  t.is((await found(database)).length, 1, 'an old remedy leaves the next statement alone');
  t.not((await found(database))[0]!.finding_id, finding!.finding_id);
  await database.query((await found(database))[0]!.remedy!);
  t.not(await next.ended, null);
});

test('who waits for whom is named from both ends', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public."Da;ta" (a int)');
  const holder = await openSession(database, 'holder', 'begin', 'lock table public."Da;ta"');
  const victim = await openSession(database, 'victim');
  const stuck = under(victim, 'select * from public."Da;ta"');
  await waitUntilBlocked(database, stuck);
  await waitForState(database, victim.pid, 'active', 1.1);

  await configure(database, { stale_after: 1 });
  t.is((await run(database, { only })).cleanup['stale_operations'], 1);
  const [waiting] = await found(database);
  t.is(waiting!.detail['pid'], victim.pid);
  const [blocker] = waiting!.detail['blockers'] as unknown as Other[];
  t.is(blocker!.pid, holder.pid);
  t.is(blocker!.state, 'idle in transaction');
  t.is(blocker!.query, 'lock table public."Da;ta"');
  t.regex(waiting!.summary, new RegExp(`It waits for process ${holder.pid}\\.`));

  await configure(database, { stale_after: 600, idle_in_transaction_after: 1 });
  t.is((await run(database, { only })).cleanup['stale_operations'], 1);
  const [holding] = await found(database);
  t.is(holding!.detail['reason'], 'idle_in_transaction');
  t.is(holding!.detail['pid'], holder.pid);
  t.is(holding!.detail['victims_total'], 1);
  t.is((holding!.detail['victims'] as unknown as Other[])[0]!.pid, victim.pid);
  t.regex(holding!.summary, /It keeps 1 session waiting\./);
  await database.query(holding!.remedy!);
  t.is(await stuck.ended, null, 'the victim goes on');
  await waitUntilGone(database, holder.pid);
  t.is((await run(database, { only })).cleanup['stale_operations'], 0);
});

test('an aborted transaction left open is idle in a transaction too', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { idle_in_transaction_after: 0 });
  const session = await openSession(database, 'aborted', 'begin');
  await t.throwsAsync(session.client.query('select 1 / 0'));
  await waitForState(database, session.pid, 'idle in transaction (aborted)');
  t.is((await run(database, { only })).cleanup['stale_operations'], 1);
  await session.client.query('rollback');
  t.is((await run(database, { only })).cleanup['stale_operations'], 0);
});

test.serial('a prepared transaction is found with whom it keeps waiting', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int primary key)');
  const gid = `it's; ${database.name}`;
  await prepareTransaction(t, database, gid, 'insert into public.t values (1)');
  await prepareTransaction(t, database, `other ${database.name}`, 'insert into public.t values (2)');
  const inserting = await openSession(database, 'inserting');
  const stuck = under(inserting, 'insert into public.t values (1)');
  await waitUntilBlocked(database, stuck);
  await waitForState(database, inserting.pid, 'active', 1.1);

  await configure(database, { prepared_transaction_after: 0, stale_after: 1 });
  const result = await run(database, { only });
  t.deepEqual(result.cleanup['stale_operations_by_reason'], { prepared_transaction: 2, active: 1 });
  const finding = await foundObject(database, gid);
  t.is(finding!.detail['victims_total'], 1);
  t.is((finding!.detail['victims'] as unknown as Other[])[0]!.pid, inserting.pid);
  t.is((await foundObject(database, `other ${database.name}`))!.detail['victims_total'], 0);
  const active = (await found(database)).find(({ detail }) => detail['reason'] === 'active');
  t.deepEqual(
    (active!.detail['blockers'] as unknown as Other[]).map((blocker) => blocker.prepared_transaction),
    [gid],
  );
  await database.query(finding!.remedy!);
  t.is(await stuck.ended, null);
  t.deepEqual((await run(database, { only })).cleanup['stale_operations_by_reason'], {
    prepared_transaction: 1,
  });
  t.is(await foundObject(database, gid), undefined);
});

test.serial(
  'a slot that holds back vacuum is found in its own database, and gone when dropped',
  async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    const other = await createDatabase(t);
    const [slot, elsewhere, harmless] = [
      uniqueName('logical'),
      uniqueName('elsewhere'),
      uniqueName('physical'),
    ];
    await logicalSlot(database, slot);
    await logicalSlot(other, elsewhere);
    await database.query('select pg_create_physical_replication_slot($1)', [harmless]);
    t.teardown(() => dropSlot(database, harmless));
    t.teardown(() => dropSlot(other, elsewhere));
    t.teardown(() => dropSlot(database, slot));
    t.is((await run(database, { only })).cleanup['stale_operations'], 0, 'a few transactions are nothing');
    await configure(database, { xmin_age_limit: 0 });
    await run(database, { only });
    const finding = await foundObject(database, slot);
    t.is(finding!.detail['reason'], 'replication_slot');
    t.is(finding!.detail['slot_type'], 'logical');
    t.is(typeof finding!.detail['catalog_xmin_age'], 'number');
    t.is(await foundObject(database, elsewhere), undefined);
    t.is(await foundObject(database, harmless), undefined, 'it holds no transaction id');
    await database.query(finding!.remedy!);
    await run(database, { only });
    t.is(await foundObject(database, slot), undefined);
  },
);

test.serial(
  'a standby that reports an old snapshot is found, with a slot and without, and its sender is not stuck',
  async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    await configure(database, { stale_after: 0 });
    const [plain, slot, slotted] = [uniqueName('plain'), uniqueName('slot'), uniqueName('slotted')];
    await database.query('select pg_create_physical_replication_slot($1)', [slot]);
    t.teardown(() => dropSlot(database, slot));
    const sender = await connectStandby(t, database, plain);
    await connectStandby(t, database, slotted, slot);
    t.is((await run(database, { only })).cleanup['stale_operations'], 0);

    await configure(database, { xmin_age_limit: 0 });
    await run(database, { only });
    const standby = await foundObject(database, plain);
    t.is(standby!.detail['reason'], 'standby');
    t.is(standby!.detail['pid'], sender);
    t.is(standby!.remedy, null, 'ending the sender would only make it come back');
    const held = await foundObject(database, slot);
    t.is(held!.detail['consumer'], slotted);
    t.is(held!.remedy, null, 'a slot in use can’t be dropped');
    t.is(await foundObject(database, slotted), undefined, 'its snapshot is the slot’s');

    await database.query(
      'select pg_terminate_backend(pid) from pg_stat_replication where application_name in ($1, $2)',
      [plain, slotted],
    );
    await waitUntilGone(database, sender);
    await waitForRow(database, 'select from pg_replication_slots where slot_name = $1 and not active', [
      slot,
    ]);
    await run(database, { only });
    t.is(await foundObject(database, plain), undefined);
    const left = await foundObject(database, slot);
    await database.query(left!.remedy!);
    await run(database, { only });
    t.is(await foundObject(database, slot), undefined);
  },
);

test.serial('a long transaction of short statements is stale when it keeps an old snapshot', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { stale_after: 1, xmin_age_limit: 0 });
  const harmless = await openSession(database, 'harmless', 'begin', 'select 1');
  const reader = await openSession(database, 'reader', 'begin isolation level repeatable read', 'select 1');
  await waitForState(database, harmless.pid, 'idle in transaction', 1.1);
  await waitForState(database, reader.pid, 'idle in transaction', 1.1);
  await run(database, { only });
  const sessions = (await found(database)).filter(({ detail }) => detail['application'] !== undefined);
  t.deepEqual(
    sessions.map(({ detail }) => [detail['reason'], detail['pid']]),
    [['holds_xmin', reader.pid]],
  );
  await database.query(sessions[0]!.remedy!);
  await waitUntilGone(database, reader.pid);
  await run(database, { only });
  t.false((await foundReasons(database)).includes('holds_xmin'));
});

test('our own actions and the run itself are not stuck; what we left open is', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { stale_after: 0 });
  const worker = await openSession(database, 'pg-maint worker');
  under(worker, 'select pg_sleep(600)');
  await waitForState(database, worker.pid, 'active');
  const result = await run(database, { only });
  t.is(result.cleanup['stale_operations'], 0);
  t.deepEqual(result.cleanup['long_operations_not_stuck'], { pg_maint: 1 });
  await configure(database, { idle_in_transaction_after: 0 });
  const left = await openSession(database, 'pg-maint worker', 'begin');
  await waitForState(database, left.pid, 'idle in transaction');
  await run(database, { only });
  t.deepEqual(
    (await found(database)).map(({ detail }) => detail['pid']),
    [left.pid],
  );
});

test('parallel workers are their leader’s, and sessions of other databases are theirs', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await createDatabase(t);
  await configure(database, { stale_after: 0, idle_in_transaction_after: 0 });
  await openSession(other, 'elsewhere', 'begin');
  await database.query('create table public.big as select g as a from generate_series(1, 1000) as g');
  const leader = await openSession(
    database,
    'leader',
    'set parallel_setup_cost = 0',
    'set parallel_tuple_cost = 0',
    'set min_parallel_table_scan_size = 0',
    'create function public.slow(a int) returns int language plpgsql parallel safe as $$ begin perform pg_sleep(600); return a; end $$',
  );
  const statement = under(leader, 'select count(*) from public.big where public.slow(a) > 0');
  await waitForRow(database, 'select from pg_stat_activity where leader_pid = $1', [leader.pid]);
  await run(database, { only });
  t.deepEqual(
    (await found(database)).map(({ detail }) => detail['pid']),
    [leader.pid],
  );
  await database.query((await found(database))[0]!.remedy!);
  t.not(await statement.ended, null);
});

test('a session that does not tell what it does is named as not tracked', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { stale_after: 0 });
  const silent = await openSession(database, 'silent', 'set track_activities = off');
  const statement = under(silent, 'select pg_sleep(600)');
  const result = await run(database, { only });
  t.is(result.cleanup['stale_operations'], 0);
  t.deepEqual(result.cleanup['stale_operations_unexamined'], [
    { reason: 'not_tracked', role: 'postgres', sessions: 1, pids: [silent.pid] },
  ]);
  await database.query('select pg_cancel_backend($1)', [silent.pid]);
  t.not(await statement.ended, null);
});

test('what the owner may not see is named as not permitted, and an open finding about it stays', async (t) => {
  const { database, owner, run: runAsOwner } = await unprivilegedInstallation(t);
  await configure(database, { stale_after: 0 });
  const foreign = await openSession(database, 'foreign');
  const statement = under(foreign, 'select pg_sleep(600)');
  await waitForState(database, foreign.pid, 'active');
  const idle = await openSession(database, 'idle', 'select 1');
  await database.query(`grant pg_read_all_stats to ${owner}`);
  t.is((await runAsOwner(only)).cleanup['stale_operations'], 1);
  await database.query(`revoke pg_read_all_stats from ${owner}`);

  const result = await runAsOwner(only);
  t.is(result.status, 'partial');
  const [unexamined] = result.cleanup['stale_operations_unexamined'] as { reason: string; pids: number[] }[];
  t.is(unexamined!.reason, 'not_permitted');
  t.true(unexamined!.pids.includes(foreign.pid));
  t.true(unexamined!.pids.includes(idle.pid), 'whether it is idle may not be seen either');
  t.is((await found(database)).length, 1, 'not resolved by not looking');
  await database.query('select pg_cancel_backend($1)', [foreign.pid]);
  await statement.ended;
  await foreign.client.end();
  await waitUntilGone(database, foreign.pid);
  await runAsOwner(only);
  t.deepEqual(await found(database), []);
});

test('the feature can be off', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, { enabled: false });
  const result = await run(database, { only });
  t.is(result.steps['stale_operations']!.reason, 'disabled');
  t.is(result.cleanup['stale_operations'], null, 'unknown, not zero');
});
