/** One role's statements: what they do to the search path, the session, the time and the worker, and that no other role's wait for it. */
import test from 'ava';
import { connect } from '../../src/worker/connection.ts';
import { plannedRole } from '../../src/worker/planning/planned-role.ts';
import { PlanningSession } from '../../src/worker/planning/planning-session.ts';
import { SharedSession } from '../../src/worker/shared-session.ts';
import { answers, remember, scene } from '../support/planning.ts';

const honest = 'select * from public.ours where a = $1';

test('names of types, functions and operators in a role’s search_path stop nobody’s training (A7)', async (t) => {
  const { database, evil, app, as } = await scene(t);
  await as(
    evil,
    ['text', 'int4', 'json', 'refcursor', 'bool', 'name', 'oid']
      .map(
        (name) => `create domain evil.${name} as pg_catalog.${name} check (pg_catalog.pg_sleep(0) is null)`,
      )
      .join(';') +
      `; create function evil.concat(variadic "any") returns pg_catalog.text language internal as 'text_concat';
      create function evil.more(pg_catalog.int4, pg_catalog.int4) returns pg_catalog.bool language sql as 'select false';
      create operator evil.> (leftarg = pg_catalog.int4, rightarg = pg_catalog.int4, function = evil.more);
      create operator evil.>= (leftarg = pg_catalog.int4, rightarg = pg_catalog.int4, function = evil.more)`.replace(
        /create function evil.concat[^;]*;/,
        '',
      ),
  );
  await database.query(`alter role ${evil} in database ${database.name} set search_path = evil, pg_catalog`);
  await remember(database, evil, 'select count(*) from t where a = $1');
  await remember(database, app, honest);
  const said = await answers(database);
  t.is(said.get(`${evil}: select count(*) from t where a = $1`)?.reason, null);
  t.is(said.get(`${app}: ${honest}`)?.problem, null);
});

test('a function that catches cancels is ended, set aside for a day, and keeps nobody from being planned (A8)', async (t) => {
  const { database, evil, app, as } = await scene(t);
  await as(
    evil,
    `create function evil.hang() returns boolean language plpgsql immutable as $f$ begin
       perform set_config('application_name', 'psql', false), set_config('client_connection_check_interval', '0', false);
       loop begin perform pg_sleep(3600); exception when query_canceled or others then null; end; end loop; end $f$`,
  );
  const hangs = 'select count(*) from evil.t where evil.hang() and a = $1';
  await remember(database, evil, hangs, { calls: 99 });
  await remember(database, evil, 'select a from evil.t where a = $1');
  await remember(database, app, honest);
  const said = await answers(database);
  t.is(said.get(`${evil}: ${hangs}`)?.sqlstate, 'PM003');
  t.is(said.get(`${evil}: select a from evil.t where a = $1`)?.problem, null);
  t.is(said.get(`${app}: ${honest}`)?.problem, null);
  const left = `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
  t.deepEqual(await database.query(left), []);
  t.regex((await answers(database)).get(`${evil}: ${hangs}`)?.reason ?? '', /^set aside: /);
});

test('errors with any SQLSTATE are that statement’s own, and the next one is planned', async (t) => {
  const { database, evil, as } = await scene(t);
  const states = [
    'PM000',
    'PM001',
    'PM002',
    'PM003',
    'JS000',
    '57P01',
    '57P02',
    '57014',
    '08006',
    '25P04',
    '40001',
    '42P05',
    'P0004',
    '42601',
  ];
  await as(
    evil,
    states
      .map(
        (
          state,
        ) => `create function evil.raise_${state.toLowerCase()}() returns int language plpgsql immutable as $f$ begin
          raise exception 'FATAL: terminating connection %', repeat('x', 2000000) using errcode = '${state}'; end $f$`,
      )
      .join(';'),
  );
  const textOf = (state: string): string => `select evil.raise_${state.toLowerCase()}()`;
  for (const state of states) await remember(database, evil, textOf(state));
  await remember(database, evil, 'select a from evil.t where a = $1', { calls: 1 });
  const said = await answers(database);
  for (const state of states) {
    const answer = said.get(`${evil}: ${textOf(state)}`);
    t.is(answer?.problem, 'not_planned', state);
    t.true((answer?.reason ?? '').startsWith('FATAL: terminating connection'), `${state}: ${answer?.reason}`);
    t.true((answer?.reason ?? '').length <= 500);
  }
  t.is(said.get(`${evil}: select a from evil.t where a = $1`)?.problem, null);
  t.deepEqual(await database.query('select * from maint.plan_set_aside'), []);
});

test('messages without end cost the role its session, not the worker its memory; a plan of any size neither', async (t) => {
  const { database, evil, app, as } = await scene(t);
  await as(
    evil,
    `create function evil.loud() returns int language plpgsql immutable as $f$ begin
       perform set_config('client_min_messages', 'debug1', false), set_config('client_connection_check_interval', '0', false);
       for i in 1..200 loop raise notice '%', repeat('x', 1000000); end loop;
       loop begin perform pg_sleep(3600); exception when query_canceled then null; end; end loop; end $f$;
     create function evil.large() returns text language sql immutable as $f$ select repeat('x', 5000000) $f$`,
  );
  await remember(database, evil, 'select evil.loud()');
  await remember(database, evil, 'select evil.large()', { calls: 5 });
  await remember(database, app, honest);
  const said = await answers(database);
  t.regex(said.get(`${evil}: select evil.loud()`)?.reason ?? '', /without end/);
  t.regex(said.get(`${evil}: select evil.large()`)?.reason ?? '', /bytes/);
  t.is(said.get(`${app}: ${honest}`)?.problem, null);
  t.deepEqual(
    await database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    ),
    [],
  );
});

test('what planning leaves in its session is gone with it: locks, settings, prepared statements', async (t) => {
  const { database, evil, app, as } = await scene(t);
  await as(
    evil,
    `create function evil.leaves() returns int language plpgsql immutable as $f$ begin
       perform pg_advisory_lock(n) from generate_series(1, 50) as n;
       perform pg_advisory_lock(1835100526, 1);
       execute 'prepare "pg-maint plans this" as select 7'; execute 'prepare "pg-maint names" as select 7';
       perform set_config('search_path', 'evil', false), set_config('statement_timeout', '1', false);
       return 1; end $f$`,
  );
  await remember(database, evil, 'select evil.leaves()', { calls: 99 });
  await remember(database, evil, 'select a from evil.t where a = $1');
  await remember(database, app, honest);
  const said = await answers(database);
  t.is(said.get(`${evil}: select a from evil.t where a = $1`)?.reason, null);
  t.is(said.get(`${app}: ${honest}`)?.problem, null);
  t.deepEqual(
    await database.query(
      `select from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())`,
    ),
    [],
  );
});

test('a worker without superuser plans as the roles it may act for, and names the grant for others', async (t) => {
  const { database, evil, app } = await scene(t);
  const login = `worker_${database.name}`;
  await database.query(`create role ${login} login; grant ${app} to ${login}; revoke temporary on database ${database.name} from public;
    grant temporary on database ${database.name} to ${login}`);
  t.teardown(async () => {
    const administrator = await database.client();
    await administrator.query(`drop owned by ${login}; drop role ${login}`);
  });
  const url = new URL(database.url);
  url.username = login;
  const client = await connect(url.href);
  t.teardown(() => client.end());
  const roleOf = async (name: string) => {
    const [row] = await database.query<{ oid: number }>(`select $1::regrole::oid::int8::float8 as oid`, [
      name,
    ]);
    const role = await plannedRole(client, row?.oid ?? 0);
    if (role === null) throw new Error(`no role ${name}`);
    return role;
  };
  t.is((await roleOf(evil)).missing_grant, `grant ${evil} to ${login};`);
  t.is((await roleOf('postgres')).missing_grant, `grant postgres to ${login};`);
  t.is((await roleOf(app)).missing_grant, `grant temporary on database ${database.name} to ${app};`);
  await database.query(`grant temporary on database ${database.name} to ${app}`);
  const role = await roleOf(app);
  t.is(role.missing_grant, null);
  const session = await PlanningSession.open(role, {
    url: url.href,
    onlooker: new SharedSession(client),
    signal: new AbortController().signal,
  });
  const answer = await session.ask(honest, 1, '');
  await session.close();
  t.regex(answer.plan ?? answer.message ?? '', /"Relation Name": "ours"/);
});
