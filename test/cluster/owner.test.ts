/** The role maint_owner belongs to the whole server: who made it, who can act as it, and what it is granted. */
import test from 'ava';
import { CouldNotRun } from '../../src/worker/errors.ts';
import { install } from '../../src/worker/install.ts';
import { openSession } from '../../src/worker/session.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { connectTo, ownCluster, urlOf } from './own-cluster.ts';

test('maint_owner is granted what the steps need, taken where it is safe, and refused where others can act as it', async (t) => {
  const cluster = await ownCluster(t);
  const url = urlOf(cluster.port());
  const client = await cluster.connect();
  const attributes = async (): Promise<unknown[]> =>
    (
      await client.query<Record<string, boolean>>(
        `select rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls
         from pg_roles where rolname = 'maint_owner'`,
      )
    ).rows;
  t.deepEqual(await attributes(), [
    {
      rolsuper: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolcanlogin: false,
      rolreplication: false,
      rolbypassrls: false,
    },
  ]);

  // What was taken away comes back, and is said.
  await client.query('revoke pg_monitor from maint_owner');
  t.true((await install(url)).statements.includes('grant pg_monitor to maint_owner;'));
  t.deepEqual(
    (await install(url)).statements.filter((line) => !line.startsWith('--')),
    [],
  );

  // Another role can act as it, directly or through a third: its functions are no longer ours alone.
  await client.query(
    'create role evil login; create role friends; grant maint_owner to friends; grant friends to evil',
  );
  for (const attempt of [() => install(url), async () => (await openSession(url)).client.end()]) {
    const error = await t.throwsAsync(attempt, { instanceOf: CouldNotRun });
    t.regex(error.message, /maint_owner.*evil, friends can act as/);
    t.regex(error.fix ?? '', /--trust-owner maint_owner/);
  }
  await client.query('revoke maint_owner from friends');
  await (await openSession(url)).client.end();

  // One that can log in is worth its password; it is refused by name.
  await client.query('alter role maint_owner login');
  t.regex((await t.throwsAsync(install(url), { instanceOf: CouldNotRun })).message, /can log in/);
  t.regex((await t.throwsAsync(openSession(url), { instanceOf: CouldNotRun })).message, /can log in/);
  await client.query('alter role maint_owner nologin');
  for (const attribute of ['superuser', 'createrole', 'createdb', 'replication', 'bypassrls']) {
    await client.query(`alter role maint_owner ${attribute}`);
    const error = await t.throwsAsync(install(url), { instanceOf: CouldNotRun });
    t.regex(error.message, new RegExp(`more rights than .*: ${attribute}`));
    await client.query(`alter role maint_owner no${attribute}`);
  }
  t.is((await install(url)).outcome, 'already_installed');
});

test('a role maint_owner that another role made beforehand gives that role nothing', async (t) => {
  const cluster = await ownCluster(t);
  const url = urlOf(cluster.port());
  await uninstall(url);
  const client = await cluster.connect();
  await client.query(`drop owned by maint_owner; drop role maint_owner; create role evil login createrole`);
  const evil = await connectTo(url.replace('postgres@', 'evil@'));
  t.teardown(() => evil.end());
  await evil.query('create role maint_owner');
  // A role with CREATEROLE is a member of what it makes from 16 on; before, it may make itself one.
  await evil.query('grant maint_owner to evil').catch(() => undefined);
  const error = await t.throwsAsync(install(url), { instanceOf: CouldNotRun });
  t.regex(error.message, /role maint_owner exists, and these can act as it: evil/);
  t.deepEqual((await client.query(`select from pg_namespace where nspname ~ '^maint'`)).rows, []);
  t.deepEqual(
    (await client.query(`select from pg_auth_members where member = 'maint_owner'::regrole`)).rows,
    [],
  );
});

test('what a superuser owned moves to maint_owner, all of it, and a worker goes on', async (t) => {
  const cluster = await ownCluster(t);
  const url = urlOf(cluster.port());
  t.is((await install(url, { owner: 'postgres' })).owner, 'postgres');
  t.is((await install(url)).owner, 'postgres', 'what is there keeps its owner');
  t.is((await install(url, { owner: 'maint_owner' })).owner, 'maint_owner');
  const client = await cluster.connect();
  const { rows } = await client.query(`
    select distinct owner from (
      select relowner::regrole::text from pg_class where relnamespace in ('maint'::regnamespace, 'maint_boss'::regnamespace)
      union all select proowner::regrole::text from pg_proc
      where pronamespace in ('maint'::regnamespace, 'maint_boss'::regnamespace)
      union all select typowner::regrole::text from pg_type
      where typnamespace in ('maint'::regnamespace, 'maint_boss'::regnamespace)
      union all select nspowner::regrole::text from pg_namespace where nspname in ('maint', 'maint_boss')) as o (owner)`);
  t.deepEqual(rows, [{ owner: 'maint_owner' }]);
  const run = await client.query(`select maint.run(true, '{bypass_status}') ->> 'status' as status`);
  t.deepEqual(run.rows, [{ status: 'success' }]);
});
