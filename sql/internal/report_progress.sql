-- Tells whoever waits for a run how far it came. A client that follows the run asks for debug messages and takes those of
-- the code MT001; all are sent at once. The setting maint.progress says who else is told: "notice" the client's user,
-- "application_name" maint.result in other sessions, which see nothing else of a transaction; nobody by default.
create or replace function maint.report_progress(run_id bigint, step_number int, step_status text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  way constant text := pg_catalog.current_setting('maint.progress', true);
  step record;
begin
  select s.* into step
  from (
    select d.step_number, d.name, pg_catalog.count(*) over () as steps from maint.step_definition as d) as s
  where s.step_number = report_progress.step_number;
  raise debug using message = pg_catalog.format('step %s', step.step_number), errcode = 'MT001',
    detail = pg_catalog.jsonb_build_object('name', step.name, 'status', step_status, 'steps', step.steps);
  -- What was not due or not asked for is no progress to those who only look on.
  if step_status = 'skipped' then
    return;
  elsif way = 'notice' then
    raise notice 'step % %: %', step.step_number, step.name, step_status;
  elsif way = 'application_name' then
    perform pg_catalog.set_config('application_name',
      pg_catalog.format('pg-maint run %s: step %s %s', run_id, step.step_number, step.name), true);
  end if;
end
$function$;
comment on function maint.report_progress(bigint, int, text) is
  'Internal: tells whoever waits for a run how far it came.';
