/** Places of the worker, locks of ours and patterns that others take up: the rest goes on, or says who is in the way. */
import test from 'ava';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';
import { hanging, hold, honestDrop, honestTable } from './held-up.ts';

test('tables whose index expression hangs do not take the places of the others', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database, roles } = place;
  await place.install();
  await place.sql(
    'evil',
    `create schema evil; ${hanging('fx', `session_user <> '${roles.evil}'`)};
    create table evil.t1 (a int, b text default repeat('x', 400)) with (autovacuum_enabled = off); create index on evil.t1 (evil.fx(a));
    create table evil.t2 (a int, b text default repeat('x', 400)) with (autovacuum_enabled = off); create index on evil.t2 (evil.fx(a));
    create table evil.t3 (a int, b text default repeat('x', 400)) with (autovacuum_enabled = off); create index on evil.t3 (evil.fx(a));
    insert into evil.t1 (a) select generate_series(1, 3000); insert into evil.t2 (a) select generate_series(1, 3000); insert into evil.t3 (a) select generate_series(1, 3000)`,
  );
  await honestTable(place);
  await database.query(`select maint.configure('features.statistics_refresh.min_table_size_mb', '0')`);
  await database.query('select pg_stat_force_next_flush()');
  const worker = startWorker(t, database, { stopSeconds: 2 });
  await place.run(['refresh_statistics']);
  await database
    .query(
      `select maint.apply(finding_id) from maint.findings where kind = 'statistics.stale' and schema_name = 'evil' and action_id is null`,
    )
    .catch(() => undefined);
  await waitForRow(
    database,
    `select from pg_stat_activity where datname = current_database() and query ~* '^analyze.*evil'`,
    [],
    60,
  );
  await honestDrop(place);
  await worker.stop();
  t.deepEqual(
    await database.query(
      `select pid from pg_stat_activity where datname = current_database() and query ~* '^analyze' and state = 'active'`,
    ),
    [],
  );
});

test('patterns with many wildcards take no time', async (t) => {
  t.timeout(150_000);
  const place = await arena(t);
  const { database } = place;
  await place.install();
  const name = 'a'.repeat(63);
  await place.sql(
    'evil',
    `create schema ${name}; create table ${name}.${name} (a int); insert into ${name}.${name} select generate_series(1, 3000); create index ${name} on ${name}.${name} (a)`.replace(
      `create index ${name} on`,
      'create index on',
    ),
  );
  const operator = await place.as('operator');
  const pattern = `${'*a'.repeat(20)}b`;
  for (const scope of [`schema:${pattern}`, `table:*.${pattern}`, `index:*.${pattern}`])
    await operator
      .query(`select maint.configure('features.statistics_refresh.auto_refresh', 'false', $1)`, [scope])
      .catch(() => undefined);
  await operator
    .query(
      `select maint.configure('features.advisory_lock_cleanup.terminate_applications', to_jsonb(array[$1::text]))`,
      [pattern],
    )
    .catch(() => undefined);
  await operator
    .query(
      `select maint.configure('features.advisory_lock_cleanup.expected_applications', to_jsonb(array[$1::text]))`,
      [pattern],
    )
    .catch(() => undefined);
  await hold(place, `set application_name = '${name}'`, 'select pg_advisory_lock(4711)');
  await database.query(`set statement_timeout = '60s'`);
  startWorker(t, database);
  await place.run();
  t.not((await place.run()).status, 'failed');
});
