/** Runs that a worker starts by itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

async function runs(database: TestDatabase): Promise<number> {
  return (await database.query('select from maint.run_log')).length;
}

/** As if so much time had passed. */
async function age(database: TestDatabase, interval: string): Promise<void> {
  await database.query(
    `with r as (update maint.run_log set started_at = started_at - $1::interval, finished_at = finished_at - $1::interval)
     update maint.step_log set started_at = started_at - $1::interval`,
    [interval],
  );
}

async function settled(database: TestDatabase): Promise<void> {
  await waitForRow(
    database,
    `select where not exists (select from maint_boss.job where name = 'maint_run' and state <= 'active')`,
  );
}

test('a worker runs what is due, hourly without anybody asking; twice by nobody', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  startWorker(t, database, { schedule: true });
  startWorker(t, database, { schedule: true });
  await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  await settled(database);
  t.is(await runs(database), 1);
  const [row] = await database.query(
    `select forced, (maint.status() ->> 'next_due_at')::timestamptz = started_at + interval '1 hour' as hourly
     from maint.run_log`,
  );
  t.deepEqual(row, { forced: false, hourly: true });
  // Both notice at the same moment that a run is due, again and again.
  for (let round = 2; round <= 6; round += 1) {
    await age(database, '1 hour');
    await database.query(`select maint.schedule('1 hour')`);
    await waitForRow(
      database,
      `select from maint.run_log where status in ('success', 'partial') having count(*) >= ${round}`,
    );
    await sleep(200);
    await settled(database);
    t.is(await runs(database), round);
  }
});

test('a new interval holds at once, without a restart; so does unschedule', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  startWorker(t, database, { schedule: true });
  await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  await settled(database);
  await age(database, '10 minutes');
  await sleep(500);
  t.is(await runs(database), 1, 'not due by the hour');
  await database.query('select maint.unschedule()');
  await database.query(`select maint.configure('operational.maintenance_tasks.interval', to_jsonb(5 * 60))`);
  await sleep(500);
  t.is(await runs(database), 1, 'due, but not scheduled');
  await database.query(`select maint.schedule('610 seconds')`);
  await sleep(500);
  t.is(await runs(database), 1, 'scheduled, but not due before some seconds have passed');
  await waitForRow(
    database,
    `select from maint.run_log where status in ('success', 'partial') having count(*) = 2`,
  );
  const [gap] = await database.query(
    `select extract(epoch from max(started_at) - min(started_at))::float8 as seconds from maint.run_log`,
  );
  const seconds = gap!['seconds'] as number;
  t.true(seconds >= 610, `${seconds} s`);
});

test('a scheduled run that can not be made is told in runs and alerts', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create function public.refuse() returns trigger language plpgsql as
    $$begin raise exception 'no space' using errcode = '53100'; end$$;
    create trigger refuse before insert on maint.run_log for each row when (new.status = 'running')
      execute function public.refuse()`);
  // Where even the failed run can't be recorded, the job fails, and is given up after its retries.
  await database.query(`create trigger refuse_too before insert on maint.run_log for each row
    when (new.status = 'failed' and new.error ->> 'sqlstate' is not null) execute function public.refuse()`);
  const worker = startWorker(t, database, { schedule: true });
  await waitForRow(database, `select from maint_boss.job where name = 'maint_run' and state = 'retry'`);
  t.deepEqual(await database.query('select from maint.alerts'), [], 'it is tried again first');
  await database.query(
    `update maint_boss.job set start_after = now(), retry_limit = retry_count where name = 'maint_run'`,
  );
  await database.query('notify maint_work');
  await waitForRow(database, `select from maint.alerts where severity = 'critical'`);
  t.like((await database.query('select message from maint.alerts'))[0], {
    message: 'maintenance did not run: its job failed 2 times, at last: no space',
  });
  const [run] = await database.query('select status, error from maint.runs');
  t.deepEqual(run, { status: 'failed', error: 'its job failed 2 times, at last: no space' });
  t.true(
    worker.log.some((line) => line.startsWith('the scheduled run was given up')),
    worker.log.join('\n'),
  );
});
