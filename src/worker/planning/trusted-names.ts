/**
 * Whether planning a statement can only meet code of superusers, or of the role that ran it. Asked for roles whose rights
 * no other role's code may have.
 *
 * The server itself says what a statement names: the body of a function in the SQL standard's form (BEGIN ATOMIC) is
 * analyzed when the function is created, and pg_depend has all that the analyzed tree names: relations, functions, also
 * those that a cast, an operator or the notation of a column (t.f) calls, operators, types, collations. Analyzing runs no
 * code of users: names are looked up in the catalogs, and nothing is folded, inlined or executed before planning. The one
 * exception are constants of a type not known yet ('…'): their type's input function is called (coerce_type in
 * parse_coerce.c), which for an array, range or composite type calls that of its elements, and for those of a domain
 * evaluates its checks (domain_in). So a text with such a constant is refused before it is analyzed; pg_stat_statements
 * has parameters in their place. CREATE FUNCTION stores the tree without rewriting it, so the rules, policies,
 * constraints and so on that rewriting and planning add are followed here.
 *
 * Between this and the planning nobody else can put another object under a name: every schema that is named or searched
 * belongs to a superuser, and nobody else may create objects in it; both happen in one transaction.
 */
import pg from 'pg';
import { queryRow } from '../connection.ts';
import type { PlannedRole } from './planned-role.ts';

/** A quote or a dollar quote: a constant whose type is found out by calling its input function. */
const constant = /'|\$(?!\d)/;

const named = 'pg-maint names';

/**
 * Why the statement must not be planned as this role, or null where it may. In an open transaction that can write, which
 * the caller rolls back, with the role's search_path set; authenticated as a superuser, or as that role.
 */
export async function whyNotTrusted(
  client: pg.Client,
  role: PlannedRole,
  statement: string,
): Promise<string | null> {
  if (constant.test(statement)) return 'it has a constant whose type might run code of a user';
  const schema = await unsafeSchema(client, role);
  if (schema !== null) return schema;
  // In messages of the extended protocol, which the server refuses where they hold more than one command.
  await client.query(oneCommand(`prepare ${pg.escapeIdentifier(named)} as ${statement}`));
  const { types } = await queryRow<{ types: string }>(
    client,
    `select coalesce(pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, y.typname), ', ' order by t.position),
       '') as types
     from pg_catalog.pg_prepared_statements as p
     cross join pg_catalog.unnest(p.parameter_types::pg_catalog.oid[]) with ordinality as t (oid, position)
     join pg_catalog.pg_type as y on y.oid operator(pg_catalog.=) t.oid
     join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) y.typnamespace
     where p.name operator(pg_catalog.=) $1`,
    [named],
  );
  await client.query(`deallocate ${pg.escapeIdentifier(named)}`);
  await client.query('set local check_function_bodies = off');
  await client.query(
    oneCommand(
      `create function pg_temp.names_of_statement(${types}) returns pg_catalog.void language sql begin atomic ${statement}\n; end`,
    ),
  );
  await client.query('set local search_path = pg_catalog, pg_temp');
  // From one object to the next by their keys, whatever the planner thinks of recursion.
  await client.query('set local enable_hashjoin = off; set local enable_mergejoin = off');
  // Named, and so planned once in a session: planning it takes forty times as long as to run it.
  const { rows } = await client.query<{ problem: string | null }>({
    name: 'pg-maint closure',
    text: closureQuery,
    values: [role.oid],
  });
  return rows[0]?.problem ?? null;
}

/** Understood by the driver, missing from its types. */
interface ExtendedQuery extends pg.QueryConfig {
  queryMode: 'extended';
}

const oneCommand = (text: string): ExtendedQuery => ({ text, queryMode: 'extended' });

/** Trusted as if the role's own: superusers, and the owner of the database where that is one of these. */
const trusted = `
  trusted as materialized (
    select r.oid from pg_catalog.pg_roles as r where r.rolsuper or r.oid = $1::int8::oid
    union all
    select o.oid from pg_catalog.pg_roles as o
    where o.oid < 16384 and o.rolname = 'pg_database_owner' and exists (
      select from pg_catalog.pg_database as d join pg_catalog.pg_roles as r on r.oid = d.datdba
      where d.datname = pg_catalog.current_database() and (r.rolsuper or r.oid = $1::int8::oid))
  )`;

/** Expects a namespace n. */
const othersMayCreate = `exists (
  select from pg_catalog.aclexplode(n.nspacl) as a
  where a.privilege_type = 'CREATE' and a.grantee not in (select t.oid from trusted as t))`;

async function unsafeSchema(client: pg.ClientBase, role: PlannedRole): Promise<string | null> {
  const { searched } = await queryRow<{ searched: string[] }>(
    client,
    'select pg_catalog.to_json(pg_catalog.current_schemas(false)) as searched',
  );
  await client.query('set local search_path = pg_catalog, pg_temp');
  const { problem } = await queryRow<{ problem: string | null }>(
    client,
    `with ${trusted}
     select (
       select pg_catalog.format('its search_path has schema %I, %s', n.nspname,
         case when n.nspowner not in (select t.oid from trusted as t)
           then 'which does not belong to a superuser' else 'in which others may create objects' end)
       from pg_catalog.pg_namespace as n
       join pg_catalog.json_array_elements_text($2) as s (name) on s.name = n.nspname
       where n.nspowner not in (select t.oid from trusted as t) or ${othersMayCreate}
       order by n.nspname limit 1) as problem`,
    [role.oid, JSON.stringify(searched)],
  );
  await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [role.search_path]);
  return problem;
}

/** Objects of initdb belong to the server. */
const firstOfUsers = 16384;

/**
 * From what the function names to all that planning can bring in by it. Objects without an owner are parts of others, and
 * what they call is followed; of a class that is not in the list nothing is known, so it is refused.
 */
const closureQuery = `
  with recursive ${trusted}, edge (classid, objid, refclassid, refobjid) as not materialized (
    select d.classid, d.objid, d.refclassid, d.refobjid from pg_catalog.pg_depend as d
    -- An extension's owner can't change what is in it.
    where d.refclassid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, r.ev_class, 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid, r.oid
    from pg_catalog.pg_rewrite as r
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, i.indrelid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, i.indexrelid
    from pg_catalog.pg_index as i
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.conrelid, 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, c.oid
    from pg_catalog.pg_constraint as c where c.conrelid <> 0
    union all
    select 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, c.contypid, 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, c.oid
    from pg_catalog.pg_constraint as c where c.contypid <> 0
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, a.adrelid, 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, a.oid
    from pg_catalog.pg_attrdef as a
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, p.polrelid, 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid, p.oid
    from pg_catalog.pg_policy as p
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, e.stxrelid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::pg_catalog.oid, e.oid
    from pg_catalog.pg_statistic_ext as e
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, h.inhparent, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, h.inhrelid
    from pg_catalog.pg_inherits as h
    union all
    select 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, o.opcintype, 'pg_catalog.pg_opclass'::pg_catalog.regclass::pg_catalog.oid, o.oid
    from pg_catalog.pg_opclass as o
    union all
    select 'pg_catalog.pg_opclass'::pg_catalog.regclass::pg_catalog.oid, o.oid, 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, o.opcfamily
    from pg_catalog.pg_opclass as o
    union all
    select 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, f.amprocfamily, 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, f.amproc::oid
    from pg_catalog.pg_amproc as f
    union all
    select 'pg_catalog.pg_opfamily'::pg_catalog.regclass::pg_catalog.oid, f.amopfamily, 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid, f.amopopr
    from pg_catalog.pg_amop as f
  ), known (classid, objid) as (
    select d.refclassid, d.refobjid from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      and d.objid = (
        select p.oid from pg_catalog.pg_proc as p
        where p.proname = 'names_of_statement' and p.pronamespace = pg_catalog.pg_my_temp_schema())
      and d.refobjid >= ${firstOfUsers}
      and (d.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass or d.refobjid <> pg_catalog.pg_my_temp_schema())
    union
    select e.refclassid, e.refobjid from known as k
    join edge as e on e.classid = k.classid and e.objid = k.objid
    where e.refobjid >= ${firstOfUsers}
  ), owned (classid, objid, owner, how) as materialized (
    select k.classid, k.objid, case k.classid
      when 'pg_catalog.pg_class'::pg_catalog.regclass then (select c.relowner from pg_catalog.pg_class as c where c.oid = k.objid)
      when 'pg_catalog.pg_proc'::pg_catalog.regclass then (select c.proowner from pg_catalog.pg_proc as c where c.oid = k.objid)
      when 'pg_catalog.pg_type'::pg_catalog.regclass then (select c.typowner from pg_catalog.pg_type as c where c.oid = k.objid)
      when 'pg_catalog.pg_operator'::pg_catalog.regclass then (select c.oprowner from pg_catalog.pg_operator as c where c.oid = k.objid)
      when 'pg_catalog.pg_opclass'::pg_catalog.regclass then (select c.opcowner from pg_catalog.pg_opclass as c where c.oid = k.objid)
      when 'pg_catalog.pg_opfamily'::pg_catalog.regclass then (select c.opfowner from pg_catalog.pg_opfamily as c where c.oid = k.objid)
      when 'pg_catalog.pg_collation'::pg_catalog.regclass then (select c.collowner from pg_catalog.pg_collation as c where c.oid = k.objid)
      when 'pg_catalog.pg_namespace'::pg_catalog.regclass then (select c.nspowner from pg_catalog.pg_namespace as c where c.oid = k.objid)
      when 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass then (select c.stxowner from pg_catalog.pg_statistic_ext as c where c.oid = k.objid)
      when 'pg_catalog.pg_language'::pg_catalog.regclass then (select c.lanowner from pg_catalog.pg_language as c where c.oid = k.objid)
      when 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass
        then (select c.fdwowner from pg_catalog.pg_foreign_data_wrapper as c where c.oid = k.objid)
      when 'pg_catalog.pg_foreign_server'::pg_catalog.regclass
        then (select c.srvowner from pg_catalog.pg_foreign_server as c where c.oid = k.objid)
      when 'pg_catalog.pg_ts_config'::pg_catalog.regclass then (select c.cfgowner from pg_catalog.pg_ts_config as c where c.oid = k.objid)
      when 'pg_catalog.pg_ts_dict'::pg_catalog.regclass then (select c.dictowner from pg_catalog.pg_ts_dict as c where c.oid = k.objid)
    end, case
      when k.classid in ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass,
        'pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
        'pg_catalog.pg_cast'::pg_catalog.regclass, 'pg_catalog.pg_amop'::pg_catalog.regclass,
        'pg_catalog.pg_amproc'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
        'pg_catalog.pg_am'::pg_catalog.regclass, 'pg_catalog.pg_ts_parser'::pg_catalog.regclass,
        'pg_catalog.pg_ts_template'::pg_catalog.regclass) then 'part'
      when k.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass then (
        -- The server knows nothing of what a body of text names; of an extension's the superuser who installed it does.
        select case when l.lanname in ('internal', 'c') or p.prosqlbody is not null
            or l.lanname <> 'sql' and p.provolatile = 'v'
            or exists (
              select from pg_catalog.pg_depend as d
              where d.classid = k.classid and d.objid = p.oid and d.deptype = 'e'
                and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)
          then 'owned' else 'text' end
        from pg_catalog.pg_proc as p join pg_catalog.pg_language as l on l.oid = p.prolang where p.oid = k.objid)
      when k.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and (
        select ${othersMayCreate} from pg_catalog.pg_namespace as n where n.oid = k.objid) then 'open'
      else 'owned' end
    from known as k
  )
  select (
    select pg_catalog.format('it names %s, %s', pg_catalog.pg_describe_object(o.classid, o.objid, 0), case
        when o.owner is null then 'of which it is not known whose code it can run'
        when o.owner not in (select t.oid from trusted as t)
          then pg_catalog.format('which belongs to %I', pg_catalog.pg_get_userbyid(o.owner))
        when o.how = 'open' then 'in which others may create objects'
        else 'whose body the server keeps as text: what it names is not known' end)
    from owned as o
    where o.how <> 'part'
      and (o.owner is null or o.how in ('open', 'text') or o.owner not in (select t.oid from trusted as t))
    order by 1 limit 1) as problem`;
