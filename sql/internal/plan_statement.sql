-- The generic plan of a statement with parameters, as EXPLAIN (FORMAT JSON) gives it, with a hypothetical index where one
-- is given and hypopg is installed. schemas are those that its names resolve in. Returns {"plan": ..., "index": its name in
-- the plan or null} or {"error": sqlstate, "message"}. Only for what maint.unsafe_to_plan allows. It takes the locks that
-- planning takes.
create or replace function maint.plan_statement(statement text, schemas text[], hypothetical text)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
set plan_cache_mode = force_generic_plan
as $function$
declare
  prepared constant text := 'maint_plan_statement';
  hypopg_schema name;
  index_oid oid;
  index_name text;
  arguments text;
  plan jsonb;
  failure jsonb;
begin
  if hypothetical is not null then
    select n.nspname into hypopg_schema
    from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'hypopg';
    if not found then
      return pg_catalog.jsonb_build_object('error', 'not_installed', 'message', 'hypopg is not installed in this database');
    end if;
  end if;
  begin
    if hypothetical is not null then
      execute pg_catalog.format('select h.indexrelid, h.indexname from %I.hypopg_create_index($1) as h', hypopg_schema)
        into index_oid, index_name using hypothetical;
    end if;
    perform pg_catalog.set_config('search_path', (
      select pg_catalog.string_agg(pg_catalog.quote_ident(s.name), ', ' order by s.position)
      from pg_catalog.unnest('{pg_catalog}' || schemas) with ordinality as s (name, position)), true);
    if pg_catalog.current_setting('server_version_num')::int >= 160000 then
      execute 'explain (generic_plan, format json) ' || statement into plan;
    else
      execute pg_catalog.format('prepare %I as %s', prepared, statement);
      select pg_catalog.string_agg('null', ', ') into arguments
      from pg_catalog.pg_prepared_statements as p, pg_catalog.unnest(p.parameter_types)
      where p.name = prepared;
      execute pg_catalog.format('explain (format json) execute %I%s', prepared, '(' || arguments || ')') into plan;
    end if;
  exception
    when others then
      failure := pg_catalog.jsonb_build_object('error', sqlstate, 'message', sqlerrm);
  end;
  if exists (select from pg_catalog.pg_prepared_statements as p where p.name = prepared) then
    execute pg_catalog.format('deallocate %I', prepared);
  end if;
  -- It lives in this session until it is dropped. Only ours: the session may have hypothetical indexes of its own.
  if index_oid is not null then
    execute pg_catalog.format('select %I.hypopg_drop_index($1)', hypopg_schema) using index_oid;
  end if;
  return coalesce(failure, pg_catalog.jsonb_build_object('plan', plan -> 0 -> 'Plan', 'index', index_name));
end
$function$;
comment on function maint.plan_statement(text, text[], text) is
  'Internal: the generic plan of a statement, with a hypothetical index where one is given.';
