/** The attacker owns the database: its settings, its schema public, and what a session meets before it is settled. */
import test from 'ava';
import type pg from 'pg';
import { command } from '../support/cli.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';
import { arena } from './arena.ts';

/** What the owner of a database may set for all sessions in it, the superuser's too. */
const settings = [
  'search_path = evil, pg_catalog, public',
  `standard_conforming_strings = off`,
  `datestyle = 'German'`,
  `intervalstyle = 'sql_standard'`,
  `extra_float_digits = 0`,
  `bytea_output = 'escape'`,
  `quote_all_identifiers = on`,
  `default_transaction_read_only = on`,
  `default_transaction_isolation = 'serializable'`,
  `statement_timeout = '20s'`,
  `lock_timeout = '1s'`,
  `idle_session_timeout = '5s'`,
  `idle_in_transaction_session_timeout = '5s'`,
  `row_security = off`,
  `array_nulls = off`,
  `transform_null_equals = on`,
  `check_function_bodies = on`,
  `enable_seqscan = off`,
  `client_min_messages = 'debug1'`,
  `client_encoding = 'LATIN1'`,
  `timezone = 'Asia/Kathmandu'`,
  `xmloption = 'document'`,
  `plpgsql.extra_errors = 'all'`,
  `default_table_access_method = 'heap'`,
  `default_toast_compression = 'pglz'`,
  `work_mem = '64kB'`,
  `application_name = 'pg-maint worker'`,
];

/** Better matches than the catalog's own, wherever the search path puts schema evil first. */
const shadows = `
  create function evil.set_config(text, text, boolean) returns text language plpgsql as $f$ begin perform evil.pay('set_config'); return pg_catalog.set_config($1, $2, $3); end $f$;
  create function evil.set_config(unknown_name name, text, boolean) returns text language plpgsql as $f$ begin perform evil.pay('set_config'); return $2; end $f$;
  create function evil.now() returns timestamptz language plpgsql as $f$ begin perform evil.pay('now'); return pg_catalog.now(); end $f$;
  create function evil.version() returns text language plpgsql as $f$ begin perform evil.pay('version'); return pg_catalog.version(); end $f$;
  create function evil.current_database() returns name language plpgsql as $f$ begin perform evil.pay('current_database'); return pg_catalog.current_database(); end $f$;
  create function evil.pg_backend_pid() returns int language plpgsql as $f$ begin perform evil.pay('pg_backend_pid'); return pg_catalog.pg_backend_pid(); end $f$;
  create function evil.pg_advisory_lock(int, int) returns void language plpgsql as $f$ begin perform evil.pay('pg_advisory_lock'); end $f$;
  create function evil.pg_is_in_recovery() returns boolean language plpgsql as $f$ begin perform evil.pay('pg_is_in_recovery'); return false; end $f$;
  create function evil.to_regclass(text) returns regclass language plpgsql as $f$ begin perform evil.pay('to_regclass'); return pg_catalog.to_regclass($1); end $f$;
  create function evil.eq_name(name, unknown_text text) returns boolean language plpgsql as $f$ begin perform evil.pay('name = text'); return $1 operator(pg_catalog.=) $2; end $f$;
  create operator evil.= (leftarg = name, rightarg = text, function = evil.eq_name);
  create function evil.eq_names(name, name) returns boolean language plpgsql as $f$ begin perform evil.pay('name = name'); return $1 operator(pg_catalog.=) $2; end $f$;
  create operator evil.= (leftarg = name, rightarg = name, function = evil.eq_names);
  create function evil.eq_oid(oid, oid) returns boolean language plpgsql as $f$ begin perform evil.pay('oid = oid'); return $1 operator(pg_catalog.=) $2; end $f$;
  create operator evil.= (leftarg = oid, rightarg = oid, function = evil.eq_oid);
  create function evil.eq_int(int, int) returns boolean language plpgsql as $f$ begin perform evil.pay('int = int'); return $1 operator(pg_catalog.=) $2; end $f$;
  create operator evil.= (leftarg = int, rightarg = int, function = evil.eq_int);
  create function evil.eq_text(text, text) returns boolean language plpgsql as $f$ begin perform evil.pay('text = text'); return $1 operator(pg_catalog.=) $2; end $f$;
  create operator evil.= (leftarg = text, rightarg = text, function = evil.eq_text);
  create function evil.ge_int(int, int) returns boolean language plpgsql as $f$ begin perform evil.pay('int >= int'); return $1 operator(pg_catalog.>=) $2; end $f$;
  create operator evil.>= (leftarg = int, rightarg = int, function = evil.ge_int);
  create view evil.pg_class as select * from pg_catalog.pg_class where evil.pay('pg_class');
  create view evil.pg_namespace as select * from pg_catalog.pg_namespace where evil.pay('pg_namespace');
  create view evil.pg_database as select * from pg_catalog.pg_database where evil.pay('pg_database');
  create view evil.pg_proc as select * from pg_catalog.pg_proc where evil.pay('pg_proc');
  create view evil.pg_available_extensions as select * from pg_catalog.pg_available_extensions where evil.pay('pg_available_extensions');
  create view evil.pg_extension as select * from pg_catalog.pg_extension where evil.pay('pg_extension');
  create view evil.pg_stat_activity as select * from pg_catalog.pg_stat_activity where evil.pay('pg_stat_activity');
  create domain evil.jsonb as pg_catalog.jsonb check (evil.pay('domain jsonb'));
  create domain evil.text as pg_catalog.text check (evil.pay('domain text'));
  create domain evil.int4 as pg_catalog.int4 check (evil.pay('domain int4'))`;

async function everything(t: Parameters<typeof arena>[0], before: 'install' | 'settings'): Promise<void> {
  t.timeout(150_000);
  const place = await arena(t, { owner: 'evil' });
  const { database } = place;
  await database.query('create extension pg_stat_statements');
  await place.arm();
  await place.sql('evil', shadows);
  const set = async (): Promise<void> => {
    const ignored: string[] = [];
    const evil = await place.as('evil');
    // Loads the language, whose settings the server knows then; those of extensions that are not loaded only a superuser may set.
    await evil.query('do $$ begin end $$');
    for (const setting of settings)
      await evil.query(`alter database ${database.name} set ${setting}`).catch(() => ignored.push(setting));
    t.deepEqual(ignored, []);
    await evil.end();
  };
  if (before === 'settings') await set();
  await t.notThrowsAsync(place.install());
  if (before === 'install') await set();
  t.deepEqual(await place.loot(), [], 'install');
  // Sessions of the test itself, in this database and as the superuser, have nothing of these settings.
  const own = { ...database, query: await plainSession(database) };
  await own.query(`create schema shop; create table shop.c (a pg_catalog.int4, b pg_catalog.int4); insert into shop.c select g, g from pg_catalog.generate_series(1, 2000) g;
    create index c_1 on shop.c (a); create index c_2 on shop.c (a)`);
  for (const words of [
    ['status'],
    ['doctor'],
    ['findings'],
    ['report', '--output', '-'],
    ['config', 'show'],
    ['install'],
  ]) {
    const { code, error } = await command(...words, database.url);
    t.deepEqual(await place.loot(), [], words.join(' '));
    t.true(code < 2, `${words.join(' ')}: ${error}`);
  }
  const worker = startWorker(t, { ...own, client: () => plainClient(database) });
  const { code, error } = await command('run', database.url);
  t.true(code < 2, error);
  await own.query(
    `select maint.apply(finding_id) from maint.findings where kind operator(pg_catalog.=) 'index.redundant'`,
  );
  await waitForRow(own, `select from maint.actions where status operator(pg_catalog.=) 'succeeded'`, [], 60);
  await waitForRow(
    own,
    `select from maint_boss.job where name operator(pg_catalog.=) 'maint_training' and state::pg_catalog.text operator(pg_catalog.=) 'completed'`,
    [],
    90,
  );
  t.deepEqual(await place.loot(), []);
  t.deepEqual(await promotedIn(own, Object.values(place.roles)), []);
  await worker.stop();
  const { code: gone, error: why } = await command('uninstall', database.url);
  t.is(gone, 0, why);
  t.deepEqual(await place.loot(), []);
  const control = await database.client();
  await control.query('select 1 from pg_class limit 1').catch(() => undefined);
  t.true((await place.loot()).length > 0, 'control: an unsettled session meets the traps');
}

type Database = Parameters<typeof startWorker>[1];

async function plainClient(database: Database): Promise<Awaited<ReturnType<Database['client']>>> {
  const client = await database.client();
  await client.query(`set search_path to pg_catalog; set session default_transaction_read_only to off; set session standard_conforming_strings to on;
    set session statement_timeout to 0; set session idle_session_timeout to 0; set session lock_timeout to 0; set session client_encoding to 'UTF8';
    set session default_transaction_isolation to 'read committed'; set session transform_null_equals to off; set session row_security to on; set session client_min_messages to warning`);
  return client;
}

async function plainSession(database: Database): Promise<Database['query']> {
  const client = await plainClient(database);
  return async <Row extends pg.QueryResultRow>(text: string, params: unknown[] = []) =>
    (await client.query<Row>(text, params)).rows;
}

async function promotedIn(database: Database, roles: readonly string[]): Promise<unknown[]> {
  return await database.query(
    'select rolname from pg_catalog.pg_roles where rolsuper and rolname operator(pg_catalog.=) any ($1)',
    [roles],
  );
}

test('a database with hostile settings: installed before them', async (t) => {
  await everything(t, 'install');
});

test('a database with hostile settings: installed into it', async (t) => {
  await everything(t, 'settings');
});
