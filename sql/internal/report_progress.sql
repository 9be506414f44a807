-- Tells whoever waits for a run how far it came, as the setting maint.progress says: "notice" to the client,
-- "application_name" to maint.result in other sessions, which see nothing else of a transaction; nothing by default.
create or replace function maint.report_progress(run_id bigint, step_number int, step_status text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  way constant text := pg_catalog.current_setting('maint.progress', true);
  step maint.step_definition;
begin
  -- What was not due or not asked for is no progress.
  if coalesce(way, '') = '' or step_status = 'skipped' then
    return;
  end if;
  select d.* into step from maint.step_definition as d where d.step_number = report_progress.step_number;
  if way = 'notice' then
    raise notice 'step % %: %', step.step_number, step.name, step_status;
  elsif way = 'application_name' then
    perform pg_catalog.set_config('application_name',
      pg_catalog.format('pg-maint run %s: step %s %s', run_id, step.step_number, step.name), true);
  end if;
end
$function$;
comment on function maint.report_progress(bigint, int, text) is
  'Internal: tells whoever waits for a run how far it came.';
