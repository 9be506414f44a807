import test from 'ava';
import { CouldNotRun } from '../../src/worker/errors.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

async function installed(database: TestDatabase): Promise<boolean> {
  const [row] = await database.query<{ there: boolean }>(
    `select to_regnamespace('maint') is not null as there`,
  );
  return row?.there ?? false;
}

test('drops the schema and leaves everything else', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.mine (a int primary key)');
  const languages = await database.query('select lanname from pg_language order by lanname');
  t.like(await uninstall(database.url), {
    outcome: 'uninstalled',
    database: database.name,
    droppedDependents: [],
  });
  t.false(await installed(database));
  t.deepEqual(await database.query('select lanname from pg_language order by lanname'), languages);
  t.deepEqual(await database.query('select * from public.mine'), []);
  t.like(await uninstall(database.url), { outcome: 'not_installed' });
});

test('names what depends on it and is not dropped before it is told to', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create schema "other; schema";
    create view "other; schema"."my ""view" as select summary from maint.findings;
    create table public.refers (run_id bigint references maint.run_log, due text default maint.status()::text);
    create function public.takes(maint.setting) returns int language sql as 'select 1';
    create index mine on maint.run_log (status);
    create view public.of_view as select * from "other; schema"."my ""view"`);
  const error = await t.throwsAsync(uninstall(database.url), { instanceOf: CouldNotRun });
  t.deepEqual(error.message.split('\n').slice(1), [
    '  constraint refers_run_id_fkey on table public.refers',
    '  default value for column due of table public.refers',
    '  function public.takes(maint.setting)',
    '  view "other; schema"."my ""view"',
  ]);
  t.true(await installed(database));
  const report = await uninstall(database.url, { force: true });
  t.is(report.droppedDependents.length, 4);
  t.false(await installed(database));
  t.deepEqual(await database.query('select run_id from public.refers'), []);
});

test("the queues go with it; an application's own pg-boss is not touched", async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create schema pgboss; create table pgboss.job (mine int)');
  await uninstall(database.url);
  t.deepEqual(
    await database.query(`select nspname from pg_namespace
      where nspname in ('maint', 'maint_boss', 'maint_privileged', 'pgboss') order by nspname`),
    [{ nspname: 'pgboss' }],
  );
  t.deepEqual(await database.query('select * from pgboss.job'), []);
});
