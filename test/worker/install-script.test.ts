import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { installScripts } from '../../src/worker/install-script.ts';
import { install } from '../../src/worker/install.ts';
import { readManifest } from '../../src/worker/manifest.ts';
import { createDatabase } from '../support/database.ts';
import { provideRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/database.ts';

const manifest = readManifest();
const scripts = installScripts(manifest);

type Failed = Error & { stderr?: string };

const execute = promisify(execFile);

/** Runs a script as someone with psql would. */
async function psql(t: ExecutionContext, database: TestDatabase, script: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pg-maint-script-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'install.sql');
  writeFileSync(file, script);
  const { stderr } = await execute('psql', ['-X', '-q', '-o', '/dev/null', '-d', database.url, '-f', file]);
  t.is(stderr, '');
}

function plain(): string {
  return scripts[`pg-maint--${manifest.version}.sql`] ?? '';
}

async function contents(database: TestDatabase): Promise<unknown[]> {
  return await database.query(`
    select * from (
      select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as definition, p.proacl::text as acl,
        obj_description(p.oid, 'pg_proc') as comment
      from pg_proc as p where p.pronamespace = 'maint'::regnamespace
      union all
      select c.relname, case when c.relkind = 'v' then pg_get_viewdef(c.oid) else c.relkind::text end, c.relacl::text,
        obj_description(c.oid, 'pg_class')
      from pg_class as c where c.relnamespace = 'maint'::regnamespace
      union all
      select 'definition', to_jsonb(d)::text, null, null from maint.setting_definition as d
      union all
      select 'step', to_jsonb(d)::text, null, null from maint.step_definition as d
      union all
      select 'installation', (to_jsonb(i) - array['installed_at', 'made_queues'])::text, null, null from maint.installation as i
      union all
      select 'migration', (to_jsonb(m) - 'applied_at')::text, null, null from maint.migration as m
    ) as object order by name, definition`);
}

test('the script for psql installs what pg-maint install does, again and again', async (t) => {
  const byProgram = await createDatabase(t);
  // Another test may make the roles meanwhile, and what is granted would differ.
  await provideRoles(byProgram);
  await install(byProgram.url);
  const byScript = await createDatabase(t);
  await psql(t, byScript, plain());
  const expected = await contents(byProgram);
  t.deepEqual(await contents(byScript), expected);
  await byScript.query(`select maint.configure('operational.maintenance_tasks.interval', '61');
    create function maint.stranger() returns int language sql as 'select 1'`);
  await psql(t, byScript, plain());
  t.deepEqual(await contents(byScript), expected);
  t.deepEqual(await byScript.query('select value from maint.setting'), [{ value: 61 }]);
  t.like(await install(byScript.url), { outcome: 'already_installed' });
});

test('the script for psql leaves a foreign schema and a newer installation alone', async (t) => {
  const database = await createDatabase(t);
  await database.query('create schema maint; create table maint.mine ()');
  const error = await t.throwsAsync<Failed>(psql(t, database, plain()));
  t.regex(error.stderr ?? '', /not of pg-maint/);
  t.deepEqual(await database.query('select * from maint.mine'), []);
  const newer = await createDatabase(t, { template: 'installed' });
  await newer.query(`insert into maint.migration (version, name) values (9999, 'later')`);
  const refused = await t.throwsAsync<Failed>(psql(t, newer, plain()));
  t.regex(refused.stderr ?? '', /newer pg-maint/);
});

test('the extension is described by its control file and protected from psql', (t) => {
  t.deepEqual(Object.keys(scripts).sort(), [
    `maint--${manifest.version}.sql`,
    'maint.control',
    `pg-maint--${manifest.version}.sql`,
  ]);
  t.regex(scripts['maint.control'] ?? '', new RegExp(`default_version = '${manifest.version}'`));
  t.notRegex(scripts['maint.control'] ?? '', /requires/, 'the engine is whichever language exists');
  t.regex(scripts[`maint--${manifest.version}.sql`] ?? '', /^\\echo Use "CREATE EXTENSION maint"/m);
});

test('the scripts follow from the manifest alone', (t) => {
  t.deepEqual(installScripts(readManifest()), scripts);
});
