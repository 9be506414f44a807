/** On a table the worker acts as the table's owner, and with no more rights than that. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { connectAsOwner } from '../../src/worker/session.ts';
import { asOwnerOf } from '../../src/worker/act-as.ts';
import { createDatabase, urlOf } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

const { escapeIdentifier: quote } = pg;

/** A role of this test's own, dropped with all that it owns when the test ends. */
async function provideRole(t: ExecutionContext, database: TestDatabase, attributes = ''): Promise<string> {
  const role = `acts_${randomBytes(6).toString('hex')}`;
  await database.query(`create role ${role} ${attributes}`);
  t.teardown(async () => {
    await database.query(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`);
  });
  return role;
}

/** A table of the role, with an index whose function writes down as whom it ran, and whether it could be more. */
async function makeSpy(database: TestDatabase, owner: string, schema: string): Promise<void> {
  await database.query(`
    create schema ${schema} authorization ${owner};
    set role ${owner};
    create sequence ${schema}.calls;
    create table ${schema}.seen (by_role text, escaped text);
    create function ${schema}.note(int) returns int language plpgsql volatile as $f$
    declare
      escaped text := 'no';
    begin
      begin
        execute 'reset role';
        escaped := 'by reset role to ' || current_user;
      exception when others then null;
      end;
      begin
        execute 'set session authorization default';
        escaped := 'by session authorization to ' || current_user;
      exception when others then null;
      end;
      insert into ${schema}.seen values (current_user, escaped);
      return $1;
    end $f$;
    create function ${schema}.spy(int) returns int language plpgsql immutable as $f$
    begin return ${schema}.note($1); end $f$;
    create table ${schema}.t (a int, b int);
    insert into ${schema}.t select n, n from generate_series(1, 50) as n;
    create index t_spy on ${schema}.t (${schema}.spy(a));
    delete from ${schema}.seen;
    reset role`);
}

const kinds = ['analyze_table', 'reindex_index', 'create_index', 'drop_index'] as const;

/** Queues one action of each kind on the spy's table. */
async function queueAll(database: TestDatabase, schema: string): Promise<number[]> {
  const table = { schema, table: 't', oid: await oidOf(database, schema, 't') };
  const spy = { schema, table: 't', index: 't_spy', oid: await oidOf(database, schema, 't_spy') };
  await database.query(`create index t_b on ${schema}.t (b)`);
  const other = { ...spy, index: 't_b', oid: await oidOf(database, schema, 't_b') };
  return [
    await queueAction(database, 'analyze_table', table),
    await queueAction(database, 'reindex_index', spy),
    await queueAction(database, 'create_index', {
      ...table,
      index: 't_new',
      statement: `create index concurrently t_new on ${schema}.t (${schema}.spy(b))`,
    }),
    await queueAction(database, 'drop_index', other),
  ];
}

test('a function in an index runs as the owner of the table, and nothing leads back to the role of the worker', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const owner = await provideRole(t, database);
  const schema = `spy_${owner}`;
  await makeSpy(database, owner, schema);
  const ids = await queueAll(database, schema);
  startWorker(t, database);
  for (const [place, id] of ids.entries()) {
    const { status, outcome } = await ended(database, id);
    t.is(status, 'succeeded', `${kinds[place]!}: ${outcome ?? ''}`);
  }
  const seen = await database.query<{ by_role: string; escaped: string }>(
    `select distinct by_role, escaped from ${schema}.seen order by 1, 2`,
  );
  t.deepEqual(seen, [{ by_role: owner, escaped: 'no' }]);
});

/** pg-maint of a role without superuser, and a worker that connects as that role. */
async function ownInstallation(
  t: ExecutionContext,
): Promise<{ database: TestDatabase; as: TestDatabase; role: string }> {
  const database = await createDatabase(t);
  const role = await provideRole(t, database, 'login');
  await database.query(`grant create on database ${quote(database.name)} to ${role}`);
  const url = new URL(urlOf(database.name));
  url.username = role;
  const { install } = await import('../../src/worker/install.ts');
  await install(url.href);
  return { database, as: { ...database, url: url.href }, role };
}

test('what the worker may not do is skipped, with the grant that would allow it; with it, it is done', async (t) => {
  const { database, as, role } = await ownInstallation(t);
  const owner = await provideRole(t, database);
  const schema = `spy_${owner}`;
  await makeSpy(database, owner, schema);
  const ids = await queueAll(database, schema);
  startWorker(t, as);
  for (const id of ids) {
    const { status, outcome } = await ended(database, id);
    t.is(status, 'skipped');
    t.regex(
      outcome!,
      new RegExp(`belongs to ${owner}, and ${role} may not act as that role: grant ${owner} to ${role}`),
    );
  }
  t.deepEqual(await database.query(`select from ${schema}.seen`), []);

  await database.query(`grant ${owner} to ${role}`);
  const table = { schema, table: 't', oid: await oidOf(database, schema, 't') };
  const again = await queueAction(database, 'analyze_table', table);
  t.is((await ended(database, again)).status, 'succeeded');
  t.deepEqual(await database.query(`select distinct by_role, escaped from ${schema}.seen`), [
    { by_role: owner, escaped: 'no' },
  ]);
});

test('nobody is told to grant a superuser', async (t) => {
  const { database, as } = await ownInstallation(t);
  await database.query('create table public.theirs (a int)');
  const oid = await oidOf(database, 'public', 'theirs');
  const id = await queueAction(database, 'analyze_table', { schema: 'public', table: 'theirs', oid });
  startWorker(t, as);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.notRegex(outcome!, /grant (postgres|.* to postgres)/);
  t.regex(outcome!, /an owner that is no superuser/);
});

test('an index is not built where the owner of the table may not create one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const owner = await provideRole(t, database);
  await database.query(
    `create schema closed; create table closed.t (a int); alter table closed.t owner to ${owner}`,
  );
  const oid = await oidOf(database, 'closed', 't');
  const id = await queueAction(database, 'create_index', {
    schema: 'closed',
    table: 't',
    index: 't_a',
    oid,
    statement: 'create index concurrently t_a on closed.t (a)',
  });
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.regex(outcome!, new RegExp(`grant create on schema closed to ${owner}`));
});

test('the function of another role is not run with the rights of a superuser who owns the table', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await provideRole(t, database);
  await database.query(`
    create schema s; create table s.ran (by_role text); grant insert on s.ran to public; grant usage on schema s to public;
    create function s.note(int) returns int language plpgsql volatile as $f$
      begin insert into s.ran values (current_user); return $1; end $f$;
    create function s.spy(int) returns int language plpgsql immutable as $f$ begin return s.note($1); end $f$;
    create table s.t (a int); insert into s.t values (1); create index t_spy on s.t (s.spy(a));
    delete from s.ran; alter function s.spy(int) owner to ${other}`);
  const oid = await oidOf(database, 's', 't');
  const id = await queueAction(database, 'analyze_table', { schema: 's', table: 't', oid });
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.regex(outcome!, new RegExp(`spy\\(integer\\) of ${other}.* would run with the rights of superuser`));
  t.deepEqual(await database.query('select * from s.ran'), []);
});

test('the check of a domain in an index expression is not run with the rights of a superuser who owns the table', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await provideRole(t, database);
  await database.query(`
    create schema s; create table s.ran (by_role text); grant insert on s.ran to public; grant usage on schema s to public;
    create function s.note(int) returns boolean language plpgsql volatile as $f$
      begin insert into s.ran values (current_user); return true; end $f$;
    create function s.spy(int) returns boolean language plpgsql immutable as $f$ begin return s.note($1); end $f$;
    create domain s.small as int check (s.spy(value)); create domain s.smaller as s.small;
    create table s.t (a int); insert into s.t values (1); create index t_spy on s.t ((a::s.smaller))`);
  t.true((await database.query('select * from s.ran')).length > 0, 'the check runs when an entry is made');
  await database.query(`delete from s.ran; alter function s.spy(int) owner to ${other}`);
  const target = { schema: 's', table: 't', index: 't_spy', oid: await oidOf(database, 's', 't_spy') };
  const id = await queueAction(database, 'reindex_index', target);
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.regex(outcome!, new RegExp(`spy\\(integer\\) of ${other}.* would run with the rights of superuser`));
  t.deepEqual(await database.query('select * from s.ran'), []);
});

test('an event trigger with a function of another role keeps the worker from acting', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const other = await provideRole(t, database);
  const owner = await provideRole(t, database);
  await database.query(`
    create table public.t (a int); alter table public.t owner to ${owner}; create index t_a on public.t (a);
    create table public.loot (who text); grant insert on public.loot to public;
    create function public.escape() returns event_trigger language plpgsql as $f$
      begin execute 'reset role'; insert into public.loot values (current_user); end $f$;
    create event trigger escape on sql_drop execute function public.escape();
    alter function public.escape() owner to ${other}`);
  const oid = await oidOf(database, 'public', 't_a');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 't_a', oid });
  startWorker(t, database);
  const { status, outcome } = await ended(database, id);
  t.is(status, 'skipped');
  t.regex(outcome!, new RegExp(`event trigger escape would run a function of ${other}`));
  t.deepEqual(await database.query('select * from public.loot'), []);
  await database.query('drop event trigger escape');
  const again = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 't',
    index: 't_a',
    oid,
  });
  const done = await ended(database, again);
  t.is(done.status, 'succeeded', done.outcome!);
});

test('the role is what it was also after an error; a session where that fails is closed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const owner = await provideRole(t, database);
  await database.query(`create table public.t (a int); alter table public.t owner to ${owner}`);
  const oid = await oidOf(database, 'public', 't');
  const client = await connectAsOwner(database.url);
  t.teardown(() => client.end());
  const role = async (): Promise<string> =>
    (await client.query<{ role: string }>('select current_user::text as role')).rows[0]!.role;
  const before = await role();
  t.is(await asOwnerOf(client, oid, 'own', role), owner);
  t.is(await role(), before);
  await t.throwsAsync(
    asOwnerOf(client, oid, 'own', () => client.query('select 1 / 0')),
    {
      message: /division by zero/,
    },
  );
  t.is(await role(), before);
  // A transaction that failed within: nothing can be set any more.
  await t.throwsAsync(
    asOwnerOf(client, oid, 'own', async () => {
      await client.query('begin');
      await client.query('select 1 / 0');
    }),
    { message: /division by zero/ },
  );
  await t.throwsAsync(client.query('select 1'));
});

test('entries of an index are computed under the settings of the database, as its sessions compute them', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`alter database ${database.name} set timezone = 'Pacific/Auckland'`);
  await database.query(`alter database ${database.name} set extra_float_digits = -10`);
  await database.query(`alter database ${database.name} set datestyle = 'German, DMY'`);
  const app = await database.client();
  await app.query(`
    create function public.day(at timestamptz) returns text immutable language sql as 'select $1::date::text';
    create table public.t (at timestamptz, f float8);
    insert into public.t select '2026-02-01 00:00+00'::timestamptz + g * interval '1 hour', g / 7.0::float8 from generate_series(1, 100) as g;
    create index t_day on public.t (public.day(at)); create index t_f on public.t ((f::text));
    set enable_seqscan = off; set enable_bitmapscan = off`);
  const found = async (): Promise<unknown> =>
    (
      await app.query(
        `select (select count(*)::int from public.t where public.day(at) = '02.02.2026') as days,
           (select count(*)::int from public.t where f::text = (10 / 7.0::float8)::text) as floats`,
      )
    ).rows[0];
  const before = await found();
  t.deepEqual(before, { days: 24, floats: 1 });
  const client = await connectAsOwner(database.url);
  t.teardown(() => client.end());
  const table = await oidOf(database, 'public', 't');
  await asOwnerOf(client, table, 'maintain', () => client.query('reindex table public.t'));
  t.deepEqual(await found(), before);
  await asOwnerOf(client, table, 'create', () =>
    client.query('drop index public.t_day; create index t_day on public.t (public.day(at))'),
  );
  t.deepEqual(await found(), before);
  await t.throwsAsync(asOwnerOf(client, table, 'maintain', () => client.query('select 1/0')));
  const { rows } = await client.query<{ pinned: string }>(
    `select concat_ws(' ', current_setting('timezone'), current_setting('extra_float_digits'), current_setting('datestyle')) as pinned`,
  );
  t.is(rows[0]!.pinned, 'UTC 3 ISO, DMY');
});
