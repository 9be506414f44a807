import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { repository } from '../../build/paths.ts';
import { readManifest } from '../../src/worker/manifest.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

/** Two runs with steps, findings, actions and alerts, as steps would have left them. */
async function fill(database: TestDatabase): Promise<void> {
  await database.query(`
    insert into maint.run_log (status, started_at, finished_at, forced, dry_run, engine, version) values
      ('success', '2026-01-01 00:00+00', '2026-01-01 00:00:01.5+00', false, false, 'worker', '0.1.0'),
      ('partial', '2026-01-02 00:00+00', '2026-01-02 00:00:02+00', true, false, 'worker', '0.1.0');
    insert into maint.step_log (run_id, step_number, name, status, reason, started_at, duration_ms, error, result) values
      (1, 3, 'invalid_indexes', 'success', null, '2026-01-01 00:00+00', 12.3456, null, '{}'),
      (2, 1, 'integrity_check', 'failed', 'not_permitted', '2026-01-02 00:00+00', 1,
        '{"sqlstate": "42501", "message": "permission denied"}', '{}'),
      (2, 3, 'invalid_indexes', 'success', null, '2026-01-02 00:00+00', 2, null, '{}'),
      (2, 99, 'of_old', 'skipped', 'disabled', '2026-01-02 00:00+00', 0, null, '{}');
    insert into maint.finding (finding_key, run_id, step_number, kind, severity, schema_name, summary, detail, remedy,
        first_seen, last_seen, resolved_at) values
      ('gone', 1, 3, 'index.invalid', 'critical', 'a', 'gone', '{}', null, '2026-01-01', '2026-01-01', '2026-01-02'),
      ('info', 2, 3, 'index.invalid', 'info', 'a', 'info', '{}', null, '2026-01-01', '2026-01-02', null),
      ('muted', 2, 3, 'index.invalid', 'critical', 'a', 'muted', '{}', null, '2026-01-01', '2026-01-02', null),
      ('worst', 2, 1, 'integrity.x', 'critical', 'a', 'worst', '{}', 'select 1;', '2026-01-01', '2026-01-02', null),
      ('late', 2, 3, 'index.invalid', 'warning', 'a', 'mute over', '{}', null, '2026-01-01', '2026-01-02', null);
    insert into maint.finding_mute (finding_key, reason, until) values
      ('muted', 'known', 'infinity'), ('late', 'known', '2026-01-02');
    insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason, queued_at,
        finished_at) values
      ('a', 1, 1, 3, 'drop_index', 'succeeded', '{"schema": "s", "table": "t", "index": "i"}', 'r', '2026-01-01',
        '2026-01-03'),
      ('b', 2, 2, 3, 'drop_index', 'queued', '{"schema": "s", "table": "t", "index": "j"}', 'r', '2026-01-02', null),
      ('c', 2, 2, 3, 'drop_index', 'running', '{"schema": "s", "table": "t", "index": "k"}', 'r', '2026-01-02', null);
    insert into maint.alert (run_id, step_number, severity, message, created_at) values
      (1, 3, 'critical', 'old', '2026-01-01'), (2, 3, 'info', 'lesser', '2026-01-02'),
      (2, 1, 'critical', 'worst', '2026-01-02')`);
}

test('runs: the newest first, with what they came to', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await fill(database);
  const [newest, oldest, ...more] = await database.query(`select run_id::int, status, duration_ms::float8,
    steps_succeeded::int, steps_failed::int, steps_skipped::int, findings::int, actions_queued::int from maint.runs`);
  t.deepEqual(newest, {
    run_id: 2,
    status: 'partial',
    duration_ms: 2000,
    steps_succeeded: 1,
    steps_failed: 1,
    steps_skipped: 1,
    findings: 4,
    actions_queued: 2,
  });
  t.like(oldest, { run_id: 1, duration_ms: 1500, steps_failed: 0 });
  t.is(more.length, 0);
});

test('steps: by run and number, with the error', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await fill(database);
  t.deepEqual(
    await database.query(
      'select run_id::int, step, status, reason, duration_ms::float8, error, sqlstate, title from maint.steps',
    ),
    [
      [2, 1, 'failed', 'not_permitted', 1, 'permission denied', '42501', 'Check database integrity'],
      [2, 3, 'success', null, 2, null, null, 'Clean up invalid indexes'],
      [2, 99, 'skipped', 'disabled', 0, null, null, null],
      [1, 3, 'success', null, 12.3, null, null, 'Clean up invalid indexes'],
    ].map(([run_id, step, status, reason, duration_ms, error, sqlstate, title]) => ({
      run_id,
      step,
      status,
      reason,
      duration_ms,
      error,
      sqlstate,
      title,
    })),
  );
});

test('findings: the worst open one on top, muted ones below, then the resolved', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await fill(database);
  const rows = await database.query<{ summary: string }>('select summary from maint.findings');
  t.deepEqual(
    rows.map(({ summary }) => summary),
    ['worst', 'mute over', 'info', 'muted', 'gone'],
  );
  const columns = await database.query<{ name: string }>(`select attname as name from pg_attribute
    where attrelid = 'maint.findings'::regclass and attnum > 0 order by attnum`);
  t.is(
    columns.map(({ name }) => name).join(', '),
    'finding_id, run_id, step, kind, severity, schema_name, table_name, object_name, summary, detail, remedy, ' +
      'first_seen, last_seen, resolved_at, muted_until',
  );
  const muted = await database.query(`select summary from maint.findings where muted_until = 'infinity'`);
  t.deepEqual(muted, [{ summary: 'muted' }]);
});

test('actions: what is under way first; alerts: the newest run first', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await fill(database);
  t.deepEqual(await database.query('select status, object_name from maint.actions'), [
    { status: 'running', object_name: 'k' },
    { status: 'queued', object_name: 'j' },
    { status: 'succeeded', object_name: 'i' },
  ]);
  const alerts = await database.query<{ message: string }>('select message from maint.alerts');
  t.deepEqual(
    alerts.map(({ message }) => message),
    ['worst', 'lesser', 'old'],
  );
});

test('status counts what is open and says what comes next', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const status = async (): Promise<unknown> =>
    (await database.query<{ status: unknown }>('select maint.status() as status'))[0]?.status;
  t.like(await status(), {
    last_run: null,
    running: null,
    bypasses: [],
    queued_actions: 0,
    worker: null,
    schema_version: Math.max(...readManifest().migrations.map(({ number }) => number)),
  });
  await fill(database);
  t.like(await status(), {
    last_run: { run_id: 2, status: 'partial', started_at: '2026-01-02T00:00:00+00:00', duration_ms: 2000 },
    open_findings: { critical: 1, warning: 1, info: 1, muted: 1 },
    queued_actions: 1,
    enabled: true,
  });
  await database.query('update maint.run_log set started_at = clock_timestamp() where run_id = 2');
  const [due] = await database.query(`select (maint.status() ->> 'next_due_at')::timestamptz
    = started_at + interval '1 hour' as as_configured from maint.run_log where run_id = 2`);
  t.deepEqual(due, { as_configured: true });
  await database.query(`select maint.bypass('everything', 'moving', 'infinity')`);
  t.like(await status(), { next_due_at: null });
  await database.query(`select maint.unbypass('everything');
    select maint.configure('operational.maintenance_tasks.enabled', 'false')`);
  t.like(await status(), { next_due_at: null, enabled: false });

  const running = await database.client();
  await running.query("begin; select from maint.lock where name = 'run' for update");
  const { rows } = await running.query<{ pid: number }>('select pg_backend_pid() as pid');
  const now = (await status()) as { running: { pid: number; since: string } };
  t.deepEqual(rows, [{ pid: now.running.pid }]);
  t.truthy(now.running.since);
  await running.query('commit');
  t.like(await status(), { running: null });
});

test('every table, view, column, function and argument list is documented', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.deepEqual(
    await database.query(`
      select c.relname::text as undocumented from pg_class as c
      where c.relnamespace = 'maint'::regnamespace and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null
      union all
      select format('%s.%s', c.relname, a.attname) from pg_class as c join pg_attribute as a on a.attrelid = c.oid
      where c.relnamespace = 'maint'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0
        and not a.attisdropped and col_description(c.oid, a.attnum) is null
      union all
      select p.oid::regprocedure::text from pg_proc as p
      where p.pronamespace = 'maint'::regnamespace and obj_description(p.oid, 'pg_proc') is null`),
    [],
  );
});

test('a file defines the object it is named after; the API runs with the rights of the owner, or says it does not', (t) => {
  for (const folder of ['api', 'internal', 'views']) {
    for (const file of readdirSync(join(repository, 'sql', folder))) {
      const sql = readFileSync(join(repository, 'sql', folder, file), 'utf8');
      const defined = [...sql.matchAll(/^create or replace (?:function|procedure|view) maint\.(\w+)/gm)];
      t.deepEqual(
        defined.map(([, name]) => `${String(name)}.sql`),
        [file],
      );
      const internal = /^comment on (?:function|procedure) [^']*'Internal: /m.test(sql);
      t.is(internal, folder === 'internal', `${folder}/${file}: its comment says Internal: or not`);
      const others = /^create or replace procedure|^-- With the rights and the search_path of the caller/m;
      if (folder === 'api' && !others.test(sql)) t.regex(sql, /^security definer$/m, file);
    }
  }
});
