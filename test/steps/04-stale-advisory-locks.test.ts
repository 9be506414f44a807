import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run, waitUntilBlocked } from '../support/maintenance.ts';
import type { FindingRow } from '../support/maintenance.ts';
import {
  openSession,
  prepareTransaction,
  under,
  unprivilegedInstallation,
  waitForState,
  waitUntilGone,
} from '../support/sessions.ts';

const kind = 'lock.stale_advisory';
const only = ['stale_advisory_locks'];

async function configure(database: TestDatabase, key: string, value: unknown): Promise<void> {
  await database.query('select maint.configure($1, $2)', [
    `features.advisory_lock_cleanup.${key}`,
    JSON.stringify(value),
  ]);
}

/** As if the locks seen until now had been seen an hour earlier. */
async function anHourLater(database: TestDatabase): Promise<void> {
  await database.query(`update maint.advisory_lock_sighting set first_seen = first_seen - interval '1 hour'`);
}

async function found(database: TestDatabase): Promise<FindingRow[]> {
  return await openFindings(database, kind);
}

async function terminations(database: TestDatabase): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    `select (target ->> 'pid')::int as pid from maint.actions
     where kind = 'terminate_backend' and status = 'queued' order by 1`,
  );
  return rows.map(({ pid }) => pid);
}

async function sightings(database: TestDatabase): Promise<number> {
  return (await database.query('select from maint.advisory_lock_sighting')).length;
}

test('a database without advisory locks gives nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.cleanup['stale_advisory_locks'], 0);
  t.is(result.cleanup['stale_advisory_locks_found'], 0);
  t.is(result.cleanup['stale_advisory_locks_queued'], 0);
  t.deepEqual(result.alerts, []);
  t.is(await sightings(database), 0, 'the lock of the run itself is not among them');
});

test('an idle leader that nobody waits for is none, however long it leads', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const leader = await openSession(database, 'leader', 'select pg_advisory_lock(42)');
  await openSession(database, 'follower', 'select pg_try_advisory_lock(42)');
  await run(database, { only });
  await anHourLater(database);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);
  t.is(await sightings(database), 1);
  await leader.client.query('select pg_advisory_unlock(42)');
  await run(database, { only });
  t.is(await sightings(database), 0, 'what is no longer held is forgotten');
});

test('a lock of a transaction left open is stale when it was seen long enough, and gone with its session', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 1);
  const holder = await openSession(database, 'web', 'begin', 'select pg_advisory_xact_lock(7, -9)');
  await waitForState(database, holder.pid, 'idle in transaction', 1.1);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0, 'seen for the first time');
  await anHourLater(database);
  const result = await run(database, { only });
  t.is(result.cleanup['stale_advisory_locks_found'], 1);
  t.is(result.cleanup['stale_advisory_locks'], 0, 'nothing was ended');
  t.deepEqual(
    result.alerts.map(({ severity }) => severity),
    ['info'],
  );
  const [finding] = await found(database);
  t.is(finding!.object_name, '7, -9');
  t.is(finding!.severity, 'warning');
  t.is(finding!.detail['reason'], 'idle_in_transaction');
  t.is(finding!.detail['pid'], holder.pid);
  t.is(finding!.detail['key_type'], 'two ints');
  t.true(Number(finding!.detail['held_seconds']) >= 3600);
  t.regex(
    finding!.summary,
    /held for at least 60 min by process \d+ of role postgres \(web\), which is idle in/,
  );
  t.deepEqual(await terminations(database), [], 'the session is somebody else’s');

  await database.query(finding!.remedy!);
  await waitUntilGone(database, holder.pid);
  await run(database, { only });
  t.deepEqual(await found(database), []);
  t.is(await sightings(database), 0);
});

test('a transaction that has only paused for a moment is not neglected, though its lock is old', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const holder = await openSession(database, 'web', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, holder.pid, 'idle in transaction');
  await run(database, { only });
  await anHourLater(database);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);
});

test('an idle holder is stale when others wait, and says who; a shared lock keeps no reader waiting', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const holders = [
    await openSession(database, 'reader one', 'select pg_advisory_lock_shared(-5)'),
    await openSession(database, 'reader two', 'select pg_advisory_lock_shared(-5)'),
  ];
  const other = await openSession(database, 'unrelated', 'select pg_advisory_lock(-6)');
  for (const { pid } of [...holders, other]) await waitForState(database, pid, 'idle');
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);

  const writer = under(await openSession(database, 'writer'), 'select pg_advisory_lock(-5)');
  await waitUntilBlocked(database, writer);
  const late = under(await openSession(database, 'late reader'), 'select pg_advisory_lock_shared(-5)');
  await waitUntilBlocked(database, late);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 2);
  const findings = await found(database);
  t.deepEqual(findings.map(({ detail }) => detail['pid']).sort(), holders.map(({ pid }) => pid).sort());
  for (const { object_name, detail } of findings) {
    t.is(object_name, '-5');
    t.is(detail['reason'], 'idle_and_blocking');
    t.is(detail['waiting'], 1, 'the late reader waits for the writer');
    const [waiter] = detail['waiters'] as { pid: number; application: string; mode: string }[];
    t.is(waiter!.pid, writer.pid);
    t.is(waiter!.application, 'writer');
    t.is(waiter!.mode, 'ExclusiveLock');
  }
  for (const { remedy } of findings) await database.query(remedy!);
  t.is(await writer.ended, null);
  await waitForState(database, writer.pid, 'idle');
  await run(database, { only });
  const [now, ...others] = await found(database);
  t.is(now!.detail['pid'], writer.pid, 'the writer keeps the late reader waiting now');
  t.deepEqual(others, []);
  await database.query(now!.remedy!);
  t.is(await late.ended, null);
  await run(database, { only });
  t.deepEqual(await found(database), []);
});

test('an application that holds its lock on purpose can be named', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const leader = await openSession(database, 'scheduler (1.0)', 'select pg_advisory_lock(1)');
  await waitForState(database, leader.pid, 'idle');
  const deputy = under(await openSession(database, 'scheduler (1.0)'), 'select pg_advisory_lock(1)');
  await waitUntilBlocked(database, deputy);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 1);
  await configure(database, 'expected_applications', ['other', 'scheduler (?.*']);
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);
  t.deepEqual(await found(database), []);
});

test('a holder at work is reported only when somebody has waited too long, and never ended', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const holder = await openSession(database, 'pg-maint worker', 'select pg_advisory_lock(3)');
  under(holder, 'select pg_sleep(600)');
  await waitForState(database, holder.pid, 'active');
  const waiter = under(await openSession(database, 'queue'), 'select pg_advisory_lock(3)');
  await waitUntilBlocked(database, waiter);
  await run(database, { only });
  await anHourLater(database);
  t.is(
    (await run(database, { only })).cleanup['stale_advisory_locks_found'],
    0,
    'nobody has waited for long',
  );
  await configure(database, 'stale_after', 0);
  await run(database, { only });
  const [finding] = await found(database);
  t.is(finding!.detail['reason'], 'busy_and_blocking');
  t.is(finding!.severity, 'info');
  t.is(finding!.detail['query'], 'select pg_sleep(600)');
  t.deepEqual(await terminations(database), []);
});

test('only our own idle sessions and those on the list are to be ended, each once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  await configure(database, 'terminate_applications', ['batch-*', 'exact']);
  const lock = (key: number): string => `select pg_advisory_xact_lock(${key})`;
  const ours = await openSession(database, 'pg-maint worker', 'begin', lock(1), lock(2));
  const listed = await openSession(database, 'batch-7', 'begin', lock(3));
  const exact = await openSession(database, 'exact', 'begin', lock(4));
  const spared = [
    await openSession(database, 'my batch-7', 'begin', lock(5)),
    await openSession(database, 'exactly', 'begin', lock(6)),
    await openSession(database, '', 'begin', lock(7)),
  ];
  for (const { pid } of [ours, listed, exact, ...spared]) {
    await waitForState(database, pid, 'idle in transaction');
  }
  const result = await run(database, { only });
  t.is(result.cleanup['stale_advisory_locks_found'], 7);
  t.is(result.cleanup['stale_advisory_locks_queued'], 3);
  t.is(result.cleanup['stale_advisory_locks'], 0);
  const expected = [ours.pid, listed.pid, exact.pid].sort((a, b) => a - b);
  t.deepEqual(await terminations(database), expected);
  const [action] = await database.query<{ evidence: { keys: string[] }; backend_start: boolean }>(
    `select evidence, (target ->> 'backend_start')::timestamptz
         = (select backend_start from pg_stat_activity where pid = $1) as backend_start
     from maint.actions where target ->> 'pid' = $1::text`,
    [ours.pid],
  );
  t.deepEqual(action!.evidence.keys, ['1', '2']);
  t.true(action!.backend_start, 'what is to be ended is this session and no later one');
  await run(database, { only });
  t.deepEqual(await terminations(database), expected, 'not queued twice');

  await listed.client.query('commit');
  await run(database, { only });
  t.deepEqual(
    await terminations(database),
    expected.filter((pid) => pid !== listed.pid),
  );
  t.is((await found(database)).length, 6);
  for (const { client } of [ours, exact, ...spared]) await client.query('commit');
  await run(database, { only });
  t.deepEqual(await terminations(database), []);
});

test('auto_cleanup can be off, and so can the feature', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  await configure(database, 'auto_cleanup', false);
  const ours = await openSession(database, 'pg-maint', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, ours.pid, 'idle in transaction');
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 1);
  t.deepEqual(await terminations(database), []);
  await configure(database, 'enabled', false);
  const result = await run(database, { only });
  t.is(result.steps['stale_advisory_locks']!.reason, 'disabled');
  t.is(result.cleanup['stale_advisory_locks_found'], null, 'unknown, not zero');
  t.is((await found(database)).length, 1, 'what was not looked at stays open');
});

test.serial('a prepared transaction’s lock is found by its name, and freed by rolling it back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const gid = `it's; "a" ${database.name}`;
  await prepareTransaction(t, database, gid, 'select pg_advisory_xact_lock(11)');
  await prepareTransaction(t, database, `${database.name} none`, 'create table public.x ()');
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0, 'prepared just now');
  await configure(database, 'stale_after', 0);
  await run(database, { only });
  const [finding, ...others] = await found(database);
  t.deepEqual(others, []);
  t.is(finding!.object_name, '11');
  t.is(finding!.detail['reason'], 'prepared_transaction');
  t.is(finding!.detail['gid'], gid);
  t.is(finding!.detail['pid'], null);
  t.deepEqual(await terminations(database), []);
  await database.query(finding!.remedy!);
  await run(database, { only });
  t.deepEqual(await found(database), []);
});

test('keys read as they are given to pg_advisory_lock', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const keys = [
    '9223372036854775807',
    '-9223372036854775808',
    '4294967296',
    '-1',
    '0',
    '2147483647, -2147483648',
    '-1, 0',
    '0, 42',
  ];
  const holder = await openSession(
    database,
    'keys',
    'begin',
    ...keys.map((key) => `select pg_advisory_xact_lock(${key})`),
    ...keys.map((key) => `select pg_advisory_xact_lock_shared(${key})`),
  );
  await waitForState(database, holder.pid, 'idle in transaction');
  await run(database, { only });
  const findings = await found(database);
  t.deepEqual(findings.map(({ object_name }) => object_name).sort(), [...keys].sort());
  for (const { detail } of findings) t.deepEqual(detail['modes'], ['ExclusiveLock', 'ShareLock']);
});

test('a new session with an old number does not inherit the age of its locks', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 1);
  const holder = await openSession(database, 'web', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, holder.pid, 'idle in transaction', 1.1);
  await run(database, { only });
  await anHourLater(database);
  await database.query(
    `update maint.advisory_lock_sighting set backend_start = backend_start - interval '2 hours'`,
  );
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);
  t.is(await sightings(database), 1, 'the old one is forgotten');
});

test('locks of pg-maint’s own, and of other databases, are none', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const elsewhere = await createDatabase(t);
  await configure(database, 'stale_after', 0);
  await openSession(database, 'installer', 'begin', 'select pg_advisory_xact_lock(1835100526, 2)');
  await openSession(elsewhere, 'elsewhere', 'begin', 'select pg_advisory_xact_lock(1)');
  // The session that runs is at work.
  await database.query('select pg_advisory_lock(5)');
  t.is((await run(database, { only })).cleanup['stale_advisory_locks_found'], 0);
  t.deepEqual(await found(database), []);
});

test('a dry run says what it would report and leaves no sighting', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const holder = await openSession(database, 'web', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, holder.pid, 'idle in transaction');
  const result = await run(database, { only, dryRun: true });
  t.deepEqual(
    result.would_report?.map((finding) => finding.kind),
    [kind],
  );
  t.is(await sightings(database), 0);
});

test('sessions are judged by what they do now, in a transaction that has looked before as well', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'stale_after', 0);
  const holder = await openSession(database, 'web', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, holder.pid, 'idle in transaction');
  if (process.env['MAINT_TEST_HOST'] === 'node') {
    t.pass('runs from Node have a transaction of their own');
    return;
  }
  await database.query('begin');
  await database.query('select count(*) from pg_stat_activity');
  await holder.client.query('commit');
  await holder.client.query('select pg_advisory_lock(1)');
  const result = await run(database, { only });
  await database.query('commit');
  t.is(result.cleanup['stale_advisory_locks_found'], 0);
});

test('what the owner may not see is named as not permitted, and an open finding about it stays', async (t) => {
  const { database, owner, run: runAsOwner } = await unprivilegedInstallation(t);
  await configure(database, 'stale_after', 0);
  const foreign = await openSession(database, 'foreign', 'begin', 'select pg_advisory_xact_lock(1)');
  await waitForState(database, foreign.pid, 'idle in transaction');
  await database.query(`grant pg_read_all_stats to ${owner}`);
  await runAsOwner(only);
  t.deepEqual(
    (await found(database)).map(({ detail }) => detail['pid']),
    [foreign.pid],
  );
  await database.query(`revoke pg_read_all_stats from ${owner}`);

  const result = await runAsOwner(only);
  t.is(result.status, 'partial');
  t.deepEqual(result.cleanup['stale_advisory_locks_unexamined'], [
    { reason: 'not_permitted', role: 'postgres', sessions: 1, pids: [foreign.pid] },
  ]);
  t.is((await found(database)).length, 1);
  t.is(await sightings(database), 1, 'nor is forgotten when it was seen first');
  await foreign.client.query('commit');
  const after = await runAsOwner(only);
  t.is(after.cleanup['stale_advisory_locks_unexamined'], undefined);
  t.deepEqual(await found(database), []);
});
