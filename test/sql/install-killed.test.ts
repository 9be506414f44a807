/** The session of an installation, an upgrade or a removal is ended at any moment: all of it is there, or none. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { install } from '../../src/worker/install.ts';
import { readManifest } from '../../src/worker/manifest.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

const manifest = readManifest();

/** All that an installation makes in the database, as one text. */
async function state(database: TestDatabase): Promise<string> {
  const [row] = await database.query<{ state: string }>(`
    select coalesce(string_agg(line, e'\\n' order by line), '') as state from (
      select n.nspname || ' of ' || n.nspowner::regrole as line from pg_namespace as n where n.nspname ~ '^maint'
      union all
      select n.nspname || '.' || c.relname || ' ' || c.relkind::text from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace where n.nspname ~ '^maint'
      union all
      select p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace where n.nspname ~ '^maint'
      union all
      select 'extension ' || extname from pg_extension) as s`);
  return row!.state;
}

/** Ends the backend that works there once it has come to the statement of that number. True if it had come so far. */
async function killedAfter(
  database: TestDatabase,
  statements: number,
  work: () => Promise<unknown>,
): Promise<boolean> {
  const { default: pg } = await import('pg');
  const query = pg.Client.prototype.query as (...given: unknown[]) => unknown;
  let count = 0;
  const at = { reached: false };
  const killer = await database.client();
  // In the client, so that the moment is the same each time: before it sends that statement its backend is gone.
  pg.Client.prototype.query = async function (this: unknown, ...given: unknown[]): Promise<unknown> {
    if (this !== killer && ++count === statements) {
      at.reached = true;
      await query.call(
        killer,
        `select pg_terminate_backend(a.pid, 5000) from pg_stat_activity as a
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.application_name <> 'test'`,
      );
    }
    return await query.apply(this, given);
  } as typeof pg.Client.prototype.query;
  try {
    await work();
    return false;
  } catch (error) {
    if (!at.reached) throw error;
    return true;
  } finally {
    pg.Client.prototype.query = query as typeof pg.Client.prototype.query;
    await killer.end();
  }
}

/** Kills it at each of some moments from its first statement to its last, and compares with the two states it may leave. */
async function atAnyMoment(
  t: ExecutionContext,
  database: TestDatabase,
  step: number,
  work: () => Promise<unknown>,
): Promise<void> {
  const before = await state(database);
  let kills = 0;
  for (let statements = 1; ; statements += step) {
    if (!(await killedAfter(database, statements, work))) break;
    kills += 1;
    t.is(await state(database), before, `killed before statement ${statements}`);
  }
  t.true(kills >= 5, `${kills} times`);
  t.not(await state(database), before, 'and undisturbed it does what it is for');
}

// One after the other: they count the statements of this process.
test.serial('installation', async (t) => {
  const database = await createDatabase(t);
  await atAnyMoment(t, database, 13, () => install(database.url, { createExtensions: true }));
});

test.serial('upgrade', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const later = {
    ...manifest,
    version: '9.9.9',
    bundleSha256: 'later',
    routines: manifest.routines.filter(({ file }) => !file.endsWith('/unbypass.sql')),
    migrations: [
      ...manifest.migrations,
      {
        number: Math.max(...manifest.migrations.map(({ number }) => number)) + 1,
        name: 'of_a_later_day',
        sql: 'create table maint.later ()',
      },
    ],
  };
  await atAnyMoment(t, database, 17, () => install(database.url, { manifest: later }));
});

test.serial('removal', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await atAnyMoment(t, database, 2, () => uninstall(database.url));
});

test.serial('a dry run changes nothing, and says what would be done', async (t) => {
  const database = await createDatabase(t);
  const before = await state(database);
  const report = await install(database.url, { dryRun: true, createExtensions: true });
  t.true(report.dryRun);
  for (const statement of [
    'create schema maint authorization',
    'create schema maint_boss',
    'create extension "amcheck"',
  ])
    t.true(
      report.statements.some((line) => line.startsWith(statement)),
      `${statement} in ${report.statements.join('\n')}`,
    );
  t.is(await state(database), before);
});

test.serial('an extension is created only where that was asked for', async (t) => {
  const database = await createDatabase(t);
  const extensions = async (): Promise<string[]> =>
    (await database.query<{ name: string }>('select extname as name from pg_extension order by name')).map(
      ({ name }) => name,
    );
  const before = await extensions();
  t.deepEqual((await install(database.url)).createdExtensions, []);
  t.deepEqual(await extensions(), before);
  const report = await install(database.url, { createExtensions: true });
  t.true(report.createdExtensions.includes('amcheck'));
  t.deepEqual((await extensions()).sort(), [...before, ...report.createdExtensions].sort());
  const amcheck = report.privileges.find(({ need }) => need === 'amcheck');
  t.like(amcheck, { have: true });
});
