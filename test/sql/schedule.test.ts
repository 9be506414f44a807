import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import type { JsonObject } from '../../src/steps/step.ts';

async function status(database: TestDatabase): Promise<JsonObject> {
  return (await database.query<{ status: JsonObject }>('select maint.status() as status'))[0]!.status;
}

async function ran(database: TestDatabase, state = 'success'): Promise<void> {
  await database.query(
    `insert into maint.run_log (status, started_at, finished_at, forced, dry_run, engine, version)
     select $1, now(), now(), false, false, engine, version from maint.installation`,
    [state],
  );
}

/** Seconds from the start of the last run until the next is due: not from now on, which a slow machine would change. */
async function secondsFromLastRun(database: TestDatabase): Promise<number | null> {
  const [row] = await database.query<{ seconds: number | null }>(
    `select extract(epoch from (maint.status() ->> 'next_due_at')::timestamptz - max(started_at))::float8 as seconds
     from maint.run_log`,
  );
  return row!.seconds;
}

test('hourly by default, at another interval after schedule, never after unschedule', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await ran(database);
  t.like(await status(database), { scheduled: true, every: '01:00:00' });
  t.is(await secondsFromLastRun(database), 3600);
  const [row] = await database.query<{ answer: JsonObject }>(`select maint.schedule('30 minutes') as answer`);
  t.like(row!.answer, { scheduled: true, every: '00:30:00', worker_alive: 0 });
  t.regex(row!.answer['detail'] as string, /no worker is alive/);
  t.is(await secondsFromLastRun(database), 1800);
  // What cron could not say.
  for (const [every, seconds] of [
    ['61 seconds', 61],
    ['90 minutes', 5400],
    ['7 days', 604_800],
  ] as const) {
    await database.query('select maint.schedule($1)', [every]);
    t.is(await secondsFromLastRun(database), seconds);
  }
  t.deepEqual(await database.query('select maint.unschedule() as was'), [{ was: true }]);
  t.is(await secondsFromLastRun(database), null);
  t.like(await status(database), { scheduled: false });
  t.deepEqual(await database.query('select maint.unschedule() as was'), [{ was: false }]);
  await database.query(`select maint.schedule('2 hours')`);
  t.is(await secondsFromLastRun(database), 7200);
});

test('with a worker alive nothing is said of none', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `insert into maint.worker (worker_id, host, pid, version) values ('a', 'here', 1, '1')`,
  );
  const [row] = await database.query<{ answer: JsonObject }>(`select maint.schedule('1 hour') as answer`);
  t.is(row!.answer['worker_alive'], 1);
  t.false('detail' in row!.answer);
});

test('an interval that makes no sense is refused, says what was expected, and changes nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('select maint.unschedule()');
  for (const [every, code, message] of [
    ['1 second', '22003', /can't run every 00:00:01: it is out of range/],
    ['0', '22003', /out of range/],
    ['8 days', '22003', /out of range/],
    ['1 month', '22003', /out of range/],
    ['-1 hour', '22003', /can't run every -01:00:00/],
    ['90.5 seconds', '22023', /not a whole number of seconds/],
    [null, '22004', /can't be null/],
    ['tomorrow', '22007', /invalid input syntax for type interval/],
  ] as const) {
    await t.throwsAsync(
      database.query('select maint.schedule($1)', [every]),
      { code, message },
      String(every),
    );
  }
  const error = await t.throwsAsync<Error & { hint: string }>(
    database.query(`select maint.schedule('8 days')`),
  );
  t.is(error.hint, 'Expected an interval from 00:01:00 to 7 days.');
  t.like(await status(database), { scheduled: false, every: '01:00:00' });
});

test('a run that failed as a whole is tried again sooner, and not at once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await ran(database, 'failed');
  t.is(await secondsFromLastRun(database), 300);
  await database.query(`select maint.schedule('1 minute')`);
  t.is(await secondsFromLastRun(database), 60);
});

test('dry runs, runs of some steps, and runs that wait or were skipped do not count', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `insert into maint.run_log (status, started_at, finished_at, forced, dry_run, only_steps, engine, version)
     select r.status, now(), now(), false, r.dry_run, r.only_steps, i.engine, i.version
     from maint.installation as i, (values ('success', true, null), ('success', false, '{3}'::int[]),
       ('queued', false, null), ('skipped', false, null)) as r (status, dry_run, only_steps)`,
  );
  const [due] = await database.query<{ at: string }>(`select maint.status() ->> 'next_due_at' as at`);
  t.deepEqual(await database.query('select $1::timestamptz <= clock_timestamp() as now', [due!.at]), [
    { now: true },
  ]);
  t.like(await status(database), { queued_runs: 1, last_run: { run_id: 2 } });
});

test('a worker is alive while it was seen within 90 seconds', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.is((await status(database))['worker'], null);
  await database.query(`insert into maint.worker (worker_id, last_seen, host, pid, version)
    values ('a', now() - interval '80 seconds', 'here', 1, '1'), ('b', now() - interval '100 seconds', 'there', 2, '1')`);
  const worker = (await status(database))['worker'] as JsonObject;
  t.is(worker['alive'], 1);
  t.deepEqual(
    (worker['workers'] as JsonObject[]).map((each) => each['worker_id']),
    ['a', 'b'],
  );
});
