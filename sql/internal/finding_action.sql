-- What maint.apply would queue for a finding: {"kind": of the action or null, "refusal": why it would not, or null}.
create or replace function maint.finding_action(finding_id bigint)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
  select jsonb_build_object('kind', k.kind, 'refusal', case
      when f.resolved_at is not null then 'it was resolved at ' || f.resolved_at
      when k.kind is null then 'findings of kind ' || f.kind || ' have no action'
      when f.remedy is null
        then coalesce('it has no remedy: ' || (f.detail ->> 'no_remedy_because'), 'it has no remedy')
      when f.detail ? 'kept_because' then f.detail ->> 'kept_because'
      when t.oid is null then 'its table is gone'
      when t.oid::int8 <> f.table_oid then 'another table has the name of its table now'
      when k.kind in ('drop_index', 'reindex_index') and f.detail ->> 'index_oid' is null
        then 'it is about no single index'
      when k.kind = 'create_index' and t.relkind = 'p' and f.detail -> 'columns' is null
        then 'its columns are not known'
      when k.kind = 'create_index' and t.relkind <> 'p' and (t.relkind not in ('r', 'm')
          or f.remedy !~* '^create (unique )?index concurrently on ')
        then 'its remedy is not one statement that builds an index' end)
  from finding as f
  cross join lateral (select case
      when f.kind in ('index.unused', 'index.redundant', 'index.invalid', 'index.orphaned') then 'drop_index'
      when f.kind = 'index.bloated' then 'reindex_index'
      when f.kind in ('fk.unindexed', 'matview.no_unique_index', 'matview.index_suggestion') then 'create_index'
      when f.kind = 'statistics.stale' then 'analyze_table'
      when f.kind = 'query.slow_pattern' and starts_with(f.remedy, 'create index ') then 'create_index'
      when f.kind = 'query.slow_pattern' and starts_with(f.remedy, 'analyze ') then 'analyze_table' end as kind) as k
  left join lateral (
    select c.oid, c.relkind
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = f.schema_name and c.relname = f.table_name) as t on true
  where f.finding_id = finding_action.finding_id
$function$;
comment on function maint.finding_action(bigint) is
  'Internal: what maint.apply would queue for a finding, or why it would not.';
