create or replace function maint.open_run(request jsonb)
returns jsonb
language sql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
  insert into maint.run_log (status, started_at, forced, dry_run, only_steps, engine, version)
  select 'running', (request ->> 'now')::timestamptz, (request ->> 'force')::boolean,
    (request ->> 'dry_run')::boolean,
    (select pg_catalog.array_agg(o.step::int order by o.step::int)
      from pg_catalog.jsonb_array_elements_text(
        case pg_catalog.jsonb_typeof(request -> 'only') when 'array' then request -> 'only' else '[]' end) as o (step)),
    i.engine, i.version
  from maint.installation as i
  returning pg_catalog.jsonb_build_object('run_id', run_id);
$function$;
comment on function maint.open_run(jsonb) is 'Internal: writes the row of a run that begins.';
