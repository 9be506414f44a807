/** The life of a run: guards, isolation of steps, what it records and what it leaves to others. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { openFindings, queuedActions, run, runFromNode, waitForRow } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { createExtensions } from '../support/extensions.ts';

const shop = { schema: 'shop', table: 'orders', index: 'orders_a_key' };

async function runOn(client: pg.Client, call: string): Promise<RunResult> {
  const { rows } = await client.query<{ result: RunResult }>(`select ${call} as result`);
  return rows[0]!.result;
}

async function countRuns(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ count: number }>('select count(*)::int as count from maint.runs');
  return row!.count;
}

test('select maint.run(force => true) returns the dictionary of the specification', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const [row] = await database.query<{ result: RunResult & { timestamp: string; duration_ms: number } }>(
    'select maint.run(force => true) as result',
  );
  const result = row!.result;
  t.is(result.status, 'partial', 'amcheck is not installed');
  t.is(result.run_id, 1);
  t.false(Number.isNaN(Date.parse(result.timestamp)));
  t.true(result.duration_ms > 0);
  t.deepEqual(result.bypass_status, { active: [] });
  t.deepEqual(Object.keys(result.integrity_check).sort(), ['checks', 'issue_count', 'issues', 'status']);
  for (const key of ['orphaned_indexes', 'invalid_indexes']) t.is(result.cleanup[key], 0, key);
  for (const [name, { status, coverage }] of Object.entries(result.steps)) {
    const gaps = coverage!.unexamined.filter(({ standing }) => standing === 'gap');
    t.is(status, gaps.length === 0 ? 'success' : 'partial', name);
  }
  const [again] = await database.query<{ result: unknown }>('select maint.result(1) as result');
  t.deepEqual(again!.result, result);
});

test('a second run is not due; force runs it; the interval is configured', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.is((await run(database, { force: false })).status, 'partial');
  const second = await run(database, { force: false });
  t.is(second.status, 'skipped');
  t.is(second.reason, 'not_due');
  t.is((await run(database)).status, 'partial');
  await database.query(`update maint.run_log set started_at = started_at - interval '61 minutes'`);
  t.is((await run(database, { force: false })).status, 'partial');
  await database.query(`select maint.configure('operational.maintenance_tasks.interval', '7200')`);
  await database.query(`update maint.run_log set started_at = started_at - interval '61 minutes'`);
  t.is((await run(database, { force: false })).reason, 'not_due');
  t.is(await countRuns(database), 3, 'skipped runs leave no row');
});

test('of two runs at once one runs and the other is skipped, without waiting', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const first = await database.client();
  const second = await database.client();
  await first.query('begin');
  t.is((await runOn(first, 'maint.run(force => true)')).status, 'partial');
  const skipped = await runOn(second, 'maint.run(force => true)');
  t.is(skipped.status, 'skipped');
  t.is(skipped.reason, 'already_running');
  await first.query('commit');
  t.is((await runOn(second, 'maint.run(force => true)')).status, 'partial');
});

test('twenty sessions at once: no error, no wait, at least one run', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const clients = await Promise.all(Array.from({ length: 20 }, () => database.client()));
  const results = await Promise.all(clients.map((client) => runOn(client, 'maint.run()')));
  const statuses = results.map(({ status, reason }) => reason ?? status);
  t.is(statuses.filter((status) => status === 'partial').length, 1, statuses.join());
  t.true(
    statuses.every((status) => ['partial', 'already_running', 'not_due'].includes(status)),
    statuses.join(),
  );
});

test('what a rolled back transaction ran is not there', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  await client.query('begin');
  await runOn(client, 'maint.run(force => true)');
  await client.query('rollback');
  t.is(await countRuns(database), 0);
  t.is((await run(database, { force: false })).status, 'partial');
});

test('read-only: skipped with the reason', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  await client.query('begin read only');
  const result = await runOn(client, 'maint.run(force => true)');
  t.is(result.status, 'skipped');
  t.is(result.reason, 'read_only');
  await client.query('rollback');
});

test('disabled: skipped, even with force', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.maintenance_tasks.enabled', 'false')`);
  t.is((await run(database)).reason, 'disabled');
});

test('a step that may not read what it needs fails alone: the run is partial, the others have their result', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await run(database);
  const owner = `owner_${database.name}`;
  await database.query(`create role ${owner} nosuperuser; alter function maint.run owner to ${owner}`);
  await database.query(`grant usage on schema maint to ${owner}; grant all on all tables in schema maint to ${owner};
    grant execute on all functions in schema maint to ${owner}; grant usage on schema maint_boss to ${owner};
    grant all on all tables in schema maint_boss to ${owner}`);
  await database.query('revoke select on pg_catalog.pg_stat_progress_create_index from public');
  t.teardown(async () => {
    const client = await database.client();
    await client.query(`drop owned by ${owner} cascade; drop role ${owner}`);
  });
  const client = await database.client();
  const result = await runOn(client, 'maint.run(force => true)');
  t.is(result.status, 'partial');
  for (const name of ['orphaned_indexes', 'invalid_indexes']) {
    const step = result.steps[name]!;
    t.is(step.status, 'failed', name);
    t.is(step.reason, 'not_permitted', name);
    t.is(step.error!.sqlstate, '42501', name);
    t.regex(step.error!.message, /pg_stat_progress_create_index/, name);
  }
  t.is(result.cleanup['invalid_indexes_found'], null, 'unknown, not zero');
  t.is(result.cleanup['invalid_indexes'], null);
  t.is(result.steps['integrity_check']!.status, 'partial');
  t.is(result.integrity_check.checks['constraint_index_invalid']!.reason, 'not_permitted');
  t.is(result.integrity_check.checks['constraint_not_valid']!.status, 'healthy');
  t.is((await openFindings(database, 'index.invalid')).length, 1, 'stays open while it cannot be looked at');
  t.is((await queuedActions(database)).length, 1);
});

test('a run that cannot begin its steps is recorded and returned as failed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('drop function maint.open_run');
  const [row] = await database.query<{
    result: RunResult & { error: { sqlstate: string; message: string } };
  }>('select maint.run(force => true) as result');
  const { status, error } = row!.result;
  t.is(status, 'failed');
  t.is(error.sqlstate, '42883');
  t.regex(error.message, /maint\.open_run/);
  t.deepEqual(await database.query('select status from maint.runs'), [{ status: 'failed' }]);
});

test('only names steps by name or number; an unknown one is refused with the list', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database, { only: ['3', 'bypass_status'] });
  t.is(result.steps['invalid_indexes']!.status, 'success');
  t.is(result.steps['bypass_status']!.status, 'success');
  t.is(result.steps['orphaned_indexes']!.reason, 'not_selected');
  t.is(result.cleanup['orphaned_indexes_found'], null);
  t.is(
    (await run(database, { force: false })).status,
    'partial',
    'a partial selection does not count as the run',
  );
  for (const only of [['invalid_index'], ['3', '99'], []]) {
    const error = await t.throwsAsync(run(database, { only }), { instanceOf: pg.DatabaseError });
    t.is(error.code, '22023');
    t.regex(error.hint!, /3 invalid_indexes/);
  }
  t.is(await countRuns(database), 2);
});

test('a dry run reports all and leaves nothing', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  for (const dry of [await run(database, { dryRun: true }), await runFromNode(database, { dryRun: true })]) {
    t.is(dry.status, 'partial');
    t.false('run_id' in dry);
    t.is(dry.cleanup['invalid_indexes_found'], 1);
    t.deepEqual(
      dry.would_report!.filter(({ kind }) => kind.startsWith('index.')).map(({ kind }) => kind),
      ['index.invalid'],
    );
    t.deepEqual(
      dry.would_queue!.map(({ kind }) => kind),
      ['drop_index'],
    );
  }
  const rows = await database.query(`select 1 from maint.run_log union all select 2 from maint.finding
    union all select 3 from maint.action union all select 4 from maint.alert union all select 5 from maint.index_check`);
  t.deepEqual(rows, []);
});

test('null arguments are refused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const error = await t.throwsAsync(database.query('select maint.run(force => null)'), {
    instanceOf: pg.DatabaseError,
  });
  t.is(error.code, '22004');
});

test('findings keep their first sight, old rows go after the retention', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await run(database);
  await database.query(
    `update maint.finding set first_seen = first_seen - interval '3 days', last_seen = last_seen - interval '3 days'`,
  );
  await run(database);
  const [finding] = await database.query<{ kept: boolean; updated: boolean }>(
    `select first_seen < now() - interval '2 days' as kept, last_seen > now() - interval '1 hour' as updated
     from maint.findings where kind = 'index.invalid'`,
  );
  t.deepEqual(finding, { kept: true, updated: true });
  await database.query('drop index shop.orders_a_key');
  await run(database);
  await database.query(
    `update maint.finding set resolved_at = resolved_at - interval '91 days' where resolved_at is not null`,
  );
  await database.query(
    `update maint.run_log set started_at = started_at - interval '91 days' where run_id = 1`,
  );
  await run(database);
  t.deepEqual(await database.query(`select from maint.findings where kind = 'index.invalid'`), []);
  t.deepEqual(await database.query('select from maint.runs where run_id = 1'), []);
});

test('a finding that comes back is a new one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (let round = 0; round < 2; round += 1) {
    await makeInvalidIndex(database, shop);
    await run(database);
    await database.query('drop index shop.orders_a_key');
    await run(database);
  }
  const rows = await database.query(
    `select from maint.findings where kind = 'index.invalid' and resolved_at is not null`,
  );
  t.is(rows.length, 2);
});

test('killing the backend in the middle of a run leaves nothing, and the next run runs', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, ['amcheck']);
  await database.query('create table t as select g as a from generate_series(1, 200000) g');
  await database.query('create index on t (a)');
  for (let round = 0; round < 10; round += 1) {
    const client = await database.client();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const running = client.query('select maint.run(force => true)').catch(() => null);
    await sleep(round * 12);
    await database.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
    await running;
    // Its client is told before it has let go of its locks.
    await waitForRow(
      database,
      `select where not exists (select from pg_stat_activity where pid = ${rows[0]!.pid})`,
    );
  }
  t.deepEqual(await database.query(`select from maint.run_log where status = 'running'`), []);
  t.is((await run(database)).status, 'partial', 'without a worker');
});

test("a cancel ends the run; it is no step's failure", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const client = await database.client();
  await client.query(`set statement_timeout = '5ms'`);
  const error = await t.throwsAsync(client.query('select maint.run(force => true)'), {
    instanceOf: pg.DatabaseError,
  });
  t.is(error.code, '57014');
  t.is(await countRuns(database), 0);
  // On a busy machine, any statement may take too long until then.
  const reset = async (): Promise<boolean> =>
    await client.query('reset statement_timeout').then(
      () => true,
      (failure: unknown) => {
        t.is((failure as pg.DatabaseError).code, '57014');
        return false;
      },
    );
  while (!(await reset()));
  t.is((await runOn(client, 'maint.run(force => true)')).status, 'partial');
});
