import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { provideRoles } from '../support/roles.ts';

async function installedWithRoles(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t);
  await provideRoles(database);
  const report = await install(database.url);
  t.deepEqual(report.roles, { maint_reader: true, maint_operator: true });
  return database;
}

async function clientAs(database: TestDatabase, role: string): Promise<pg.Client> {
  const client = await database.client();
  await client.query(`set role ${role}`);
  return client;
}

/** SQLSTATE of a statement, rolled back in any case; null where it succeeds. */
async function outcomeOf(client: pg.Client, statement: string): Promise<string | null> {
  await client.query('begin');
  try {
    await client.query(statement);
    return null;
  } catch (error) {
    return error instanceof pg.DatabaseError ? (error.code ?? '') : String(error);
  } finally {
    await client.query('rollback');
  }
}

interface Routine {
  identity: string;
  internal: boolean;
  reads: boolean;
}

async function routines(database: TestDatabase): Promise<Routine[]> {
  return await database.query<Routine & pg.QueryResultRow>(`
    select p.oid::regprocedure::text as identity,
      coalesce(obj_description(p.oid, 'pg_proc') like 'Internal:%', true) as internal, 
        p.provolatile <> 'v' or p.proname in ('query_risk', 'explain_generic') as reads
    from pg_proc as p where p.pronamespace = 'maint'::regnamespace order by identity`);
}

async function mayExecute(database: TestDatabase, role: string): Promise<string[]> {
  const rows = await database.query<{ identity: string }>(
    `select p.oid::regprocedure::text as identity from pg_proc as p
     where p.pronamespace = 'maint'::regnamespace and has_function_privilege($1, p.oid, 'execute') order by identity`,
    [role],
  );
  return rows.map(({ identity }) => identity);
}

test('a plain role can call and read nothing', async (t) => {
  const database = await installedWithRoles(t);
  t.deepEqual(await mayExecute(database, 'test_plain'), []);
  const plain = await clientAs(database, 'test_plain');
  for (const statement of ['select maint.status()', 'select maint.run()', 'select * from maint.findings']) {
    t.is(await outcomeOf(plain, statement), '42501', statement);
  }
  t.deepEqual(
    await database.query(`select relname from pg_class where relnamespace = 'maint'::regnamespace
      and relkind in ('r', 'v') and has_table_privilege('test_plain', oid, 'select, insert, update, delete, truncate')`),
    [],
  );
});

test('no role but the owner reaches the tables or the internal functions', async (t) => {
  const database = await installedWithRoles(t);
  // What a view calls needs the right of who selects from it; it tells no more than the view does.
  const calledByViews = [
    'maint.action_progress(bigint)',
    'maint.finding_action(bigint)',
    'maint.may_read_statement(text,name)',
    'maint.setting_problem(maint.setting_definition,jsonb)',
    'maint.shown_detail(jsonb,name)',
    'maint.shown_summary(text,text,jsonb,name)',
    'maint.wrap_text(text,integer)',
  ];
  const all = await routines(database);
  const internal = all.filter((routine) => routine.internal).map(({ identity }) => identity);
  for (const role of ['maint_reader', 'maint_operator']) {
    const allowed = await mayExecute(database, role);
    t.deepEqual(
      allowed.filter((identity) => internal.includes(identity)),
      calledByViews,
    );
    t.deepEqual(
      await database.query(
        `select relname from pg_class where relnamespace = 'maint'::regnamespace and (
           relkind = 'r' and has_table_privilege($1, oid, 'select, insert, update, delete, truncate')
           or relkind = 'S' and has_sequence_privilege($1, oid, 'usage, select, update')
           or relkind = 'v' and has_table_privilege($1, oid, 'insert, update, delete'))`,
        [role],
      ),
      [],
    );
  }
  const api = all.filter((routine) => !routine.internal);
  const expected = (only: (routine: Routine) => boolean): string[] =>
    [...api.filter(only).map(({ identity }) => identity), ...calledByViews].sort();
  t.deepEqual(
    (await mayExecute(database, 'maint_operator')).sort(),
    expected(() => true),
  );
  t.deepEqual(
    (await mayExecute(database, 'maint_reader')).sort(),
    expected(({ reads }) => reads),
  );
});

test('maint_reader sees everything and changes nothing', async (t) => {
  const database = await installedWithRoles(t);
  const reader = await clientAs(database, 'maint_reader');
  const views = await database.query<{ view: string }>(
    `select format('maint.%I', relname) as view from pg_class
     where relnamespace = 'maint'::regnamespace and relkind = 'v' order by relname`,
  );
  t.true(views.length >= 6);
  await database.query(`insert into maint.setting (path, value) values ('gone', '1');
    insert into maint.finding (finding_key, run_id, step_number, kind, severity, summary, detail, first_seen, last_seen)
    values ('k', 1, 3, 'index.invalid', 'warning', 's', '{}', now(), now());
    insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason, queued_at)
    values ('a', 1, 1, 3, 'drop_index', 'running', '{"schema": "s", "table": "t", "index": "i"}', 'r', now())`);
  for (const { view } of views) t.is(await outcomeOf(reader, `select * from ${view}`), null, view);
  for (const statement of ['select maint.status()', `select maint.config('')`]) {
    t.is(await outcomeOf(reader, statement), null, statement);
  }
  t.is(await outcomeOf(reader, 'select maint.result(1)'), '22023', 'it may ask, but there is no such run');
  for (const statement of [
    'select maint.run()',
    `select maint.configure('operational.maintenance_tasks.interval', '60')`,
    `select maint.reset('')`,
    `select maint.bypass('everything', 'x', 'infinity')`,
    `select maint.unbypass('everything')`,
    'update maint.setting set value = null',
    'create table maint.mine ()',
    'create function maint.mine() returns int language sql as $$select 1$$',
  ]) {
    t.is(await outcomeOf(reader, statement), '42501', statement);
  }
});

test('maint_operator runs, configures and bypasses, and nothing beyond', async (t) => {
  const database = await installedWithRoles(t);
  const operator = await clientAs(database, 'maint_operator');
  for (const statement of [
    'select maint.run(force => true)',
    `select maint.configure('operational.maintenance_tasks.interval', '60')`,
    `select maint.configure('features.invalid_index_cleanup.auto_cleanup', 'false', 'table:a.b')`,
    `select maint.reset('')`,
    `select maint.bypass('everything', 'x', 'infinity')`,
    `select maint.unbypass('everything')`,
    'select * from maint.config_effective',
    'select maint.status()',
  ]) {
    t.is(await outcomeOf(operator, statement), null, statement);
  }
  for (const statement of [
    'select maint.start_run(true, null, false)',
    `select maint.finish_run(1)`,
    'select maint.apply_grants()',
    'delete from maint.setting',
    'select * from maint.setting',
    'create table maint.mine ()',
  ]) {
    t.is(await outcomeOf(operator, statement), '42501', statement);
  }
});

test('functions with the rights of the owner resolve names in pg_catalog and maint only', async (t) => {
  const database = await installedWithRoles(t);
  const wrong = await database.query(`
    select p.oid::regprocedure::text as identity from pg_proc as p
    where p.pronamespace = 'maint'::regnamespace and p.prosecdef
      and not coalesce('search_path=pg_catalog, maint, pg_temp' = any (p.proconfig), false)`);
  t.deepEqual(wrong, []);
  const operator = await clientAs(database, 'maint_operator');
  await operator.query(`create temporary table setting (path text, scope text, value jsonb);
    create temporary table setting_definition (path text); set search_path = pg_temp, public`);
  const { rows } = await operator.query<{ interval: number }>(
    `select maint.config('operational.maintenance_tasks.interval') as interval`,
  );
  t.is(rows[0]?.interval, 3600);
});

test('who configured and who ran is the one who logged in', async (t) => {
  const database = await installedWithRoles(t);
  const operator = await clientAs(database, 'maint_operator');
  await operator.query(`select maint.configure('operational.maintenance_tasks.interval', '61')`);
  const [row] = await database.query(
    `select set_by = session_user as same from maint.config_effective where value = '61'`,
  );
  t.deepEqual(row, { same: true });
});
