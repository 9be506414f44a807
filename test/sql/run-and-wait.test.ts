import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import type { RunResult } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { waitForRow } from '../support/maintenance.ts';

interface Waited extends RunResult {
  wait?: { status: string; seconds: number };
}

async function runAndWait(database: TestDatabase, more = ''): Promise<{ result: Waited; notices: string[] }> {
  const client = await database.client();
  const notices: string[] = [];
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  const { rows } = await client.query<{ result: Waited }>(
    `call maint.run_and_wait(force => true, "only" => '{invalid_indexes}'${more})`,
  );
  return { result: rows[0]!.result, notices };
}

const index = { schema: 'shop', table: 'orders', index: 'orders_a_key' };

test('says at once that no worker is alive, and does not wait', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, index);
  const { result, notices } = await runAndWait(database);
  t.is(result.wait!.status, 'no_worker');
  t.true(result.wait!.seconds < 30, 'the timeout is 10 minutes');
  t.regex(notices[0]!, /no worker is alive/);
  t.is(result.cleanup['invalid_indexes'], 0);
  t.is(result.cleanup['invalid_indexes_queued'], 1);
});

test('with a worker the numbers are final, and progress is told', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0')`);
  await makeInvalidIndex(database, index);
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  const { result, notices } = await runAndWait(database);
  t.is(result.wait!.status, 'finished');
  t.is(result.cleanup['invalid_indexes'], 1);
  t.is(result.cleanup['invalid_indexes_queued'], 0);
  t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
  t.regex(notices.at(-1)!, /1 succeeded/);
});

test('gives up after the timeout, and leaves what is queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, index);
  await database.query(
    `insert into maint.worker (worker_id, host, pid, version) values ('says so only', 'here', 1, '1')`,
  );
  const { result } = await runAndWait(database, `, timeout => '1 second'`);
  t.is(result.wait!.status, 'timed_out');
  t.is(result.actions['queued'], 1);
});

test('a skipped run says why; within a transaction nothing is done', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await t.throwsAsync(database.query('begin; call maint.run_and_wait(force => true); commit'), {
    code: '2D000',
  });
  await database.query('rollback');
  t.deepEqual(await database.query('select from maint.run_log'), []);
  await database.query(`select maint.configure('operational.maintenance_tasks.enabled', 'false')`);
  const { result } = await runAndWait(database);
  t.is(result.status, 'skipped');
  t.is(result.reason, 'disabled');
});
