-- What the catalog says of relations, given as [[schema, name], …]: [{"schema", "name", "pages", "rows", "toast_pages",
-- "indexes", "row_triggers"}, …]. pg_class tells everybody the same. In PL/pgSQL, which keeps its plan for the session.
create or replace function maint.relation_facts(relations jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  return (
    select coalesce(jsonb_agg(
      jsonb_build_object('schema', n.nspname, 'name', c.relname, 'pages', c.relpages, 'rows', greatest(c.reltuples, 0),
        'toast_pages', coalesce((select t.relpages from pg_class as t where t.oid = c.reltoastrelid), 0),
        'indexes', (select count(*) from pg_index as i where i.indrelid = c.oid),
        'row_triggers', (select count(*) from pg_trigger as g where g.tgrelid = c.oid and g.tgtype & 1 = 1))
      order by n.nspname, c.relname), '[]')
    from jsonb_array_elements(relations) as w (pair)
    join pg_namespace as n on n.nspname = w.pair ->> 0
    -- Apart, by its index: joined, the planner expects a hundred relations and reads all of pg_class for one.
    cross join lateral (
      select r.oid, r.relname, r.relpages, r.reltuples, r.reltoastrelid from pg_class as r
      where r.relname = (w.pair ->> 1)::name and r.relnamespace = n.oid
      offset 0
    ) as c);
end
$function$;
comment on function maint.relation_facts(jsonb) is
  'Size, indexes and triggers of relations, as the catalog has them: called by maint.query_risk.';
