/**
 * Whose code this process may call. The owner of schema maint can replace every function in it, and code that runs in our
 * session can leave the role that was set: `reset role` and `set session authorization default` go back to the role that
 * has logged in. So nothing in schema maint is touched before its owner is known to be trusted.
 */
import type pg from 'pg';
import { CouldNotRun } from './errors.ts';

/** The role that owns an installation which a superuser makes. */
export const defaultOwner = 'maint_owner';

/** Also set by --trust-owner, so that processes which this one starts have it too. */
const variable = 'PG_MAINT_TRUST_OWNERS';

/** Roles whose installations are used although somebody weaker than this session could change them. */
export function trustedOwners(): string[] {
  return (process.env[variable] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** Adds roles to the trusted ones of this process; several may be in one word, with commas. */
export function trustOwners(names: readonly string[]): void {
  if (names.length > 0) process.env[variable] = [...trustedOwners(), ...names].join(',');
}

export interface SchemaTrust {
  /** Null where there is no schema maint. */
  owner: string | null;
  /** May this session's role act as the owner? */
  mayAct: boolean;
  /** Why its code must not be called from this session; null where it may be. */
  distrust: string | null;
}

interface Facts {
  owner: string;
  may_act: boolean;
  /** The session can become something that the owner is not. */
  stronger: boolean;
  owner_superuser: boolean;
  owner_can_log_in: boolean;
  /** Roles that can act as the owner, without superusers, this session's role and the trusted ones. */
  members: string[];
  /** Objects in our schemas that are not the schema owner's, nor a superuser's. */
  foreign: string[];
}

/**
 * An object in a schema depends on it, and its owner is in pg_shdepend, where superusers that initdb made are not. A
 * trigger runs its function as whoever changes the table.
 */
const foreignObjects = `
  select pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' of ' || pg_catalog.quote_ident(r.rolname) as object
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
  join pg_catalog.pg_shdepend as s
    on s.dbid = (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database())
      and s.classid = d.classid and s.objid = d.objid and s.deptype = 'o'
  join pg_catalog.pg_roles as r on r.oid = s.refobjid
  where n.nspname in ('maint', 'maint_boss', 'maint_privileged') and r.oid <> n.nspowner and not r.rolsuper
  union all
  select pg_catalog.format('trigger %I on %s calls a function of %I', t.tgname, c.oid::pg_catalog.regclass, r.rolname)
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
      and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  join pg_catalog.pg_class as c on c.oid = d.objid
  join pg_catalog.pg_trigger as t on t.tgrelid = c.oid
  join pg_catalog.pg_proc as p on p.oid = t.tgfoid
  join pg_catalog.pg_roles as r on r.oid = p.proowner
  where n.nspname in ('maint', 'maint_boss') and r.oid <> n.nspowner and not r.rolsuper`;

/**
 * One row where there is a schema maint. Reads pg_catalog alone; the search path must be pg_catalog before it is parsed.
 * The role of the session counts, not the one that is set: it is what code can go back to.
 */
const factsQuery = `
  with me as (
    select r.oid, r.rolsuper or r.rolcreaterole or r.rolbypassrls or r.rolreplication or exists (
        select from pg_catalog.pg_roles as s
        where s.oid <> r.oid and pg_catalog.pg_has_role(r.oid, s.oid, 'member')
          and (s.rolsuper or s.rolcreaterole or s.rolname in
            ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_write_all_data')))
      as powerful
    from pg_catalog.pg_roles as r where r.rolname = session_user
  )
  select o.rolname::text as owner, pg_catalog.pg_has_role(m.oid, o.oid,
      -- Since 16 membership alone does not allow SET ROLE.
      case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end) as may_act,
    m.oid <> o.oid and (m.powerful or pg_catalog.pg_has_role(m.oid, o.oid, 'member')) as stronger,
    o.rolsuper as owner_superuser, o.rolcanlogin as owner_can_log_in,
    array(
      select r.rolname::text from pg_catalog.pg_roles as r
      where r.oid <> o.oid and r.oid <> m.oid and not r.rolsuper and pg_catalog.pg_has_role(r.oid, o.oid, 'member')
        and r.rolname <> all ($1::pg_catalog.text[])
      order by r.rolname) as members,
    array(select f.object from (${foreignObjects}) as f (object) order by f.object) as "foreign"
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as o on o.oid = n.nspowner
  cross join me as m
  where n.nspname = 'maint'`;

function distrust(facts: Facts, trusted: readonly string[]): string | null {
  const { owner, members, foreign } = facts;
  const [stranger] = foreign;
  if (stranger !== undefined && (facts.stronger || facts.may_act))
    return `${stranger} is in a schema of pg-maint and would run with the rights of this session`;
  if (!facts.stronger || facts.owner_superuser || trusted.includes(owner)) return null;
  const whose = `schema maint belongs to ${owner}, whose functions would run with the rights of this session`;
  if (owner !== defaultOwner) return `${whose}: that role is not trusted`;
  if (facts.owner_can_log_in) return `${whose}: that role can log in`;
  if (members.length > 0) return `${whose}: ${members.join(', ')} can act as that role`;
  return null;
}

/**
 * Whom schema maint belongs to, and whether its code may be called. Nothing of the schema is touched. A session that is not
 * stronger than the owner has nothing to lose. `named`: roles that are trusted for this once.
 */
export async function schemaTrust(
  client: pg.ClientBase,
  named: readonly string[] = [],
): Promise<SchemaTrust> {
  const trusted = [...trustedOwners(), ...named];
  // By itself, before the names and operators of the other statement are looked up.
  await client.query(`select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)`);
  const [facts] = (await client.query<Facts>(factsQuery, [trusted])).rows;
  if (facts === undefined) return { owner: null, mayAct: false, distrust: null };
  return { owner: facts.owner, mayAct: facts.may_act, distrust: distrust(facts, trusted) };
}

/** The ways to use a schema whose owner is not trusted. */
export function waysToTrust(owner: string): string {
  return `connect as ${owner}, or, if you trust it as much as the role that connects: --trust-owner ${owner}`;
}

/** The owner of schema maint, null where there is none. Throws CouldNotRun where its code must not be called. */
export async function requireTrust(
  client: pg.ClientBase,
  named: readonly string[] = [],
): Promise<SchemaTrust> {
  const trust = await schemaTrust(client, named);
  if (trust.owner !== null && trust.distrust !== null)
    throw new CouldNotRun(`${trust.distrust}; none of its functions was called`, waysToTrust(trust.owner));
  return trust;
}

/** Refuses a role that can't act as the owner. */
export function requireMayAct({ owner, mayAct }: SchemaTrust): void {
  if (owner !== null && !mayAct)
    throw new CouldNotRun(
      `schema maint belongs to ${owner}, and this role can't act for it`,
      `connect as ${owner}, or as a superuser`,
    );
}
