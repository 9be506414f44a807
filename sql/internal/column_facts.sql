-- {"numerics": [column, ...], "widths": {column: mean bytes}} of the columns that have no fixed length, as far as
-- the owner of schema maint may know. For maint.plan_facts where that owner may not read pg_statistic, as a superuser may: by
-- pg_stats, which takes ten times as long.
create or replace function maint.column_facts(of_table oid)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  return (
    select jsonb_build_object('numerics', coalesce(jsonb_agg(a.attname) filter (where a.atttypid = 'numeric'::regtype), '[]'),
      'widths', coalesce(jsonb_object_agg(a.attname, s.avg_width) filter (where a.atttypid <> 'numeric'::regtype), '{}'))
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_stats as s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname and not s.inherited
    where a.attrelid = of_table and a.attlen = -1);
end
$function$;
comment on function maint.column_facts(oid) is
  'Internal: what maint.plan_facts tells of columns, where pg_statistic may not be read.';
