/** Runs that are forced again and again: neither jobs nor plans pile up, and runs take no longer. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { planAsked } from '../support/patterns.ts';
import { makeTables, plansOfLongAgo, steady, trainNow, writeHistory } from '../support/query-risk.ts';
import { startWorker } from '../support/worker.ts';

async function counts(database: TestDatabase): Promise<{ jobs: number; plans: number; requests: number }> {
  const [row] = await database.query<{ jobs: number; plans: number; requests: number }>(
    `select (select count(*)::int from maint_boss.job where name = 'maint_training') as jobs,
       (select count(*)::int from maint.query_plan) as plans,
       (select count(*)::int from maint.plan_request) as requests`,
  );
  if (row === undefined) throw new Error('no row');
  return row;
}

test('200 forced runs beside a worker queue one training, and keep no more plans than one does', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTables(database);
  await writeHistory(database, 4, steady);
  const worker = startWorker(t, database);
  await waitForRow(database, `select from maint_boss.queue where name = 'maint_training'`);
  const only = ['train_query_risk'];
  await run(database, { only });
  await waitForRow(database, `select from maint.training where kind = 'query_risk'`);
  await waitForRow(
    database,
    `select from maint_boss.job where name = 'maint_training' and state = 'completed'`,
  );
  const first = await counts(database);
  t.is(first.jobs, 1);
  t.true(first.plans > 0);
  for (let time = 0; time < 200; time += 1) await run(database, { only });
  t.deepEqual(await counts(database), first);
  await worker.stop();
});

test('trainings one after the other keep a bounded number of plans of each statement', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTables(database);
  await writeHistory(database, 4, steady);
  await trainNow(database);
  const { plans } = await counts(database);
  for (let time = 0; time < 3; time += 1) await trainNow(database);
  t.is((await counts(database)).plans, plans, 'none within the hours that are measured together');
  // As many trainings as a year of forced runs has: older plans are of no use, and go.
  await database.query(
    `insert into maint.query_plan (text_id, user_oid, planned_at, feature_version, features, cost)
     select p.text_id, p.user_oid, p.planned_at - n * interval '5 minutes', p.feature_version, p.features, p.cost
     from maint.query_plan as p, generate_series(1, 300) as n`,
  );
  await trainNow(database);
  const [most] = await database.query<{ rows: number; bytes: number }>(
    `select max(c.rows)::int as rows, max(c.bytes)::int as bytes from (
       select count(*) as rows, sum(pg_column_size(p.*)) as bytes from maint.query_plan as p group by text_id, user_oid) as c`,
  );
  t.true((most?.rows ?? 0) <= 32);
  t.true((most?.bytes ?? 0) < 32_000);
  await plansOfLongAgo(database);
  t.true((await counts(database)).plans >= plans, 'a plan that is old enough is made again');
});

test('what step 8 asks for is bounded, and goes when no run asks for it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `create extension pg_stat_statements;
     insert into maint.query_text (digest, text, length, verb, own, first_seen)
       select n::text, 'select ' || n, 8, 'select', false, now() from generate_series(1, 600) as n;
     insert into maint.plan_request (text_id, user_oid, hypothetical, requested_at)
       select t.text_id, 10, '{}', now() - t.text_id * interval '1 minute' from maint.query_text as t`,
  );
  await database.query(
    `select maint.configure('features.pattern_learning.slow_ms', '0.001'), maint.configure('features.pattern_learning.fast_ms', '0.001')`,
  );
  await run(database, { only: ['pattern_learning'] });
  await planAsked(database);
  await run(database, { only: ['pattern_learning'] });
  t.true((await counts(database)).requests <= 600);
  t.deepEqual(
    await database.query(
      `select from maint.plan_request where planned_at is null and requested_at > now() - interval '1 hour'`,
    ),
    [],
    'all that was asked is answered',
  );
});
