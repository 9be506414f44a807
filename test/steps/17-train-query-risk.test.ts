import { createHash } from 'node:crypto';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { performQueryRiskTraining } from '../../src/worker/ml/query-risk-job.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import {
  makeTables,
  planningContext,
  plansOfLongAgo,
  queryRisk,
  steady,
  texts,
  trainNow,
  trainingRow,
  writeHistory,
} from '../support/query-risk.ts';
import { startWorker } from '../support/worker.ts';

const only = ['train_query_risk'];

async function step(database: TestDatabase): Promise<JsonObject> {
  return (await run(database, { only })).cleanup['ml_training'] as JsonObject;
}

async function withTables(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTables(database);
  await database.query(`select maint.configure('features.ml_interception.slow_ms', '20')`);
  return database;
}

/** A model is asked in the database, by its JavaScript. */
const inDatabase = process.env['MAINT_TEST_HOST'] !== 'node';
const testInDatabase = inDatabase ? test : test.skip;
const notAnswered = inDatabase ? /^no_model$/ : /^not_available: this server has no JavaScript language/;

test('nothing to train on: the step says so, and queues a training once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const first = await step(database);
  t.is(first['accuracy'], null);
  t.is(first['samples'], null);
  t.is(first['status'], 'not_trained');
  t.is(first['next_training'], 'queued');
  t.is((await step(database))['next_training'], 'already_queued');
  await trainNow(database);
  const after = await step(database);
  t.is(after['status'], 'insufficient_data');
  t.regex(JSON.stringify(after['reason']), /50 samples of slow statements and of fast ones are needed/);
  t.deepEqual(await database.query('select * from maint.models'), []);
});

test('statements measured after they were planned train a model, and a worker does it', async (t) => {
  const database = await withTables(t);
  await writeHistory(database, 96, steady);
  await plansOfLongAgo(database);
  const [planned] = await database.query<{ count: number }>(
    `select count(*)::int from maint.query_plan where features is not null`,
  );
  t.is(planned!.count, texts().length);
  t.regex((await queryRisk(database, 'select * from large where a = 5')).reasons[0]!, notAnswered);
  await step(database);
  startWorker(t, database);
  await waitForRow(database, 'select from maint.models where active', [], 120);
  const [model] = await database.query<Record<string, number>>(
    `select model_id::int, samples, training_samples, slow_samples, auc::float8, accuracy::float8, duration_ms::float8
     from maint.models`,
  );
  t.true(model!['samples']! >= 100);
  t.true(model!['auc']! > 0.99);
  const result = await step(database);
  t.is(result['samples'], model!['samples']!);
  t.true((result['accuracy'] as number) > 0.95);
  t.is(result['active_model_id'], model!['model_id']!);
  const [split] = await database.query<{ held_out_only_later: boolean }>(
    `select held_out_from > trained_from and held_out_to > held_out_from as held_out_only_later from maint.models`,
  );
  t.true(split!.held_out_only_later);

  if (inDatabase) await answersOf(t, database, model!['model_id']!);
  else t.regex((await queryRisk(database, 'select 1')).reasons[0]!, notAnswered);
});

async function answersOf(t: ExecutionContext, database: TestDatabase, modelId: number): Promise<void> {
  const scan = await queryRisk(database, 'select a, b, count(*) from large group by a, b order by a, b');
  t.true(scan.risk! > 0.8, JSON.stringify(scan));
  t.not(scan.decision, 'allow');
  t.regex(scan.reasons[0]!, /^slow: likely to take more than 20 ms/);
  t.true(scan.expected_ms! > 5);
  t.is(scan.model_id, modelId);
  const lookup = await queryRisk(database, 'select a from large where id = 77');
  t.true(lookup.risk! < 0.2, JSON.stringify(lookup));
  t.is(lookup.decision, 'allow');
  t.deepEqual(lookup.reasons, ['within_limits']);
  const one = await queryRisk(database, 'select 1');
  t.is(one.decision, 'allow');
  t.is(one.risk, 0);

  await database.query(
    `create table wide as select n, n + 1 as m from generate_series(1, 50) as n; analyze wide`,
  );
  const unknown = await queryRisk(
    database,
    `with recursive r as (select 1 as x union all select r.x + 1 from r, wide as a, wide as b, wide as c, wide as d
       where a.n = b.n and c.m = d.m and r.x < 10), s as (select row_number() over () as z, * from r join wide on true)
     insert into wide select z, x from s where z in (select n from wide order by m offset 3) `,
  );
  t.true(unknown.confidence < 0.5, JSON.stringify(unknown));
  t.is(unknown.decision, 'allow');
  t.regex(unknown.reasons[0]!, /^unknown_shape/);
}

testInDatabase('limits are those that are configured', async (t) => {
  const database = await withTables(t);
  await writeHistory(database, 96, steady);
  await plansOfLongAgo(database);
  await trainNow(database);
  const ask = async (): Promise<string> =>
    (await queryRisk(database, 'select a, b, count(*) from large group by a, b order by a, b')).decision;
  await database.query(`select maint.configure('features.ml_interception.block_risk', '0.6')`);
  t.is(await ask(), 'block');
  await database.query(`select maint.configure('features.ml_interception.block_risk', '1'),
    maint.configure('features.ml_interception.warn_risk', '0.6')`);
  t.is(await ask(), 'warn');
  await database.query(`select maint.configure('features.ml_interception.warn_risk', '1')`);
  t.is(await ask(), 'allow');
});

/** A half of all statements in each span of six hours: which ones has nothing to do with what they are. */
function byLot(seed: number, statement: number, hour: number): boolean {
  const lot = createHash('sha256').update(`${seed} ${statement} ${Math.floor(hour / 6)}`);
  return lot.digest().readUInt8() % 2 === 0;
}

test('shuffled labels: a held-out AUC of a half, and the model is not used', async (t) => {
  const areas: number[] = [];
  for (let seed = 1; seed <= 5; seed += 1) {
    const database = await withTables(t);
    await writeHistory(database, 120, (_, index, hour) => (byLot(seed, index, hour) ? 60 : 1));
    await plansOfLongAgo(database);
    await trainNow(database);
    const [model] = await database.query<{ active: boolean; auc: number; reason: string }>(
      'select active, auc::float8, reason from maint.models',
    );
    areas.push(model!.auc);
    t.true(Math.abs(model!.auc - 0.5) < 0.12, String(model!.auc));
    t.false(model!.active);
    t.regex(model!.reason, /no better than|not clearly nearer/);
    t.regex((await queryRisk(database, 'select a from large where a = 1')).reasons[0]!, notAnswered);
  }
  const mean = areas.reduce((sum, area) => sum + area, 0) / areas.length;
  t.true(Math.abs(mean - 0.5) < 0.05, areas.join(' '));
});

test('a worse model leaves the one in use where it is, and a reset of what is slow does not', async (t) => {
  const database = await withTables(t);
  await writeHistory(database, 96, steady);
  await plansOfLongAgo(database);
  await trainNow(database);
  const activeId = async (): Promise<number | undefined> =>
    (await database.query<{ id: number }>('select model_id::int as id from maint.models where active'))[0]
      ?.id;
  const first = await activeId();
  t.truthy(first);
  // The time before the last day shows the opposite of what was: nothing to be learned from it holds later.
  await database.query(`update maint.query_sample as q set total_exec_ms = 10 * case when q.total_exec_ms > 100 then 0.1 else 90 end
    from maint.query_interval as i where i.interval_id = q.interval_id and i.started_at < (select max(ended_at) from maint.query_interval) - interval '30 hours'`);
  await trainNow(database);
  t.is(await activeId(), first);
  const [second] = await database.query<{ active: boolean; drift: JsonObject }>(
    'select active, drift from maint.models order by model_id desc limit 1',
  );
  t.false(second!.active);
  t.is(second!.drift['unknown_share'], 0);
});

test('a training that takes too long is ended, and one that is given up is told', async (t) => {
  const database = await withTables(t);
  await writeHistory(database, 96, steady);
  await plansOfLongAgo(database);
  const controller = new AbortController();
  controller.abort();
  const client = await database.client();
  await t.throwsAsync(
    performQueryRiskTraining(client, {
      ...planningContext(database, client),
      signal: controller.signal,
    }),
    {
      message: /the worker is stopping/,
    },
  );
  t.is((await trainingRow(database))?.status, 'insufficient_data', 'what was there before');
  t.deepEqual(await database.query('select * from maint.models'), []);
});

test('another role’s statements are planned with its rights and never with more', async (t) => {
  const database = await withTables(t);
  await writeHistory(database, 2, steady);
  const role = `app_${database.name}`;
  await database.query(`create role ${role}; create table secret (x int); create table public.seen (who text);
    grant usage on schema public to ${role}; grant select on large, small to ${role};
    create function public.who() returns int language plpgsql immutable as $$
      begin
        perform set_config('role', 'postgres', false);
        insert into public.seen values (current_user);
        return 1;
      end $$`);
  t.teardown(async () => {
    const administrator = await database.client();
    await administrator.query(`drop owned by ${role}; drop role ${role}`);
  });
  await database.query(
    `update maint.query_statement set user_oid = '${role}'::regrole;
     update maint.query_text set text = 'select * from secret' where text_id = (select min(text_id) from maint.query_text);
     update maint.query_text set text = 'select * from large where a = public.who()' where text_id = (select max(text_id) from maint.query_text)`,
  );
  await database.query(`update maint.query_text set length = length(text)`);
  await trainNow(database);
  const problems = await database.query<{ text: string; sqlstate: string }>(
    `select t.text, p.sqlstate from maint.query_plan as p join maint.query_text as t using (text_id)
     where p.problem is not null order by t.text`,
  );
  t.deepEqual(problems, [
    { text: 'select * from large where a = public.who()', sqlstate: '42501' },
    { text: 'select * from secret', sqlstate: '42501' },
  ]);
  t.deepEqual(await database.query('select * from public.seen'), []);
});

test('switched off, the step does not run and the result is unknown', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('features.ml_interception.training_enabled', 'false')`);
  const result = await run(database, { only });
  t.is(result.steps['train_query_risk']?.reason, 'disabled');
  t.deepEqual(result.cleanup['ml_training'], { accuracy: null, samples: null });
});
