/** The role that owns an installation: which one it is, how it is made, and what it is granted. */
import pg from 'pg';
import { queryRow } from './connection.ts';
import { sqlstate } from '../core/sqlstate.ts';
import { CouldNotRun, sqlstateOf } from './errors.ts';
import type { Journal } from './journal.ts';
import { defaultOwner, trustedOwners } from './trust.ts';

interface Connected {
  role: string;
  superuser: boolean;
}

/** The role that has logged in: what it may do is what an installation can do. */
export async function connectedRole(client: pg.ClientBase): Promise<Connected> {
  return await queryRow<Connected & pg.QueryResultRow>(
    client,
    `select current_user::text as role, r.rolsuper as superuser
     from pg_catalog.pg_roles as r where r.rolname = current_user`,
  );
}

interface RoleFacts {
  superuser: boolean;
  /** Of the role and of those whose rights it has. */
  attributes: string[];
  can_log_in: boolean;
  members: string[];
  may_act: boolean;
}

async function roleFacts(client: pg.ClientBase, role: string): Promise<RoleFacts | null> {
  const { rows } = await client.query<RoleFacts & pg.QueryResultRow>(
    `select o.rolsuper as superuser, o.rolcanlogin as can_log_in,
       pg_catalog.pg_has_role(o.oid, 'member') as may_act,
       array(
         select distinct a.name
         from pg_catalog.pg_roles as r
         cross join lateral (values ('superuser', r.rolsuper), ('createrole', r.rolcreaterole),
           ('createdb', r.rolcreatedb), ('replication', r.rolreplication), ('bypassrls', r.rolbypassrls)) as a (name, has)
         where a.has and (r.oid = o.oid or not o.rolsuper and pg_catalog.pg_has_role(o.oid, r.oid, 'member'))
         order by a.name) as attributes,
       array(
         select r.rolname::text from pg_catalog.pg_roles as r
         where r.oid <> o.oid and not r.rolsuper and pg_catalog.pg_has_role(r.oid, o.oid, 'member')
           and r.rolname <> current_user and r.rolname <> all ($2::pg_catalog.text[])
         order by r.rolname) as members
     from pg_catalog.pg_roles as o where o.rolname = $1`,
    [role, trustedOwners()],
  );
  return rows[0] ?? null;
}

/** duplicate_object, unique_violation, and "tuple concurrently updated", which has no code of its own. */
const doneByAnother = new Set<string>([
  sqlstate.duplicateObject,
  sqlstate.uniqueViolation,
  sqlstate.internalError,
]);

/**
 * Roles and memberships are of the whole server, and an installation in another database may do the same at the same time:
 * the server lets one wait for the other's end, and fail then. False where that came to pass, and nothing was done.
 */
async function unlessAnotherDoes(client: pg.ClientBase, work: () => Promise<void>): Promise<boolean> {
  await client.query('savepoint shared');
  try {
    await work();
  } catch (error) {
    if (!doneByAnother.has(sqlstateOf(error) ?? '')) throw error;
    await client.query('rollback to savepoint shared');
    return false;
  }
  await client.query('release savepoint shared');
  return true;
}

/** Makes the role that owns an installation by default, or takes the one that is there if nobody else can act as it. */
async function provideDefaultOwner(client: pg.ClientBase, journal: Journal): Promise<void> {
  let facts = await roleFacts(client, defaultOwner);
  if (facts === null) {
    const made = await unlessAnotherDoes(client, () =>
      journal.perform(
        `create role ${defaultOwner} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls`,
      ),
    );
    if (made) return;
    facts = await roleFacts(client, defaultOwner);
    if (facts === null) throw new Error(`role ${defaultOwner} was made and dropped by others meanwhile`);
  }
  const fix = `alter role ${defaultOwner} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;`;
  if (facts.attributes.length > 0)
    throw new CouldNotRun(
      `role ${defaultOwner} exists and has more rights than the owner of pg-maint needs: ${facts.attributes.join(', ')}`,
      `${fix} -- or choose another: pg-maint install --owner ROLE`,
    );
  const trusted = trustedOwners().includes(defaultOwner);
  if (facts.can_log_in && !trusted)
    throw new CouldNotRun(
      `role ${defaultOwner} exists and can log in: whoever has its password has the rights of pg-maint`,
      `${fix} -- or, if that is meant: --trust-owner ${defaultOwner}`,
    );
  if (facts.members.length > 0 && !trusted)
    throw new CouldNotRun(
      `role ${defaultOwner} exists, and these can act as it: ${facts.members.join(', ')}`,
      `${facts.members.map((member) => `revoke ${defaultOwner} from ${pg.escapeIdentifier(member)};`).join(' ')} ` +
        `-- or, if that is meant: --trust-owner ${defaultOwner}`,
    );
}

/**
 * The role that a new installation is to belong to, which exists afterwards: the one that is named, maint_owner where a
 * superuser installs, else the one that connects. Throws CouldNotRun.
 */
export async function provideOwner(
  client: pg.ClientBase,
  named: string | undefined,
  journal: Journal,
): Promise<string> {
  const { role, superuser } = await connectedRole(client);
  const owner = named ?? (superuser ? defaultOwner : role);
  if (owner === defaultOwner && superuser) {
    await provideDefaultOwner(client, journal);
    return owner;
  }
  const facts = await roleFacts(client, owner);
  if (facts === null)
    throw new CouldNotRun(`there is no role ${owner}`, `create role ${pg.escapeIdentifier(owner)};`);
  if (!facts.may_act)
    throw new CouldNotRun(`this role can't act for ${owner}`, `connect as ${owner}, or as a superuser`);
  return owner;
}

/** Functions of extensions that steps call as the owner, which the extension's script grants to superusers alone. */
const calledFunctions = `
  select e.extname, p.oid from pg_catalog.pg_extension as e
  join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    and d.refobjid = e.oid and d.deptype = 'e' and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  join pg_catalog.pg_proc as p on p.oid = d.objid
  where (e.extname, p.proname) in (('amcheck', 'bt_index_check'))`;

/** The statements that give the owner what the steps need and it does not have. */
async function missingGrants(client: pg.ClientBase, owner: string, engine: string): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `with owner as (
       select r.oid, r.rolname from pg_catalog.pg_roles as r where r.rolname = $1 and not r.rolsuper
     ), grants (position, what) as (
       -- To see what other roles' sessions do and their statistics; sequences and statistics of every table; to end a
       -- build that hangs; to rebuild and analyze every table, from 17 on.
       select 1, pg_catalog.quote_ident(r.rolname) from pg_catalog.pg_roles as r, owner as o
       where r.rolname in ('pg_monitor', 'pg_read_all_data', 'pg_signal_backend', 'pg_maintain')
         and not pg_catalog.pg_has_role(o.oid, r.oid, 'usage')
       union all
       select 2, pg_catalog.format('execute on function %s', f.oid::pg_catalog.regprocedure)
       from (${calledFunctions}) as f, owner as o
       where not pg_catalog.has_function_privilege(o.oid, f.oid, 'execute')
       union all
       select 2, pg_catalog.format('usage on schema %I', n.nspname)
       from pg_catalog.pg_extension as e
       join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
       cross join owner as o
       where e.extname in ('amcheck', 'pgstattuple', 'pg_stat_statements')
         and not pg_catalog.has_schema_privilege(o.oid, n.oid, 'usage')
       union all
       select 2, pg_catalog.format('usage on language %I', l.lanname)
       from pg_catalog.pg_language as l, owner as o
       where l.lanname = $2 and l.lanpltrusted and not pg_catalog.has_language_privilege(o.oid, l.oid, 'usage')
     )
     select distinct g.position, pg_catalog.format('grant %s to %I', g.what, o.rolname) as statement
     from grants as g, owner as o order by g.position, statement`,
    [owner, engine],
  );
  return rows.map(({ statement }) => statement);
}

/** Grants the owner what the steps need and it lacks: no more, and again where it was taken away. As a superuser. */
export async function grantNeeds(
  client: pg.ClientBase,
  owner: string,
  engine: string,
  journal: Journal,
): Promise<void> {
  // One that does not help, to a role that inherits nothing, is not tried again: it stays among the needs that are told.
  const tried = new Set<string>();
  for (;;) {
    const next = (await missingGrants(client, owner, engine)).find((grant) => !tried.has(grant));
    if (next === undefined) return;
    if (await unlessAnotherDoes(client, () => journal.perform(next))) tried.add(next);
  }
}

/** Gives all that is in our schemas to another role. As a superuser, after the old owner was found to be trusted. */
export async function moveTo(client: pg.ClientBase, owner: string, journal: Journal): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    `with ours as (
       select n.oid, n.nspname from pg_catalog.pg_namespace as n where n.nspname in ('maint', 'maint_boss')
     ), moved (position, what) as (
       select 1, pg_catalog.format('schema %I', o.nspname) from ours as o
       union all
       -- Sequences of columns go with their tables.
       select 2, pg_catalog.format('table %I.%I', o.nspname, c.relname)
       from pg_catalog.pg_class as c join ours as o on o.oid = c.relnamespace where c.relkind in ('r', 'p', 'v')
       union all
       select 3, pg_catalog.format('routine %s', p.oid::pg_catalog.regprocedure)
       from pg_catalog.pg_proc as p join ours as o on o.oid = p.pronamespace
       union all
       select 4, pg_catalog.format('type %I.%I', o.nspname, t.typname)
       from pg_catalog.pg_type as t join ours as o on o.oid = t.typnamespace where t.typtype in ('e', 'd')
     )
     select pg_catalog.format('alter %s owner to %I', m.what, $1::pg_catalog.text) as statement
     from moved as m order by m.position, m.what`,
    [owner],
  );
  journal.note(`give schemas maint and maint_boss and all that is in them to ${owner}`);
  for (const { statement } of rows) await client.query(statement);
}
