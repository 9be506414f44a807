/** Engine worker: a server without a JavaScript language, whose runs a worker does. */
import { once } from 'node:events';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { PgBoss } from 'pg-boss';
import { install } from '../../src/worker/install.ts';
import type { Json, JsonObject } from '../../src/steps/step.ts';
import { loadCorpus, makeFixture } from '../corpus/fixtures.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { comparable } from '../support/comparable.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTransaction, waitForRow } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { spawnWorker, startWorker } from '../support/worker.ts';

interface Queued extends RunResult {
  detail: string;
  already: boolean;
  worker_alive: number;
}

async function withoutLanguage(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t);
  t.is((await install(database.url, { engine: 'worker' })).engine, 'worker');
  return database;
}

async function call(database: TestDatabase, words: string): Promise<Queued> {
  const [row] = await database.query<{ result: Queued }>(`select maint.run(${words}) as result`);
  return row!.result;
}

async function resultOf(database: TestDatabase, runId: number): Promise<RunResult & JsonObject> {
  await waitForRow(database, `select from maint.run_log where run_id = $1 and status <> 'queued'`, [runId]);
  const [row] = await database.query<{ result: RunResult & JsonObject }>(
    'select maint.result($1) as result',
    [runId],
  );
  return row!.result;
}

test('maint.run queues the run and says so; the result is there afterwards, and its actions are done', async (t) => {
  const database = await withoutLanguage(t);
  await makeInvalidIndex(database, { schema: 'shop', table: 'orders', index: 'orders_a_key' });
  const queued = await call(database, 'force => true');
  t.like(queued, { status: 'queued', reason: 'engine_worker', run_id: 1, already: false, worker_alive: 0 });
  t.regex(queued.detail, /maint\.result\(1\) has the result afterwards; no worker is alive/);
  t.like((await database.query('select maint.result(1) as result'))[0]!['result'], {
    status: 'queued',
    progress: null,
  });
  t.like((await database.query('select status from maint.runs'))[0], { status: 'queued' });
  t.like(await call(database, 'force => true'), { status: 'queued', run_id: 1, already: true });
  t.is((await call(database, `force => true, "only" => '{3}'`)).run_id, 2);
  startWorker(t, database);
  t.like(await resultOf(database, 1), { status: 'partial', engine: 'worker', run_id: 1 });
  t.like(await resultOf(database, 2), { status: 'success', run_id: 2 });
  await waitForRow(database, `select from maint.action where status = 'succeeded'`);
  const counted = [await resultOf(database, 1), await resultOf(database, 2)].map(
    ({ cleanup }) => cleanup['invalid_indexes'],
  );
  t.deepEqual(counted.sort(), [0, 1], 'the run that wanted it last counts it');
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
  const [ran] = await database.query(
    `select only_steps, forced, requested_by from maint.runs where run_id = 2`,
  );
  t.deepEqual(ran, { only_steps: [3], forced: true, requested_by: 'postgres' });
  const workerAlive = await call(database, `force => true, "only" => '{0}'`);
  t.is(workerAlive.worker_alive, 1);
  t.notRegex(workerAlive.detail, /no worker/);
});

test('queued only if the caller commits', async (t) => {
  const database = await withoutLanguage(t);
  await database.query('begin');
  await call(database, 'force => true');
  await database.query('rollback');
  t.deepEqual(await database.query('select from maint.run_log'), []);
  t.deepEqual(await database.query(`select from maint_boss.job where name = 'maint_run'`), []);
});

test('guards hold when it is queued, and when it is run', async (t) => {
  const database = await withoutLanguage(t);
  await t.throwsAsync(call(database, `"only" => '{nonsense}'`), {
    code: '22023',
    message: /there is no step/,
  });
  await database.query(`select maint.bypass('everything', 'moving', 'infinity')`);
  t.like(await call(database, 'force => true'), { status: 'skipped', reason: 'bypassed' });
  t.deepEqual(await database.query('select from maint.run_log'), []);
  await database.query(`select maint.unbypass('everything')`);
  const { run_id } = await call(database, 'force => true');
  await database.query(`select maint.bypass('everything', 'moving', 'infinity')`);
  startWorker(t, database);
  t.like(await resultOf(database, run_id), { status: 'skipped', reason: 'bypassed', run_id });
  t.like((await database.query('select status from maint.runs'))[0], { status: 'skipped' });
  await database.query(`select maint.unbypass('everything')`);
  // Not forced: due, then not due.
  const first = await call(database, '');
  t.like(await resultOf(database, first.run_id), { status: 'partial' });
  t.like(await call(database, ''), { status: 'skipped', reason: 'not_due' });
});

test('a dry run gives what it would do, and leaves nothing but that', async (t) => {
  const database = await withoutLanguage(t);
  await makeInvalidIndex(database, { schema: 'shop', table: 'orders', index: 'orders_a_key' });
  startWorker(t, database);
  const { run_id } = await call(database, `force => true, "only" => '{invalid_indexes}', dry_run => true`);
  const result = await resultOf(database, run_id);
  t.like(result, { status: 'success', dry_run: true, run_id });
  t.deepEqual(
    result.would_queue!.map(({ kind, target }) => [kind, target['index']]),
    [['drop_index', 'orders_a_key']],
  );
  for (const table of ['finding', 'action', 'step_log', 'alert'])
    t.deepEqual(await database.query(`select from maint.${table}`), [], table);
  t.like((await database.query('select maint.status() as status'))[0]!['status'], { last_run: null });
});

test('a run that somebody asked for waits for the one under way', async (t) => {
  const database = await withoutLanguage(t);
  const { run_id } = await call(database, 'force => true');
  const other = await openTransaction(database, "select from maint.lock where name = 'run' for update");
  startWorker(t, database);
  await waitForRow(
    database,
    `select from pg_stat_activity where wait_event = 'transactionid' and datname = current_database()`,
  );
  await other.end();
  t.like(await resultOf(database, run_id), { status: 'partial' });
});

test('a failure of the whole run is recorded as such', async (t) => {
  const database = await withoutLanguage(t);
  await database.query(`create function public.refuse() returns trigger language plpgsql as
    $$begin raise exception 'no space' using errcode = '53100', detail = 'none at all'; end$$;
    create trigger refuse before update on maint.run_log for each row when (new.status = 'running')
      execute function public.refuse()`);
  const { run_id } = await call(database, 'force => true');
  startWorker(t, database);
  t.like(await resultOf(database, run_id), {
    status: 'failed',
    error: { sqlstate: '53100', message: 'no space', detail: 'none at all' },
  });
});

test('a worker killed in a run: another does it, once', async (t) => {
  const database = await withoutLanguage(t);
  const { run_id } = await call(database, 'force => true');
  // Holds it up between two of its steps.
  const holder = await openTransaction(database, 'lock table maint.index_check in access exclusive mode');
  await database.query(`select maint.configure('operational.maintenance_tasks.lock_timeout', '60000')`);
  const worker = await spawnWorker(t, database);
  const held = `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
    and application_name ~ '^pg-maint'`;
  await waitForRow(database, held);
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  await database.query(`select pg_terminate_backend(pid) from (${held}) as h`);
  await holder.end();
  t.like((await database.query('select status from maint.runs'))[0], { status: 'queued' });
  // Its silence is noticed after the job's heartbeat and the monitor's interval; here at once.
  await database.query(`update maint_boss.job set heartbeat_on = now() - interval '1 hour', retry_delay = 0
    where state = 'active'`);
  const boss = new PgBoss({
    schema: 'maint_boss',
    connectionString: database.url,
    supervise: false,
    schedule: false,
  });
  await boss.start();
  await boss.supervise('maint_run');
  await boss.stop({ graceful: false });
  startWorker(t, database);
  t.like(await resultOf(database, run_id), { status: 'partial' });
  t.is((await database.query('select from maint.run_log')).length, 1);
});

test('run_and_wait waits for the run and for its actions; without a worker it says so at once', async (t) => {
  const database = await withoutLanguage(t);
  await makeInvalidIndex(database, { schema: 'shop', table: 'orders', index: 'orders_a_key' });
  const runAndWait = async (): Promise<{ result: JsonObject; notices: string[] }> => {
    const client = await database.client();
    const notices: string[] = [];
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    const { rows } = await client.query<{ result: JsonObject }>(
      `call maint.run_and_wait(force => true, timeout => '30 s')`,
    );
    return { result: rows[0]!.result, notices };
  };
  const alone = await runAndWait();
  t.like(alone.result, { status: 'queued', wait: { status: 'no_worker' } });
  t.regex(alone.notices[0]!, /no worker is alive: the run is queued and waits/);
  startWorker(t, database);
  // The run that waits is done first; while it is under way another one would be skipped.
  await waitForRow(database, `select from maint.actions where status = 'succeeded'`);
  await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  await makeInvalidIndex(database, { schema: 'shop', table: 'items', index: 'items_a_key' });
  const { result, notices } = await runAndWait();
  t.like(result, { status: 'partial', engine: 'worker', wait: { status: 'finished' } });
  t.is((result['cleanup'] as JsonObject)['invalid_indexes'], 1);
  t.true(
    notices.some((line) => /^action \d+ drop_index shop\.items_a_key: succeeded/.test(line)),
    notices.join('\n'),
  );
});

const workersPart = ['pattern_learning', 'safeguard_metrics', 'predictive_maintenance', 'train_query_risk'];

/** Without what only a worker examines: it is alive in one of the two runs. */
function leftToSteps(result: object): Json {
  const dictionary = result as JsonObject;
  const kept = Object.entries(dictionary['steps'] as JsonObject).filter(
    ([name]) => !workersPart.includes(name),
  );
  const rest = { ...dictionary, status: null, unexamined: null, steps: Object.fromEntries(kept) };
  return comparable(rest);
}

const fixtures = (await loadCorpus()).filter(({ name }) =>
  ['foreign-keys', 'redundant-btree', 'broken-indexes'].includes(name),
);

for (const fixture of fixtures) {
  test(`the dictionary equals that of the engine in the database on ${fixture.name}`, async (t) => {
    const database = (await makeFixture(t, fixture))!;
    const [installed] = await database.query('select engine from maint.installation');
    if (installed!['engine'] === 'worker') {
      t.is(
        process.env['MAINT_TEST_HOST'],
        'node',
        'only a run without a language may leave the comparison out',
      );
      return;
    }
    await database.query('begin');
    const inside = await call(database, 'force => true');
    await database.query('rollback');
    await install(database.url, { engine: 'worker' });
    // No place for actions: those that the run queues are counted by where they are.
    startWorker(t, database, { concurrency: 0 });
    await waitForRow(database, 'select from maint.worker');
    const { run_id } = await call(database, 'force => true');
    const outside = await resultOf(database, run_id);
    t.true(Object.keys(outside.cleanup).length > 10);
    t.deepEqual(leftToSteps(outside), leftToSteps(inside));
  });
}
