-- Whether pg_stat_statements can be read here. Returns {"status": "available", "schema" (quoted), "columns", "stats_reset",
-- "dealloc"}, or {"status", "detail", "remedy"} with the status not_installed or not_permitted. Never raises for want of it.
create or replace function maint.query_statistics()
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  -- Quoted.
  schema_name constant text := maint.extension_schema('pg_stat_statements',
    '{pg_stat_statements(boolean),pg_stat_statements_info()}');
  installed constant boolean := exists (
    select from pg_catalog.pg_extension as e where e.extname = 'pg_stat_statements');
  statements_function oid;
  columns text[];
  info jsonb;
begin
  -- The setting exists where the library is loaded, whoever asks.
  if pg_catalog.current_setting('pg_stat_statements.max', true) is null then
    return pg_catalog.jsonb_build_object('status', 'not_installed',
      'detail', 'the library pg_stat_statements is not loaded: the server counts no statements',
      'remedy', 'alter system set shared_preload_libraries = ''pg_stat_statements''; -- with what it names already, then restart the server'
        || case when not installed then e'\ncreate extension pg_stat_statements;' else '' end);
  end if;
  if not installed then
    return pg_catalog.jsonb_build_object('status', 'not_installed',
      'detail', 'the extension pg_stat_statements is not installed in this database',
      'remedy', 'create extension pg_stat_statements;');
  end if;
  if pg_catalog.current_setting('pg_stat_statements.track', true) = 'none' then
    return pg_catalog.jsonb_build_object('status', 'not_installed',
      'detail', 'pg_stat_statements.track is none: the server counts no statements',
      'remedy', 'alter system set pg_stat_statements.track = ''top''; select pg_reload_conf();');
  end if;
  if pg_catalog.current_setting('compute_query_id') = 'off' then
    return pg_catalog.jsonb_build_object('status', 'not_installed',
      'detail', 'compute_query_id is off: the server counts no statements',
      'remedy', 'alter system set compute_query_id = ''auto''; select pg_reload_conf();');
  end if;
  -- By the catalog: a name is looked up with the right to use its schema alone.
  select p.oid, p.proargnames into statements_function, columns
  from pg_catalog.pg_proc as p
  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and pg_catalog.quote_ident(n.nspname) = schema_name
  where p.proname = 'pg_stat_statements' and pg_catalog.oidvectortypes(p.proargtypes) = 'boolean';
  if columns is null or not 'toplevel' = any (columns) then
    return pg_catalog.jsonb_build_object('status', 'not_installed',
      'detail', 'the extension pg_stat_statements is of a version before 1.9',
      'remedy', 'alter extension pg_stat_statements update;');
  end if;
  begin
    execute pg_catalog.format(
      'select pg_catalog.to_jsonb(i) from %s.pg_stat_statements_info() as i', schema_name) into info;
    -- Asked for, not tried: a call makes all of its rows.
    if not pg_catalog.has_function_privilege(statements_function, 'execute') then
      raise insufficient_privilege using message = 'permission denied for function pg_stat_statements';
    end if;
  exception
    when insufficient_privilege then
      return pg_catalog.jsonb_build_object('status', 'not_permitted', 'detail', sqlerrm,
        'remedy', pg_catalog.format('grant usage on schema %1$s to %2$I; grant execute on function %1$s.pg_stat_statements(boolean), %1$s.pg_stat_statements_info() to %2$I;',
          schema_name, current_user));
    when object_not_in_prerequisite_state then
      return pg_catalog.jsonb_build_object('status', 'not_installed', 'detail', sqlerrm,
        'remedy', 'alter system set shared_preload_libraries = ''pg_stat_statements''; -- with what it names already, then restart the server');
  end;
  return pg_catalog.jsonb_build_object('status', 'available', 'schema', schema_name, 'columns', columns,
    'stats_reset', info -> 'stats_reset', 'dealloc', info -> 'dealloc');
end
$function$;
comment on function maint.query_statistics() is 'Internal: whether pg_stat_statements can be read, and what it would take.';
