-- The schema, quoted, in which all of these functions of an extension are, or null: functions as bt_page_stats(text, bigint).
-- Called by this schema and with arguments of exactly these types, no other function can be meant: one of the same name in the
-- schema of an extension, which may be anyone's, would be the better match for other types. Only what is a member of the
-- extension counts, is written in C and belongs to a superuser: the owner of a trusted extension can add members of their own.
create or replace function maint.extension_schema(extension text, functions text[])
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  -- Qualified, since it is counted as a statement of its own where the planner calls this function: so it is known as ours.
  select case when pg_catalog.count(*) = pg_catalog.cardinality(functions) and pg_catalog.count(distinct p.pronamespace) = 1
    then pg_catalog.min(pg_catalog.quote_ident(n.nspname)) end
  from pg_catalog.pg_extension as e
  join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = e.oid
    and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.deptype = 'e'
  join pg_catalog.pg_proc as p on p.oid = d.objid
  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
  join pg_catalog.pg_language as l on l.oid = p.prolang and l.lanname = 'c'
  join pg_catalog.pg_roles as r on r.oid = p.proowner and r.rolsuper
  where e.extname = extension
    and p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' = any (functions)
$function$;
comment on function maint.extension_schema(text, text[]) is
  'Internal: the schema of functions of an extension, which are called by their exact types; null where one is missing.';
