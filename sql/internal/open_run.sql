-- Writes the row of a run that begins, or takes the row of one that was queued (request ->> 'run_id').
create or replace function maint.open_run(request jsonb)
returns jsonb
language sql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
  with begun as (
    update maint.run_log as r set status = 'running', started_at = (request ->> 'now')::timestamptz
    where r.run_id = (request ->> 'run_id')::bigint
    returning r.run_id
  ), opened as (
    insert into maint.run_log (status, started_at, forced, dry_run, only_steps, engine, version)
    select 'running', (request ->> 'now')::timestamptz, (request ->> 'force')::boolean,
      (request ->> 'dry_run')::boolean,
      (select pg_catalog.array_agg(o.step::int order by o.step::int)
        from pg_catalog.jsonb_array_elements_text(
          case pg_catalog.jsonb_typeof(request -> 'only') when 'array' then request -> 'only' else '[]' end) as o (step)),
      i.engine, i.version
    from maint.installation as i
    where request ->> 'run_id' is null
    returning run_id
  )
  select pg_catalog.jsonb_build_object('run_id', w.run_id)
  from (select b.run_id from begun as b union all select o.run_id from opened as o) as w;
$function$;
comment on function maint.open_run(jsonb) is 'Internal: writes the row of a run that begins.';
