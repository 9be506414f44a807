/** Neither a caller, nor the owner of the database, nor a role decides by a setting what a run finds or which code it runs. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { pinnedSettings, sessionSettings } from '../src/core/pinned-settings.ts';
import type { JsonObject } from '../src/steps/step.ts';
import { endSession, openSession } from '../src/worker/session.ts';
import { createDatabase } from './support/database.ts';
import type { TestDatabase } from './support/database.ts';
import { inTheDatabase, overTheConnection } from './support/recorded.ts';

/** Indexes and constraints whose definitions read differently under other settings; each table has a finding with one. */
const subject = `
  create schema "Select";
  create table "Select".t (a int primary key, d date, f float8, i interval, z timestamptz, m money, b bytea, x int);
  insert into "Select".t (a, d, f, x) select g, date '2026-01-01' + g % 300, g / 7.0, g from generate_series(1, 2000) as g;
  create index t_d on "Select".t (x) where d > date '2026-02-01';
  create index t_d2 on "Select".t (x) where d > date '2026-02-01';
  create index t_f on "Select".t (x) where f > 0.30000000000000004::float8;
  create index t_f2 on "Select".t (x) where f > 0.30000000000000004::float8;
  create index t_i on "Select".t (x) where i > interval '-1 year 2 days';
  create index t_i2 on "Select".t (x) where i > interval '-1 year 2 days';
  create index t_z on "Select".t (x) where z > timestamptz '2026-02-01 12:00+00';
  create index t_z2 on "Select".t (x) where z > timestamptz '2026-02-01 12:00+00';
  create index t_m on "Select".t (x) where m > money '$12.34';
  create index t_m2 on "Select".t (x) where m > money '$12.34';
  create index t_b on "Select".t (x) where b > '\\x0102ff'::bytea;
  create index t_b2 on "Select".t (x) where b > '\\x0102ff'::bytea;
  create table "Select".o (a int primary key, "Parent" int references "Select".t);
  insert into "Select".o select g, g from generate_series(1, 2000) as g;
  create materialized view "Select".v as select x, d from "Select".t where f > 0.30000000000000004::float8;
  analyze`;

/** Names of the catalog, in a schema that comes before it: each one that is called, cast to or compared with fails. */
const traps = `
  create schema trap;
  create domain trap.text as pg_catalog.text check (false);
  create domain trap.jsonb as pg_catalog.jsonb check (false);
  create domain trap.oid as pg_catalog.oid check (false);
  create domain trap.regclass as pg_catalog.oid check (false);
  create domain trap.int8 as pg_catalog.int8 check (false);
  create domain trap.float8 as pg_catalog.float8 check (false);
  create domain trap.name as pg_catalog.name check (false);
  create function trap.raised() returns bool language plpgsql as
    $f$ begin raise exception 'trapped' using errcode = 'ZZ999'; end $f$;
  create function trap.text_equals(pg_catalog.text, pg_catalog.text) returns bool language sql as 'select trap.raised()';
  create function trap.name_equals(pg_catalog.name, pg_catalog.text) returns bool language sql as 'select trap.raised()';
  create function trap.int_adds(pg_catalog.int4, pg_catalog.int4) returns int language sql as 'select trap.raised()::int';
  create operator trap.= (leftarg = pg_catalog.text, rightarg = pg_catalog.text, function = trap.text_equals);
  create operator trap.= (leftarg = pg_catalog.name, rightarg = pg_catalog.text, function = trap.name_equals);
  create operator trap.+ (leftarg = pg_catalog.int4, rightarg = pg_catalog.int4, function = trap.int_adds);
  create function trap.lower(pg_catalog.text) returns pg_catalog.text language sql as 'select trap.raised()::text';
  create function trap.now() returns timestamptz language sql as 'select trap.raised()::text::timestamptz';
  create function trap.format(pg_catalog.text, pg_catalog.text) returns pg_catalog.text language sql as 'select trap.raised()::text';
  create function trap.to_jsonb(pg_catalog.text) returns pg_catalog.jsonb language sql as 'select trap.raised()::text::jsonb';
  create table trap.pg_class (); create table trap.pg_index (); create view trap.pg_namespace as select trap.raised();
  create table trap.setting (); create table trap.finding ()`;

const hostile: Record<string, string> = {
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Pacific/Chatham',
  extra_float_digits: '-15',
  bytea_output: 'escape',
  lc_monetary: 'C.UTF-8',
  xmloption: 'document',
  quote_all_identifiers: 'on',
  standard_conforming_strings: 'off',
  backslash_quote: 'off',
  transform_null_equals: 'on',
  array_nulls: 'off',
  row_security: 'off',
  default_tablespace: 'pg_global',
  default_table_access_method: 'heap',
  constraint_exclusion: 'off',
  plan_cache_mode: 'force_generic_plan',
  jit: 'on',
  jit_above_cost: '0',
  enable_hashjoin: 'off',
  enable_nestloop: 'off',
  enable_seqscan: 'off',
  enable_hashagg: 'off',
  from_collapse_limit: '1',
  join_collapse_limit: '1',
  search_path: 'trap, pg_catalog',
  lc_messages: 'C',
  client_min_messages: 'debug1',
  stats_fetch_consistency: 'none',
  exit_on_error: 'on',
  'plpgsql.extra_errors': 'all',
  'plpgsql.extra_warnings': 'all',
};

async function subjectDatabase(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`set client_min_messages = error; ${subject}`);
  await database.query(traps);
  return database;
}

/** A session that gets the settings from the database, or from its role in it. */
async function hostileSession(database: TestDatabase, by: 'database' | 'role'): Promise<pg.Client> {
  const owner =
    by === 'database' ? `database ${database.name}` : `role postgres in database ${database.name}`;
  const administrator = await database.client();
  for (const [name, value] of Object.entries(hostile)) {
    const literal = name === 'search_path' ? value : `'${value}'`;
    await administrator.query(`load 'plpgsql'; alter ${owner} set ${name} = ${literal}`);
  }
  return await database.client();
}

const hasLanguage = async (database: TestDatabase): Promise<boolean> =>
  (await database.query(`select from maint.installation where engine <> 'worker'`)).length > 0;

for (const by of ['database', 'role'] as const) {
  test(`a run under settings of the ${by} finds what one under the defaults does`, async (t) => {
    const database = await subjectDatabase(t);
    const inside = await hasLanguage(database);
    if (!inside) t.is(process.env['MAINT_TEST_HOST'], 'node');
    const expected = await recordedUnder(await database.client(), inside);
    const client = await hostileSession(database, by);
    if (inside) t.deepEqual(await inTheDatabase(client), expected);
    t.deepEqual(await overTheConnection(client), expected);
    const findings = (expected['findings'] as JsonObject[]).map(({ object_name: name, detail }) => [
      name,
      detail,
    ]);
    t.true(JSON.stringify(findings).includes(`WHERE (f > (0.30000000000000004)::double precision)`));
    t.true(JSON.stringify(findings).includes(`WHERE (d > '2026-02-01'::date)`));
  });
}

/** Over a connection it commits: without a language, where that is the only way, the first run is another one than all that follow. */
async function recordedUnder(client: pg.Client, inside: boolean): Promise<JsonObject> {
  if (inside) return await inTheDatabase(client);
  await overTheConnection(client);
  return await overTheConnection(client);
}

test("a worker's session has the pinned settings whatever database and role say", async (t) => {
  const database = await subjectDatabase(t);
  await hostileSession(database, 'database');
  const session = await openSession(database.url);
  try {
    const { rows } = await session.client.query<{ name: string; setting: string }>(
      `select lower(name) as name, setting from pg_catalog.pg_settings where lower(name) = any ($1)`,
      [Object.keys(sessionSettings)],
    );
    t.true(rows.length > 40);
    for (const { name, setting } of rows) {
      const expected: string = sessionSettings[name as keyof typeof sessionSettings];
      t.is(setting, name === 'datestyle' ? 'ISO, DMY' : expected, name);
    }
  } finally {
    await endSession(session);
  }
});

test('every function that runs with the rights of its owner has the pinned settings', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const rows = await database.query<{ signature: string; settings: string[] }>(
    `select oid::regprocedure::text as signature, proconfig as settings from pg_proc
     where pronamespace = 'maint'::regnamespace and prosecdef order by 1`,
  );
  t.true(rows.length > 10);
  for (const { signature, settings } of rows) {
    const names = settings.map((setting) => setting.split('=')[0]!.toLowerCase());
    for (const name of ['search_path', ...Object.keys(pinnedSettings)])
      t.true(names.includes(name), `${signature} ${name}`);
  }
});
