-- What the catalog says of the things named in a plan, for maint.query_risk. wanted is
--   {"relations": [[schema, name, whether its rows are changed], ...], "functions": [name, ...]}
-- and the answer
--   {"relations": [{"schema", "name", "pages", "rows", "toast_pages", "indexes", "key_triggers", "triggers",
--    "trigger_queries": each {"Insert", "Update", "Delete": number}, "unindexed_references": rows, "widths": {column: mean bytes}, "numerics": [column, ...]}, ...],
--    "functions": {name: {"queries", "loops"}}}.
-- Triggers and references only where rows are changed; widths and numerics of columns without a fixed length that were analyzed;
-- functions that are written in SQL or a procedural language. Names that nothing has are left out. pg_class, pg_proc
-- and pg_trigger tell everybody the same; mean widths are all that is told of the statistics. In PL/pgSQL, which keeps its
-- plans for the session: left to choose, it would plan again for each array of names, which takes three times as long as the queries.
create or replace function maint.plan_facts(wanted jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
set plan_cache_mode = force_generic_plan
as $function$
declare
  names constant name[] := array(select jsonb_array_elements_text(wanted -> 'functions')::name);
  reads_statistics constant boolean := has_table_privilege('pg_statistic', 'select');
  pair jsonb;
  table_oid oid;
  fact jsonb;
  more jsonb;
  facts jsonb[] := '{}';
  bodies jsonb := '{}';
begin
  -- One after the other: a plan has few, and the queries stay small.
  for pair in select w.pair from jsonb_array_elements(wanted -> 'relations') as w (pair) loop
    select r.oid, jsonb_build_object('schema', pair ->> 0, 'name', r.relname, 'pages', greatest(r.relpages, 0),
        'rows', greatest(r.reltuples, 0),
        'toast_pages', coalesce((select t.relpages from pg_class as t where t.oid = r.reltoastrelid), 0),
        'indexes', (select count(*) from pg_index as i where i.indrelid = r.oid),
        'key_triggers', '{}'::jsonb, 'triggers', '{}'::jsonb, 'trigger_queries', '{}'::jsonb,
        'unindexed_references', 0, 'widths', '{}'::jsonb, 'numerics', '[]'::jsonb)
      into table_oid, fact
    from pg_class as r
    where r.relname = (pair ->> 1)::name
      and r.relnamespace = (select n.oid from pg_namespace as n where n.nspname = (pair ->> 0)::name);
    continue when table_oid is null;
    if (pair ->> 2)::boolean then
      fact := fact || maint.change_facts(table_oid);
    end if;
    if reads_statistics then
      select jsonb_build_object('numerics', coalesce(jsonb_agg(a.attname) filter (where a.atttypid = 1700), '[]'),
          'widths', coalesce(jsonb_object_agg(a.attname, s.stawidth) filter (where a.atttypid <> 1700), '{}'))
        into more
      from pg_attribute as a
      join pg_statistic as s on s.starelid = table_oid and s.staattnum = a.attnum and not s.stainherit
      where a.attrelid = table_oid and a.attlen = -1;
    else
      more := maint.column_facts(table_oid);
    end if;
    fact := fact || more;
    facts := facts || fact;
  end loop;
  if names <> '{}' then
    select coalesce(jsonb_object_agg(f.name, jsonb_build_object('queries', f.queries, 'loops', f.loops)), '{}') into bodies
    from (
      select p.proname as name,
        max(regexp_count(p.prosrc, '\m(select|insert|update|delete|merge|perform|execute)\M', 1, 'i')) as queries,
        max(regexp_count(p.prosrc, '\m(for|foreach|while)\M', 1, 'i')) as loops
      from pg_proc as p
      -- internal and C
      where p.proname = any (names) and p.prolang not in (12, 13)
      group by p.proname
    ) as f;
  end if;
  return jsonb_build_object('relations', to_jsonb(facts), 'functions', bodies);
end
$function$;
comment on function maint.plan_facts(jsonb) is
  'Sizes, triggers and functions named in a plan, as the catalog has them: called by maint.query_risk.';
