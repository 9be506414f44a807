/** What never ends, holds what others need, or comes in floods must not stop the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { command } from '../support/cli.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { parseTexts } from '../support/workload.ts';
import { arena } from './arena.ts';
import { hanging, hold, honestDrop, honestTable } from './held-up.ts';

test('a function that catches cancels neither keeps a training for ever nor the worker from stopping', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database, roles } = place;
  await database.query('create extension pg_stat_statements');
  await place.install();
  await place.sql(
    'evil',
    `create schema evil; create table evil.t (a int); ${hanging('hang', `session_user <> '${roles.evil}'`)}`,
  );
  for (let call = 0; call < 3; call += 1)
    await place.sql('evil', 'select count(*) from evil.t where evil.hang(1) = 1 and a = 1');
  await database.query(`create schema crm; create table crm.t (a int)`);
  await place.sql('app', 'select 1');
  await database.query(`grant usage on schema crm to ${roles.app}; grant select on crm.t to ${roles.app}`);
  for (let call = 0; call < 3; call += 1) await place.sql('app', 'select count(*) from crm.t where a = 7');
  await honestTable(place);
  const worker = startWorker(t, database, { stopSeconds: 2 });
  // Other tests of the same server reset the counters, and a run is skipped while a worker does another.
  const counted = `select from maint.query_sample join maint.query_statement using (statement_id)
    join maint.query_text using (text_id) where text ~ 'crm.t where'`;
  while ((await database.query(counted)).length === 0) {
    await place.sql('app', 'select count(*) from crm.t where a = 7');
    await place.sql('evil', 'select count(*) from evil.t where evil.hang(1) = 1 and a = 1');
    await place.run(['pattern_learning']);
  }
  await parseTexts(database.url);
  while (
    (await database.query(`select from maint.step_log where step_number = 17 and status <> 'skipped'`))
      .length === 0
  )
    await place.run(['pattern_learning', 'train_query_risk']);
  // The statement of another role is planned, although the attacker's hangs; and actions go on meanwhile.
  await honestDrop(place);
  await waitForRow(
    database,
    `select from maint.query_plan join maint.query_text using (text_id) where text ~ 'crm.t where'`,
    [],
    90,
  );
  await worker.stop();
  t.deepEqual(
    await database.query(
      `select pid, query from pg_stat_activity where datname = current_database() and query ~ 'evil.hang' and state = 'active' and pid <> pg_backend_pid()`,
    ),
    [],
  );
});

test('a table that another session locks for ever holds up no run, and is named as not examined', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await place.sql(
    'evil',
    `create schema evil; create table evil.locked (a int primary key, b int); insert into evil.locked select g, g from generate_series(1, 5000) g;
    create index locked_1 on evil.locked (b); create index locked_2 on evil.locked (b); create materialized view evil.m as select 1 as a; create sequence evil.s`,
  );
  await honestTable(place);
  const holder = await hold(
    place,
    'begin',
    'lock table evil.locked in access exclusive mode',
    'alter sequence evil.s restart',
    'drop materialized view evil.m',
  );
  await place.extensions('amcheck');
  startWorker(t, database);
  const run = await place.run();
  t.is(run.status, 'partial', JSON.stringify(run.steps));
  await honestDrop(place);
  t.true((await command('report', database.url, '--output', '-')).code < 2);
  await holder.end();
});

test('notifications and application names of others disturb nothing, and hide nothing', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  await honestTable(place);
  const worker = startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  const spoofer = await place.as('evil');
  await spoofer.query(`set application_name = 'pg-maint worker'`);
  for (const payload of [
    '',
    'settings',
    '{"__proto__":{}}',
    '\u0001\u001b[2J',
    'x'.repeat(7999),
    `'; drop table x; --`,
    '999999999999999999999999',
  ])
    await spoofer.query('select pg_notify($1, $2)', ['maint_work', payload]);
  await spoofer.query(`select pg_notify('maint_work', 'settings' || g) from generate_series(1, 3000) as g`);
  await honestDrop(place);
  t.notRegex(worker.log.join('\n'), /TypeError|SyntaxError|trying again/);
  // Under a name of ours an idle transaction is still one that holds others up.
  await spoofer.query('begin');
  await spoofer.query('select pg_advisory_xact_lock(815)');
  await database.query(`select maint.configure('features.stale_operations.idle_in_transaction_after', '0'), maint.configure('features.advisory_lock_cleanup.stale_after', '0'),
    maint.configure('features.advisory_lock_cleanup.auto_cleanup', 'false')`);
  await sleep(20);
  await place.run(['stale_operations', 'stale_advisory_locks']);
  const found = await database.query<{ kind: string }>(
    `select distinct kind from maint.findings where resolved_at is null and detail ->> 'pid' = $1 order by kind`,
    [String((await spoofer.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid)],
  );
  t.deepEqual(
    found.map(({ kind }) => kind),
    ['lock.stale_advisory', 'operation.stale'],
  );
});
