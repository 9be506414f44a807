import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ActionRow } from '../../src/worker/actions/action.ts';
import { checkSafeguards } from '../../src/worker/safeguards/index.ts';
import { actionSettings } from '../../src/worker/worker-config.ts';
import { windowState } from '../../src/worker/safeguards/maintenance-window.ts';
import { parseWindow, stateOf } from '../../src/core/window.ts';
import type { Verdict } from '../../src/worker/safeguards/safeguard.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTransaction } from '../support/maintenance.ts';

const drop: ActionRow<'drop_index'> = {
  action_id: 1,
  kind: 'drop_index',
  target: { schema: 'shop', table: 'orders', index: 'orders_a', oid: 1 },
  step_number: 3,
  finding_id: null,
  reason: 'test',
  evidence: {},
  attempts: 1,
};

async function check(database: TestDatabase, action: ActionRow = drop): Promise<Verdict> {
  const client = await database.client();
  return await checkSafeguards(client, action, (await actionSettings(client)).safeguards);
}

async function configure(database: TestDatabase, key: string, value: unknown): Promise<void> {
  await database.query('select maint.configure($1, $2)', [
    `operational.safeguards.${key}`,
    JSON.stringify(value),
  ]);
}

/** Name of the safeguard that refused, and whether there is an event that says so. */
async function refusedBy(
  t: { deepEqual(a: unknown, b: unknown): unknown },
  database: TestDatabase,
  action: ActionRow = drop,
): Promise<string | null> {
  await database.query(`delete from maint.safeguard_event where event = 'refused'`);
  const verdict = await check(database, action);
  const events = await database.query(
    `select safeguard, reason, action_id::int, kind from maint.safeguard_event where event = 'refused'`,
  );
  if (verdict.allowed) {
    t.deepEqual(events, []);
    return null;
  }
  const { safeguard, reason } = verdict;
  t.deepEqual(events, [{ safeguard, reason, action_id: action.action_id, kind: action.kind }]);
  return safeguard;
}

test('a quiet database with the defaults allows everything', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  // Other tests keep the server busy.
  await configure(database, 'max_active_backends_per_core', 0);
  t.is(await refusedBy(t, database), null);
});

test('bypassed: everything, all actions, or the feature; another feature does not matter', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  const names = await database.query<{ name: string }>(
    `select regexp_replace(feature, '^features\\.', '') as name from maint.step_definition where step_number in (3, 10)
     order by step_number`,
  );
  for (const [feature, refusal] of [
    ['everything', 'bypass'],
    ['actions', 'bypass'],
    [names[0]!.name, 'bypass'],
    [names[1]!.name, null],
  ] as const) {
    await database.query(`select maint.bypass($1, 'for the test', 'infinity')`, [feature]);
    t.is(await refusedBy(t, database), refusal, feature);
    await database.query('select maint.unbypass($1)', [feature]);
  }
  t.is(await refusedBy(t, database), null);
});

test('switched off: the feature, or maintenance', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  const paths = await database.query<{ path: string }>(
    'select enabled_path as path from maint.step_definition where step_number = 3',
  );
  for (const path of ['operational.maintenance_tasks.enabled', paths[0]!.path]) {
    await database.query(`select maint.configure($1, 'false')`, [path]);
    t.is(await refusedBy(t, database), 'feature_switch', path);
    await database.query('select maint.reset($1)', [path]);
  }
  t.is(await refusedBy(t, database), null);
});

test('windows: days, midnight, the end of the week, and when the next one opens', (t) => {
  const at = (texts: string[], day: number, hour: number, minute = 0): unknown =>
    stateOf(
      texts.map((text) => parseWindow(text)!),
      { day, minute: hour * 60 + minute },
    );
  t.deepEqual(at(['22:00-06:00'], 3, 21, 59), { open: false, opensInMinutes: 1 });
  t.deepEqual(at(['22:00-06:00'], 3, 22), { open: true, sinceMinutes: 0 });
  t.deepEqual(at(['22:00-06:00'], 4, 5, 59), { open: true, sinceMinutes: 479 });
  t.deepEqual(at(['22:00-06:00'], 4, 6), { open: false, opensInMinutes: 960 });
  // The window of Sunday ends on Monday; Monday has none of its own.
  t.deepEqual(at(['sun 22:00-06:00'], 1, 5), { open: true, sinceMinutes: 420 });
  t.deepEqual(at(['sun 22:00-06:00'], 1, 23), { open: false, opensInMinutes: 5 * 1440 + 23 * 60 });
  t.deepEqual(at(['Sat, Sun 00:00-24:00'], 6, 0), { open: true, sinceMinutes: 0 });
  t.deepEqual(at(['sat,sun 00:00-24:00'], 5, 23, 59), { open: false, opensInMinutes: 1 });
  t.deepEqual(at(['01:00-02:00', '00:00-03:00'], 1, 1, 30), { open: true, sinceMinutes: 90 });
  for (const text of [
    '',
    '22:00',
    '25:00-26:00',
    '10:60-11:00',
    '10:00-10:00',
    'day 10:00-11:00',
    '24:00-06:00',
  ]) {
    t.is(parseWindow(text), null, text);
  }
});

test('a time zone is known by its name, and by nothing that only looks like one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = await database.query<{ name: string }>(
    `select name from (values ('UTC'), ('utc'), ('Europe/Berlin'), ('europe/berlin'), ('America/Port-au-Prince'),
       ('America/Argentina/Buenos_Aires'), ('EST5EDT'), ('Etc/GMT+5'), ('CET'), ('CEST'), ('Nowhere/At_all'), ('Europe/'),
       ('XYZ+3'), ('Foo/Bar5'), ('+02'), (''), ('../UTC'), ('Europe/../UTC'), ('Europe/Berlin; drop')) as n (name)
     where maint.time_zone_known(name) order by 1`,
  );
  const listed = await database.query<{ name: string }>(
    `select name from (values ('UTC'), ('utc'), ('europe/berlin')) as n (name)
     union all select name from pg_timezone_names
     where name in ('Europe/Berlin', 'America/Port-au-Prince', 'America/Argentina/Buenos_Aires', 'EST5EDT', 'Etc/GMT+5', 'CET')
     order by 1`,
  );
  t.deepEqual(names, listed);
  t.deepEqual(
    await database.query(
      `select name from pg_timezone_names where name not like 'posix%' and not maint.time_zone_known(name) limit 5`,
    ),
    [],
  );
});

test('outside of every window nothing begins, by the clock of the time zone; what is no window keeps it closed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  const hours = async (zone: string): Promise<string[]> => {
    const [row] = await database.query<{ hour: number }>(
      'select extract(hour from clock_timestamp() at time zone $1)::int as hour',
      [zone],
    );
    // An hour before and one after belong to it, as the clock goes on during the test.
    const text = (hour: number): string => `${String((hour + 24) % 24).padStart(2, '0')}:00`;
    return [`${text(row!.hour - 1)}-${text(row!.hour + 2)}`];
  };
  await configure(database, 'maintenance_windows', await hours('UTC'));
  t.is(await refusedBy(t, database), null);
  await configure(database, 'time_zone', 'Asia/Tokyo');
  t.is(await refusedBy(t, database), 'maintenance_window');
  const verdict = await check(database);
  t.true(!verdict.allowed && verdict.retryAfterSeconds! > 0 && verdict.retryAfterSeconds! <= 900);
  await configure(database, 'maintenance_windows', await hours('Asia/Tokyo'));
  t.is(await refusedBy(t, database), null);
  await configure(database, 'time_zone', 'Nowhere/At_all');
  t.is(await refusedBy(t, database), 'maintenance_window');
  await database.query(`select maint.reset('operational.safeguards.time_zone')`);
  await configure(database, 'maintenance_windows', ['at night']);
  t.is(await refusedBy(t, database), 'maintenance_window');
});

test('windows on the nights that have an hour twice, or lack one, by the clock on the wall', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  const at = async (window: string, time: string): Promise<unknown> =>
    await windowState(client, { maintenance_windows: [window], time_zone: 'Europe/Berlin' }, time);
  const open = (sinceMinutes: number): unknown => ({ open: true, sinceMinutes });
  const closed = (opensInMinutes: number): unknown => ({ open: false, opensInMinutes });
  // A usual night, in winter: 23:30 and 05:59 there.
  t.deepEqual(await at('22:00-06:00', '2026-01-10T22:30:00Z'), open(90));
  t.deepEqual(await at('22:00-06:00', '2026-01-11T04:59:59Z'), open(479));
  t.deepEqual(await at('22:00-06:00', '2026-01-11T05:00:00Z'), closed(960));
  // 25 October 2026: after 2:59 it is 2:00 again. At 5:30 it has been open for 8.5 hours, not 7.5.
  t.deepEqual(await at('22:00-06:00', '2026-10-25T04:30:00Z'), open(510));
  t.deepEqual(await at('sat 22:00-06:00', '2026-10-25T04:59:00Z'), open(539));
  t.deepEqual(await at('sat 22:00-06:00', '2026-10-25T05:00:00Z'), closed(9600));
  // 2:45 comes twice: each time it is open, and not in between.
  t.like(await at('02:30-03:00', '2026-10-25T00:45:00Z'), { open: true });
  t.like(await at('02:30-03:00', '2026-10-25T01:15:00Z'), { open: false });
  t.deepEqual(await at('02:30-03:00', '2026-10-25T01:45:00Z'), open(15));
  // 29 March 2026: after 1:59 it is 3:00. At 5:30 it has been open for 6.5 hours.
  t.deepEqual(await at('22:00-06:00', '2026-03-29T03:30:00Z'), open(390));
  t.deepEqual(await at('01:30-03:30', '2026-03-29T00:59:00Z'), open(29));
  t.deepEqual(await at('01:30-03:30', '2026-03-29T01:00:00Z'), open(30));
  t.like(await at('01:30-03:30', '2026-03-29T01:30:00Z'), { open: false });
  // There is no 2:15: at 1:59 it is yet to come, at 3:00 it is over.
  t.like(await at('02:15-02:45', '2026-03-29T00:59:00Z'), { open: false });
  t.like(await at('02:15-02:45', '2026-03-29T01:00:00Z'), { open: false });
  // One that begins in the hour that is not there is open after it.
  t.like(await at('02:30-05:00', '2026-03-29T01:10:00Z'), { open: true });
  t.like(await at('02:30-05:00', '2026-03-29T00:59:00Z'), { open: false });
});

test('the rate counts attempts of the last hour, of all workers', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  await configure(database, 'actions_per_hour', 2);
  const attempt = `insert into maint.safeguard_event (action_id, kind, event) values (2, 'drop_index', 'attempt')`;
  await database.query(attempt);
  t.is(await refusedBy(t, database), null);
  await database.query(attempt);
  t.is(await refusedBy(t, database), 'rate_limit');
  await database.query(`update maint.safeguard_event set at = at - interval '61 minutes'`);
  t.is(await refusedBy(t, database), null);
});

test('load: busy sessions for each core; ending a session is never kept back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'server_cores', 1);
  await configure(database, 'max_active_backends_per_core', 0.5);
  const busy = await database.client();
  const sleeping = busy.query('select pg_sleep(60)').catch(() => undefined);
  t.is(await refusedBy(t, database), 'load_throttle');
  const ending: ActionRow<'terminate_backend'> = {
    ...drop,
    kind: 'terminate_backend',
    target: { pid: 1, backend_start: '2000-01-01' },
  };
  t.is(await refusedBy(t, database, ending), null);
  await configure(database, 'max_active_backends_per_core', 1000);
  t.is(await refusedBy(t, database), null);
  await database.query(
    `select pg_cancel_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)' and datname = current_database()`,
  );
  await sleeping;
});

test('load: much WAL keeps what writes an index waiting; what was written before, by the action before perhaps, does not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  await configure(database, 'min_free_disk_percent', 0);
  await configure(database, 'max_wal_mb_per_second', 50);
  const build: ActionRow<'create_index'> = {
    ...drop,
    kind: 'create_index',
    target: { schema: 'a', table: 'b', index: 'c', oid: 1 },
  } as ActionRow<'create_index'>;
  const client = await database.client();
  const check = async (): Promise<Verdict> =>
    await checkSafeguards(client, build, (await actionSettings(client)).safeguards);
  // Other tests write, too, but not all the time; and what has just begun is a small part of what was since the check before.
  const soon = async (wanted: (verdict: Verdict) => boolean): Promise<boolean> => {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
      if (wanted(await check())) return true;
      await sleep(50);
    }
    return false;
  };
  const allowedSoon = (): Promise<boolean> => soon(({ allowed }) => allowed);
  t.true(await allowedSoon());
  const writer = await database.client();
  const write = (seconds: number): Promise<unknown> =>
    // Nothing is left of it but WAL.
    writer.query(`do $$ declare until timestamptz := clock_timestamp() + make_interval(secs => ${seconds}); begin
      while clock_timestamp() < until loop
        perform pg_logical_emit_message(false, 'test', repeat('x', 1000000));
      end loop; end $$`);
  await write(1);
  t.true(await allowedSoon());
  const writing = write(5);
  t.true(await soon((verdict) => !verdict.allowed && verdict.safeguard === 'load_throttle'));
  await writing;
});

test('load: an old snapshot of this database keeps concurrent index operations waiting, and not ANALYZE', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  const reader = await openTransaction(
    database,
    'set transaction isolation level repeatable read',
    'select 1',
  );
  t.is(await refusedBy(t, database), null);
  await configure(database, 'max_snapshot_age_seconds', 0.001);
  t.is(await refusedBy(t, database), 'load_throttle');
  const analyze: ActionRow<'analyze_table'> = {
    ...drop,
    kind: 'analyze_table',
    target: { schema: 'a', table: 'b', oid: 1 },
  };
  t.is(await refusedBy(t, database, analyze), null);
  await reader.end();
  t.is(await refusedBy(t, database), null);
});

test('limits: count, size, total size and minutes of what was done', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, 'max_active_backends_per_core', 0);
  await configure(database, 'max_wal_mb_per_second', 0);
  await configure(database, 'min_free_disk_percent', 0);
  await database.query('create table public.t (id int primary key)');
  await database.query('insert into public.t select generate_series(1, 1000)');
  await database.query('vacuum public.t');
  const [index] = await database.query<{ oid: number }>(
    `select 'public.t_pkey'::regclass::oid::int8::int as oid`,
  );
  const rebuild: ActionRow<'reindex_index'> = {
    ...drop,
    action_id: 100,
    kind: 'reindex_index',
    target: { schema: 'public', table: 't', index: 't_pkey', oid: index!.oid },
  };
  t.is(await refusedBy(t, database, rebuild), null);
  await database.query(
    `insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason,
       size_before, size_after, queued_at, started_at, finished_at)
     values ('k', 1, 1, 7, 'reindex_index', 'succeeded', '{}', 'test', 10 * 1024 * 1024, 1024, now(),
       now() - interval '30 minutes', now() - interval '20 minutes')`,
  );
  for (const [key, refused, allowed] of [
    ['max_actions_per_window', 1, 2],
    ['max_index_size_mb', 0.001, 1],
    ['max_total_size_mb', 10, 11],
    ['max_minutes_per_window', 9, 11],
  ] as const) {
    await configure(database, key, refused);
    t.is(await refusedBy(t, database, rebuild), 'limits', key);
    const verdict = await check(database, rebuild);
    t.is(!verdict.allowed && verdict.retryAfterSeconds === null, key === 'max_index_size_mb', 'final');
    await configure(database, key, allowed);
    t.is(await refusedBy(t, database, rebuild), null, key);
    await configure(database, key, 0);
  }
  await configure(database, 'max_actions_per_window', 1);
  await database.query(`update maint.action set started_at = started_at - interval '1 day'`);
  t.is(await refusedBy(t, database, rebuild), null, 'of 24 hours where there is no window');
});
