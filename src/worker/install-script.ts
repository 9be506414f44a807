/** The SQL of an installation, in the pieces that install.ts runs and as scripts for servers it can't reach. */
import pg from 'pg';
import { pinFunctions, setConfigList, startProcedure } from '../core/pinned-settings.ts';
import type { Manifest } from './manifest.ts';

export type Engine = 'plv8' | 'maint_v8' | 'worker';

const literal = (text: string): string => pg.escapeLiteral(text);

const jsonLiteral = (value: unknown): string => `${literal(JSON.stringify(value))}::pg_catalog.jsonb`;

/** A dollar-quoted string; the tag occurs nowhere in the text. */
function dollarQuoted(text: string, name: string): string {
  let tag = `$${name}$`;
  for (let count = 1; text.includes(tag); count += 1) tag = `$${name}_${count}$`;
  return `${tag}${text}${tag}`;
}

/** The name of the one object that a file defines. */
export function objectName(file: string): string {
  return file.replace(/^.*\//, '').replace(/\.sql$/, '');
}

export const createMigrationTable = `
create table if not exists maint.migration (
  version int primary key,
  name text not null,
  applied_at timestamptz not null default pg_catalog.now()
);
comment on table maint.migration is 'Which migrations of the tables have been applied; never by hand.';
`;

export function recordMigration(migration: Manifest['migrations'][number]): string {
  return `insert into maint.migration (version, name) values (${migration.number}, ${literal(migration.name)});`;
}

/** Replaces the rows that say which steps and settings this version has. */
export function writeDefinitions(manifest: Manifest): string {
  return `
delete from maint.step_definition;
insert into maint.step_definition (step_number, name, title, feature, enabled_path, action_counts, unexamined)
select s.number, s.name, s.title, s.feature, s.enabled_path, s.action_counts, s.unexamined
from pg_catalog.jsonb_to_recordset(${jsonLiteral(manifest.steps)}) as s (number int, name text, title text,
  feature text, enabled_path text, action_counts jsonb, unexamined jsonb);
delete from maint.setting_definition;
insert into maint.setting_definition (path, step_number, type, unit, default_value, minimum, maximum, choices, scoped, doc)
select s.path, s.step_number, s.type, s.unit, s.default_value, s.minimum, s.maximum, nullif(s.choices, 'null'), s.scoped,
  s.doc
from pg_catalog.jsonb_to_recordset(${jsonLiteral(manifest.settings)}) as s (path text, step_number int, type text,
  unit text, default_value jsonb, minimum numeric, maximum numeric, choices jsonb, scoped boolean, doc text);
`;
}

/** Functions that enter JavaScript. PL/V8 has loaded by then: before, only a superuser could name its setting. */
const pinStartProcedure = Object.entries(startProcedure)
  .flatMap(([name, value]) =>
    ['dispatch(jsonb)', 'query_risk(text)'].map(
      (routine) => `alter function maint.${routine} set ${name} = ${literal(value)};`,
    ),
  )
  .join('\n');

/**
 * Only a superuser may write functions in maint_v8. The owner of schema maint, whose role is set, gets them afterwards.
 */
const becomeSuperuser = `
select pg_catalog.set_config('maint.owner', current_user, true), pg_catalog.set_config('role', 'none', true);`;
const giveToOwner = `
do $give$
declare
  owner constant text := pg_catalog.current_setting('maint.owner');
begin
  execute pg_catalog.format('alter function maint.dispatch(jsonb) owner to %I', owner);
  execute pg_catalog.format('alter function maint.query_risk(text) owner to %I', owner);
  perform pg_catalog.set_config('role', owner, true);
end
$give$;`;

/** Creates or replaces the functions that hold the bundles. Bodies are checked here: a broken engine shows at once. */
export function createDispatcher(manifest: Manifest, engine: Exclude<Engine, 'worker'>): string {
  return `${engine === 'maint_v8' ? becomeSuperuser : ''}
select ${setConfigList(startProcedure, 'transaction')};
set local check_function_bodies = on;
create or replace function maint.dispatch(request jsonb) returns jsonb
language ${engine} volatile as ${dollarQuoted(`\n${manifest.dispatcherBody}\n`, 'bundle')};
set local check_function_bodies = off;
comment on function maint.dispatch(jsonb) is
  ${literal(`Internal: the checks of pg-maint ${manifest.version}, bundled. Called by maint.run.`)};
set local check_function_bodies = on;
create or replace function maint.query_risk(query text) returns jsonb
language ${engine} volatile as ${dollarQuoted(`\n${manifest.queryRiskBody}\n`, 'bundle')};
set local check_function_bodies = off;
${engine === 'plv8' ? pinStartProcedure : giveToOwner}
`;
}

export function writeInstallation(manifest: Manifest, engine: string): string {
  return `
insert into maint.installation as i (version, engine, bundle_sha256)
values (${literal(manifest.version)}, ${engine}, ${literal(manifest.bundleSha256)})
on conflict (only_row) do update set version = excluded.version, engine = excluded.engine,
  bundle_sha256 = excluded.bundle_sha256, installed_at = excluded.installed_at, installed_by = excluded.installed_by;
`;
}

/** Drops all views and routines of the schema but an extension's own, together: they may use each other. */
export const dropCode = `
do $drop$
declare
  views constant text := (
    select pg_catalog.string_agg(pg_catalog.format('maint.%I', c.relname), ', ')
    from pg_catalog.pg_class as c
    where c.relnamespace = 'maint'::pg_catalog.regnamespace and c.relkind = 'v');
  routines constant text := (
    select pg_catalog.string_agg(pg_catalog.format('maint.%I(%s)', p.proname,
      pg_catalog.pg_get_function_identity_arguments(p.oid)), ', ')
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'maint'::pg_catalog.regnamespace
      and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'));
begin
  if views is not null then
    execute 'drop view ' || views;
  end if;
  if routines is not null then
    execute 'drop routine ' || routines;
  end if;
end
$drop$;
`;

/** What must not be taken over: whoever owns a schema, or an object in it, can put code there that others call. */
const refuseForeignSchema = `
  if exists (
    select from pg_catalog.pg_namespace as n
    join pg_catalog.pg_depend as d
      on d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
    join pg_catalog.pg_shdepend as s on s.classid = d.classid and s.objid = d.objid and s.deptype = 'o'
      and s.dbid = (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database())
    join pg_catalog.pg_roles as r on r.oid = s.refobjid
    where n.nspname = 'maint' and r.oid <> n.nspowner and not r.rolsuper) then
    raise exception 'there are objects of other roles in schema maint' using errcode = 'duplicate_schema';
  end if;`;

/**
 * The owner, as pg-maint install has it: a superuser makes role maint_owner and acts as it, anybody else is the owner. The
 * role is set to the end of the transaction.
 */
const becomeOwner = `do $owner$
declare
  superuser constant boolean := (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user);
  existing record;
  owner name := case when superuser then 'maint_owner' else current_user end;
  granted name;
begin
  if pg_catalog.current_setting('server_version_num')::int < 150000 then
    raise exception 'pg-maint needs PostgreSQL 15 or newer' using errcode = 'feature_not_supported';
  end if;
  select n.oid, r.rolname, r.rolsuper, exists (
      select from pg_catalog.pg_class as c where c.relnamespace = n.oid and c.relname = 'migration') as ours
  into existing
  from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as r on r.oid = n.nspowner where n.nspname = 'maint';
  if existing.oid is not null then
    if not existing.ours and exists (select from pg_catalog.pg_depend as d
      where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = existing.oid) then
      raise exception 'there is a schema maint that is not of pg-maint' using errcode = 'duplicate_schema',
        hint = 'Rename it: alter schema maint rename to something_else;';
    end if;
    if existing.rolname <> owner and not (superuser and existing.ours and existing.rolsuper) then
      raise exception 'schema maint belongs to %', existing.rolname using errcode = 'duplicate_schema',
        hint = pg_catalog.format('Connect as %s.', existing.rolname);
    end if;
    owner := existing.rolname;
  end if;${refuseForeignSchema}
  if superuser and owner = 'maint_owner' then
    if not exists (select from pg_catalog.pg_roles as r where r.rolname = owner) then
      create role maint_owner nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
    end if;
    if exists (
      select from pg_catalog.pg_roles as o
      where o.rolname = owner and (o.rolcanlogin or exists (
        select from pg_catalog.pg_roles as r
        where pg_catalog.pg_has_role(o.oid, r.oid, 'member')
            and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls)
          or r.oid <> o.oid and not r.rolsuper and pg_catalog.pg_has_role(r.oid, o.oid, 'member')))) then
      raise exception 'role maint_owner has more rights than it needs, or others can act as it'
        using errcode = 'invalid_role_specification', hint = 'pg-maint install says more.';
    end if;
    for granted in
      select r.rolname from pg_catalog.pg_roles as r
      where r.rolname in ('pg_monitor', 'pg_read_all_data', 'pg_signal_backend', 'pg_maintain')
        and not pg_catalog.pg_has_role(owner, r.oid, 'usage')
      order by r.rolname
    loop
      execute pg_catalog.format('grant %I to %I', granted, owner);
    end loop;
  end if;
  if existing.oid is null then
    execute pg_catalog.format('create schema maint authorization %I', owner);
  end if;
  perform pg_catalog.set_config('role', owner, true);
end
$owner$;`;

/** Picks the engine in SQL, from the languages that exist. */
function dispatcherByLanguage(manifest: Manifest): string {
  const usable = {
    plv8: `pg_catalog.getdatabaseencoding() = 'UTF8'`,
    maint_v8: `exists (select from pg_catalog.pg_roles where rolname = session_user and rolsuper)`,
  };
  const create = (engine: Exclude<Engine, 'worker'>): string =>
    `  if ${usable[engine]} and exists (select from pg_catalog.pg_language where lanname = '${engine}') then
    execute ${dollarQuoted(createDispatcher(manifest, engine).replaceAll(/^set local .*\n/gm, ''), 'sql')};
    perform pg_catalog.set_config('maint.engine', '${engine}', true);
    return;
  end if;
`;
  return `
select pg_catalog.set_config('maint.engine', 'worker', true);
do ${dollarQuoted(
    `
begin
  set local check_function_bodies = on;
${create('plv8')}${create('maint_v8')}end
`,
    'dispatcher',
  )};
set local check_function_bodies = off;
${writeInstallation(manifest, "pg_catalog.current_setting('maint.engine')")}`;
}

function codeAndRows(manifest: Manifest): string {
  return [
    writeDefinitions(manifest),
    'set local check_function_bodies = off;\n',
    ...manifest.routines.map(({ file, sql }) => `-- ${file}\n${sql}\n`),
    ...manifest.views.map(({ file, sql }) => `-- ${file}\n${sql}\n`),
    dispatcherByLanguage(manifest),
    pinFunctions,
    'select maint.apply_grants();\n',
  ].join('');
}

function extensionScript(manifest: Manifest): string {
  return `-- pg-maint ${manifest.version}, made by npm run build.
\\echo Use "CREATE EXTENSION maint" to load this file. \\quit
do $guard$
declare
  owner constant text := (
    select pg_catalog.pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace as n where n.nspname = 'maint');
begin
  -- A dump makes the schema before the extension: whoever restores it says that its owner is trusted, and everything belongs
  -- to that owner again. Only a superuser can set this for others' sessions.
  if owner <> current_user then
    if pg_catalog.current_setting('maint.trust_owner', true) is distinct from owner then
      raise exception 'schema maint belongs to another role: %', owner using errcode = 'duplicate_schema',
        hint = pg_catalog.format('If you trust that role, as when you restore its dump: set maint.trust_owner = %L;', owner);
    end if;
    perform pg_catalog.set_config('role', owner, true);
  end if;${refuseForeignSchema}
end
$guard$;
${createMigrationTable}
${manifest.migrations.map((migration) => `${migration.sql}\n${recordMigration(migration)}\n`).join('\n')}
${codeAndRows(manifest)}
-- What was configured and recorded is the user's: pg_dump keeps it.
do $keep$
declare
  kept pg_catalog.regclass;
begin
  -- One command for each: they all update the same row.
  for kept in
    select c.oid from pg_catalog.pg_class as c
    where c.relnamespace = 'maint'::pg_catalog.regnamespace and c.relkind in ('r', 'S')
      and c.relname not in ('migration', 'installation', 'step_definition', 'setting_definition', 'lock')
    order by c.relname
  loop
    perform pg_catalog.pg_extension_config_dump(kept, '');
  end loop;
end
$keep$;
`;
}

function plainScript(manifest: Manifest): string {
  const migrations = manifest.migrations.map(
    (migration) => `
do ${dollarQuoted(
      `
begin
  if not exists (select from maint.migration where version = ${migration.number}) then
    execute ${dollarQuoted(`\n${migration.sql}\n${recordMigration(migration)}\n`, 'sql')};
  end if;
end
`,
      'migration',
    )};`,
  );
  const newest = Math.max(...manifest.migrations.map(({ number }) => number));
  return `-- pg-maint ${manifest.version} for psql alone, made by npm run build:
--   psql -X -v ON_ERROR_STOP=1 -f pg-maint--${manifest.version}.sql
-- All of it or nothing. The engine is the language that exists: create extension plv8, or maint_v8, before.
-- Run it again to upgrade, to repair, or after creating the roles maint_reader and maint_operator.
\\set ON_ERROR_STOP 1
begin;
set local search_path = pg_catalog, pg_temp;
set local standard_conforming_strings = on;
set local client_min_messages = warning;
set local lock_timeout = '60s';
${becomeOwner}
${createMigrationTable}
-- One installation at a time, and no run meanwhile.
lock table maint.migration in share row exclusive mode;
do $lock$
begin
  if pg_catalog.to_regclass('maint.lock') is not null then
    perform from maint.lock as l where l.name = 'run' for update;
  end if;
end
$lock$;
do $guard$
begin
  if exists (select from maint.migration where version > ${newest}) then
    raise exception 'the database was installed by a newer pg-maint than ${manifest.version}'
      using errcode = 'object_not_in_prerequisite_state';
  end if;
end
$guard$;
${migrations.join('\n')}
${dropCode}
${codeAndRows(manifest)}
commit;
`;
}

function controlFile(manifest: Manifest): string {
  return `# pg-maint ${manifest.version}
comment = 'keeps a PostgreSQL database healthy from inside it'
default_version = '${manifest.version}'
schema = 'maint'
relocatable = false
superuser = false
`;
}

/** File name -> content: for CREATE EXTENSION, and for psql where files can't be put on the server. */
export function installScripts(manifest: Manifest): Record<string, string> {
  return {
    [`maint--${manifest.version}.sql`]: extensionScript(manifest),
    'maint.control': controlFile(manifest),
    [`pg-maint--${manifest.version}.sql`]: plainScript(manifest),
  };
}
