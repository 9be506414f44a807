import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { CouldNotRun } from '../../src/worker/errors.ts';
import { install } from '../../src/worker/install.ts';
import { readManifest } from '../../src/worker/manifest.ts';
import type { Manifest } from '../../src/worker/manifest.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { createDatabase } from '../support/database.ts';
import { provideRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/database.ts';

const manifest = readManifest();

/** What pg-maint of a later day could be: more migrations, more or other functions and views. */
function later(changes: Partial<Manifest>): Manifest {
  return { ...manifest, version: '9.9.9', bundleSha256: 'later', ...changes };
}

const nextMigration = Math.max(...manifest.migrations.map(({ number }) => number)) + 1;

function migration(sql: string): Manifest['migrations'][number] {
  return { number: nextMigration, name: 'of_a_later_day', sql };
}

async function refusal(t: ExecutionContext, work: Promise<unknown>): Promise<CouldNotRun> {
  return await t.throwsAsync(work, { instanceOf: CouldNotRun });
}

/** Every object of schema maint, with what makes it what it is. */
async function contents(database: TestDatabase): Promise<unknown[]> {
  return await database.query(`
    select * from (
      select 'routine' as kind, p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as definition,
        p.proacl::text as acl
      from pg_proc as p where p.pronamespace = to_regnamespace('maint')
      union all
      select 'relation', c.relname, case when c.relkind = 'v' then pg_get_viewdef(c.oid) else c.relkind::text end,
        c.relacl::text
      from pg_class as c where c.relnamespace = to_regnamespace('maint')
    ) as object order by kind, name`);
}

async function schemaExists(database: TestDatabase): Promise<boolean> {
  const [row] = await database.query<{ exists: boolean }>(
    `select to_regnamespace('maint') is not null as exists`,
  );
  return row?.exists ?? false;
}

/** A role of the test's own, which owns nothing when the test ends. */
async function createRole(t: ExecutionContext, database: TestDatabase, options = ''): Promise<string> {
  const name = `test_role_${database.name.slice(-12)}_${Math.floor(Math.random() * 1e6)}`;
  await database.query(`create role ${name} ${options}`);
  t.teardown(async () => {
    await database.query(`drop owned by ${name} cascade; drop role ${name}`);
  });
  return name;
}

/** The URL of the database for a role that may log in without a password. */
function urlAs(database: TestDatabase, role: string): string {
  const url = new URL(database.url);
  url.username = role;
  return url.href;
}

test('installs into an empty database, and a second time changes nothing', async (t) => {
  const database = await createDatabase(t);
  // Another test may make the roles between the two, and what is granted would differ.
  await provideRoles(database);
  const first = await install(database.url);
  t.like(first, {
    outcome: 'installed',
    database: database.name,
    owner: 'maint_owner',
    previousVersion: null,
  });
  t.is(first.version, manifest.version);
  t.deepEqual(
    first.migrations,
    manifest.migrations.map(({ number, name }) => `${String(number).padStart(4, '0')}_${name}`),
  );
  const before = await contents(database);
  t.like(await install(database.url), { outcome: 'already_installed', migrations: [] });
  t.deepEqual(await contents(database), before);
  const [row] = await database.query('select version, engine, bundle_sha256 from maint.installation');
  t.deepEqual(row, { version: manifest.version, engine: first.engine, bundle_sha256: manifest.bundleSha256 });
});

test('twenty installers at once leave one installation', async (t) => {
  const database = await createDatabase(t);
  const reports = await Promise.all(Array.from({ length: 20 }, () => install(database.url)));
  const outcomes = reports.map(({ outcome }) => outcome).sort();
  t.deepEqual(outcomes, [...Array<string>(19).fill('already_installed'), 'installed']);
  const alone = await createDatabase(t);
  await install(alone.url);
  t.deepEqual(await contents(database), await contents(alone));
});

test('puts right what was dropped or changed by hand', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  // Another test may make the roles meanwhile, and what is granted would differ.
  await provideRoles(database);
  await install(database.url);
  const before = await contents(database);
  await database.query(`
    drop view maint.runs cascade;
    drop function maint.reset(text, text);
    create or replace function maint.status() returns jsonb language sql as 'select ''{}''::jsonb';
    create function maint.stranger() returns int language sql as 'select 1';
    create view maint.stranger as select 1 as one;
    grant execute on function maint.status() to public;
    delete from maint.setting_definition`);
  await install(database.url);
  t.deepEqual(await contents(database), before);
  t.true((await database.query('select from maint.setting_definition')).length > 0);
});

test('upgrades an older schema and keeps what is in it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.maintenance_tasks.interval', '7200')`);
  const routines = manifest.routines.filter(({ file }) => !file.endsWith('/unbypass.sql'));
  routines.push({
    file: 'api/later.sql',
    sql: `create function maint.later() returns int language sql as 'select remark from maint.setting limit 1'`,
  });
  const views = manifest.views.filter(({ file }) => !/\/alerts(_brief)?\.sql$/.test(file));
  const report = await install(database.url, {
    manifest: later({
      migrations: [
        ...manifest.migrations,
        migration('alter table maint.setting add column remark int default 7'),
      ],
      routines,
      views,
    }),
  });
  t.like(report, { outcome: 'upgraded', previousVersion: manifest.version, version: '9.9.9' });
  t.deepEqual(report.migrations, [`${String(nextMigration).padStart(4, '0')}_of_a_later_day`]);
  t.deepEqual(
    await database.query(`select maint.config('operational.maintenance_tasks.interval') as interval, maint.later() as later,
      to_regproc('maint.unbypass') is null as unbypass_gone, to_regclass('maint.alerts') is null as alerts_gone`),
    [{ interval: 7200, later: 7, unbypass_gone: true, alerts_gone: true }],
  );
  const older = await refusal(t, install(database.url));
  t.regex(older.message, /newer pg-maint.*of_a_later_day/);
  t.is((await database.query<{ later: number }>('select maint.later() as later'))[0]?.later, 7);
});

test('a function that returns or takes something else, and a view with other columns, replace the old ones', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await install(database.url, {
    manifest: later({
      routines: [
        ...manifest.routines.filter(({ file }) => !/\/(status|unbypass)\.sql$/.test(file)),
        {
          file: 'api/status.sql',
          sql: `create or replace function maint.status() returns int language sql as 'select 5'`,
        },
        {
          file: 'api/unbypass.sql',
          sql: `create or replace function maint.unbypass(what text, why text) returns int language sql as 'select 6'`,
        },
      ],
      views: [
        ...manifest.views.filter(({ file }) => !/\/(runs|runs_brief|overview|metrics)\.sql$/.test(file)),
        {
          file: 'views/runs.sql',
          sql: 'create or replace view maint.runs as select maint.status() as other_column',
        },
      ],
    }),
  });
  t.deepEqual(
    await database.query(`select maint.status(), maint.unbypass('a', 'b'), r.*,
      (select count(*)::int from pg_proc where proname = 'unbypass') as overloads from maint.runs as r`),
    [{ status: 5, unbypass: 6, other_column: 5, overloads: 1 }],
  );
  t.like(await install(database.url), { outcome: 'upgraded', previousVersion: '9.9.9' });
  t.is((await database.query('select maint.status()')).length, 1);
});

test('a view of the user on ours survives, or is named when it is in the way', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create view public.my_findings as select summary from maint.findings');
  await install(database.url);
  t.deepEqual(await database.query('select * from public.my_findings'), []);
  const before = await contents(database);
  const views = [
    { file: 'views/findings.sql', sql: 'create or replace view maint.findings as select 1 as one' },
  ];
  const error = await refusal(t, install(database.url, { manifest: later({ views }) }));
  t.regex(error.message, /my_findings/);
  t.deepEqual(await contents(database), before);
});

test('a failing installation leaves nothing, a failing upgrade the old version', async (t) => {
  const database = await createDatabase(t);
  const broken = later({ migrations: [...manifest.migrations, migration('select 1 / 0')] });
  await t.throwsAsync(install(database.url, { manifest: broken }), {
    instanceOf: pg.DatabaseError,
    code: '22012',
  });
  t.false(await schemaExists(database));
  await install(database.url);
  const before = await contents(database);
  await t.throwsAsync(install(database.url, { manifest: broken }), { code: '22012' });
  const lastView = later({
    views: [...manifest.views, { file: 'views/broken.sql', sql: 'create view maint.x as nonsense' }],
  });
  await t.throwsAsync(install(database.url, { manifest: lastView }), {
    code: '42601',
    message: /views\/broken\.sql/,
  });
  t.deepEqual(await contents(database), before);
  t.deepEqual(await database.query('select version from maint.installation'), [
    { version: manifest.version },
  ]);
});

test('an installation killed midway leaves nothing', async (t) => {
  const database = await createDatabase(t);
  const slow = later({ migrations: [...manifest.migrations, migration('select pg_sleep(600)')] });
  const installing = t.throwsAsync(install(database.url, { manifest: slow }));
  const killed = async (): Promise<boolean> => {
    const rows = await database.query<{ killed: boolean }>(
      `select pg_terminate_backend(pid) as killed from pg_stat_activity
       where datname = current_database() and wait_event = 'PgSleep' and pid <> pg_backend_pid()`,
    );
    return rows[0]?.killed ?? false;
  };
  while (!(await killed())) await sleep(20);
  await installing;
  t.false(await schemaExists(database));
  t.like(await install(database.url), { outcome: 'installed' });
});

test('a schema maint of someone else is left alone', async (t) => {
  const database = await createDatabase(t);
  await database.query('create schema maint; create table maint.migration (mine int)');
  const error = await refusal(t, install(database.url));
  t.regex(error.message, /not of pg-maint/);
  t.regex(error.fix ?? '', /alter schema maint rename/);
  await refusal(t, uninstall(database.url, { force: true }));
  t.deepEqual(await database.query('select * from maint.migration'), []);
  await database.query('drop schema maint cascade');
  t.like(await install(database.url), { outcome: 'installed' });
});

test('everything belongs to the owner of the schema, whoever installs', async (t) => {
  const database = await createDatabase(t);
  const owner = await createRole(t, database);
  await database.query(`create schema maint authorization ${owner}`);
  t.like(await install(database.url, { owner }), { owner });
  const owners = await database.query(`
    select distinct relowner::regrole::text as owner from pg_class where relnamespace = 'maint'::regnamespace
    union select distinct proowner::regrole::text from pg_proc where pronamespace = 'maint'::regnamespace`);
  t.deepEqual(owners, [{ owner }]);
});

test('says which right is missing and how to give it', async (t) => {
  const database = await createDatabase(t);
  const role = await createRole(t, database, 'login');
  const mayNot = await refusal(t, install(urlAs(database, role)));
  t.is(mayNot.fix, `grant create on database ${database.name} to ${role};`);
  await database.query(`grant create on database ${database.name} to ${role}; create table public.theirs ()`);
  const report = await install(urlAs(database, role), { engine: 'worker' });
  t.is(report.owner, role);
  const needs = new Map(report.privileges.map((each) => [each.need, each]));
  t.like(needs.get('pg_monitor'), { have: false, statement: `grant pg_monitor to ${role};` });
  t.like(needs.get('ownership of the tables'), { have: false });
  t.like(needs.get('amcheck'), { have: false, steps: [1] });
  t.regex(needs.get('amcheck')?.statement ?? '', /^create extension amcheck; grant execute on function/);

  const statements = [...needs.values()].map(({ statement }) => statement ?? '').join('\n');
  await database.query(`${statements}\nalter table public.theirs owner to ${role}`);
  const again = await install(urlAs(database, role), { engine: 'worker' });
  t.deepEqual(
    again.privileges.filter(
      ({ have, need }) => !have && need !== 'pageinspect' && need !== 'ownership of the tables',
    ),
    [],
  );
  const other = await createRole(t, database, 'login');
  t.regex((await refusal(t, install(urlAs(database, other)))).message, /can't act for/);
});

test('an engine that can not be had is refused by name, and is otherwise passed over', async (t) => {
  const database = await createDatabase(t);
  const [{ available } = {}] = await database.query<{ available: boolean }>(
    `select exists (select from pg_available_extensions where name = 'plv8') as available`,
  );
  if (available === true) return void t.pass('this server has plv8');
  const error = await refusal(t, install(database.url, { engine: 'plv8' }));
  t.regex(error.message, /plv8/);
  t.regex(error.fix ?? '', /create extension plv8/);
  t.false(await schemaExists(database));
  const report = await install(database.url);
  t.not(report.engine, 'plv8');
  t.regex(report.engineNotes[0] ?? '', /plv8 is not used/);
  t.like(await install(database.url, { engine: 'worker' }), { engine: 'worker' });
  const [row] = await database.query(`select to_regprocedure('maint.dispatch(jsonb)') is null as gone`);
  t.deepEqual(row, { gone: true });
});

test('installs where transactions are read-only or time out by default, and where names resolve elsewhere', async (t) => {
  const database = await createDatabase(t);
  await provideRoles(database);
  await database.query(`
    alter database ${database.name} set default_transaction_read_only = on;
    alter database ${database.name} set default_transaction_isolation = 'serializable';
    alter database ${database.name} set statement_timeout = '5s';
    alter database ${database.name} set search_path = 'traps';
    alter database ${database.name} set standard_conforming_strings = off;
    alter database ${database.name} set quote_all_identifiers = on;
    alter database ${database.name} set check_function_bodies = on;
    alter database ${database.name} set plpgsql.extra_errors = 'all';
    alter database ${database.name} set transform_null_equals = on;
    alter database ${database.name} set default_table_access_method = 'none';
    alter database ${database.name} set role = 'test_plain';
    create schema traps;
    create table traps.migration (mine int);
    create function traps.now() returns int language sql as 'select 1';`);
  t.like(await install(database.url), { outcome: 'installed' });
  t.like(await uninstall(database.url), { outcome: 'uninstalled' });
});

test('a run under way is waited for, not changed under its feet', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const running = await database.client();
  await running.query("begin; select from maint.lock where name = 'run' for update");
  let done = false;
  const installing = install(database.url).then(() => (done = true));
  await sleep(300);
  t.false(done);
  await running.query('commit');
  await installing;
  t.true(done);
});

test('wrong addresses and servers are explained', async (t) => {
  t.regex((await refusal(t, install('postgresql://127.0.0.1:1/none'))).message, /can't connect/);
  const database = await createDatabase(t);
  const url = new URL(database.url);
  url.pathname = '/there is none';
  const error = await refusal(t, install(url.href));
  t.regex(error.message, /does not exist/);
  t.regex(error.fix ?? '', /check user, password and database/);
});
