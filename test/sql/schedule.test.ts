import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import type { JsonObject } from '../../src/steps/step.ts';

async function status(database: TestDatabase): Promise<JsonObject> {
  return (await database.query<{ status: JsonObject }>('select maint.status() as status'))[0]!.status;
}

test('hourly by default, at another interval after schedule, never after unschedule', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`insert into maint.run_log (status, started_at, finished_at, forced, dry_run, engine, version)
    select 'success', now(), now(), false, false, engine, version from maint.installation`);
  const dueInMinutes = async (): Promise<number | null> => {
    const [row] = await database.query<{ minutes: number | null }>(
      `select round(extract(epoch from (maint.status() ->> 'next_due_at')::timestamptz - now()) / 60)::int as minutes`,
    );
    return row!.minutes;
  };
  t.is((await status(database))['scheduled'], true);
  t.is(await dueInMinutes(), 60);
  const [row] = await database.query<{ answer: JsonObject }>(`select maint.schedule('30 minutes') as answer`);
  t.is(row!.answer['scheduled'], true);
  t.is(await dueInMinutes(), 30);
  t.deepEqual(await database.query('select maint.unschedule() as was'), [{ was: true }]);
  t.is(await dueInMinutes(), null);
  t.deepEqual(await database.query('select maint.unschedule() as was'), [{ was: false }]);
  await database.query(`select maint.schedule('2 hours')`);
  t.is(await dueInMinutes(), 120);
});

test('an interval that makes no sense is refused, and changes nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('select maint.unschedule()');
  for (const [every, code] of [
    ['1 second', '22003'],
    ['8 days', '22003'],
    ['-1 hour', '22003'],
    [null, '22004'],
  ] as const) {
    await t.throwsAsync(database.query('select maint.schedule($1)', [every]), { code }, String(every));
  }
  t.is((await status(database))['scheduled'], false);
  t.deepEqual(
    await database.query(`select maint.config('operational.maintenance_tasks.interval') as value`),
    [{ value: 3600 }],
  );
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
