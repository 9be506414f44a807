-- A hash over what runs code when a table is analyzed or its indexes are built: it changes when an index, a statistics object or a
-- function in them does.
create or replace function maint.table_code(table_oid bigint)
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  with objects as (
    select 'pg_class'::regclass as classid, x.indexrelid as objid, x.xmin::text as version
    from pg_index as x where x.indrelid = table_code.table_oid::oid
    union all
    select 'pg_statistic_ext'::regclass, e.oid, e.xmin::text
    from pg_statistic_ext as e where e.stxrelid = table_code.table_oid::oid
  )
  select md5(coalesce(string_agg(p.part, ' ' order by p.part), ''))
  from (
    select o.objid::text || ':' || o.version as part from objects as o
    union all
    select 'f' || f.oid::text || ':' || f.xmin::text
    from objects as o
    join pg_depend as d on d.classid = o.classid and d.objid = o.objid and d.refclassid = 'pg_proc'::regclass
    join pg_proc as f on f.oid = d.refobjid
  ) as p
$function$;
comment on function maint.table_code(bigint) is
  'Internal: changes when what runs code in a table''s indexes and statistics objects does.';
