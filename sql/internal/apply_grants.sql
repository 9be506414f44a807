-- Closes schema maint to everyone but its owner, then opens what maint_reader and maint_operator may use, where these
-- roles exist: readers select from the views and call the API functions that only read (stable), operators call all
-- API functions. A function whose comment begins with Internal:, or that has none, is no API. Returns
-- {"maint_reader": granted?, "maint_operator": granted?}. Run it again after creating the roles.
create or replace function maint.apply_grants()
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  roles constant name[] := array(
    select r.rolname from pg_catalog.pg_roles as r
    where r.rolname in ('maint_reader', 'maint_operator')
      -- The owner needs no grant, and a revoke would take away what it has.
      and r.oid <> (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'maint')
    order by r.rolname);
  -- Volatile only because the server lets nothing else call EXPLAIN. They have the caller's rights, and change nothing.
  with_callers_rights constant name[] := '{query_risk,explain_generic}';
  grantee name;
  granted record;
begin
  foreach grantee in array array['public']::name[] || roles loop
    execute pg_catalog.format('revoke all on schema maint from %1$s; revoke all on all tables in schema maint from %1$s;'
      'revoke all on all sequences in schema maint from %1$s; revoke all on all routines in schema maint from %1$s',
      grantee);
  end loop;
  foreach grantee in array roles loop
    execute pg_catalog.format('grant usage on schema maint to %s', grantee);
    for granted in
      select pg_catalog.format('select on maint.%I', c.relname) as what
      from pg_catalog.pg_class as c
      where c.relnamespace = 'maint'::regnamespace and c.relkind = 'v'
      union all
      -- What a view calls is called with the rights of whoever selects from it.
      select pg_catalog.format('execute on routine %s', d.refobjid::regprocedure)
      from pg_catalog.pg_depend as d
      join pg_catalog.pg_rewrite as w on w.oid = d.objid
      join pg_catalog.pg_class as c on c.oid = w.ev_class
      join pg_catalog.pg_proc as p on p.oid = d.refobjid
      where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_proc'::regclass
        and c.relnamespace = 'maint'::regnamespace and p.pronamespace = 'maint'::regnamespace
      union all
      select pg_catalog.format('execute on routine %s', p.oid::regprocedure)
      from pg_catalog.pg_proc as p
      where p.pronamespace = 'maint'::regnamespace
        and pg_catalog.obj_description(p.oid, 'pg_proc') not like 'Internal:%'
        and (grantee = 'maint_operator' or p.provolatile <> 'v' or p.proname = any (with_callers_rights))
      order by what
    loop
      execute pg_catalog.format('grant %s to %s', granted.what, grantee);
    end loop;
  end loop;
  return pg_catalog.jsonb_build_object(
    'maint_reader', 'maint_reader' = any (roles), 'maint_operator', 'maint_operator' = any (roles));
end
$function$;
comment on function maint.apply_grants() is
  'Internal: closes the schema, and opens the API to the roles maint_reader and maint_operator where they exist.';
