-- Ends runs that have waited for a worker for longer than a day, as failed, with an alert: its caller no
-- longer waits, and a run that stays queued looks as if it would still be done. A shorter limit would lose a run while a
-- machine is being repaired; a longer one reports the loss later. A run that a worker has begun is left alone. Returns how many.
create or replace function maint.end_stale_runs()
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  longest_wait constant interval := '1 day';
  under_way bigint[] := '{}';
  ended int;
begin
  -- Two statements: the second can't be read where there is no such table.
  if pg_catalog.to_regclass('maint_boss.job') is not null then
    under_way := array(
      select (j.data ->> 'run_id')::bigint from maint_boss.job as j
      where j.name = 'maint_run' and j.state = 'active' and j.data ? 'run_id');
  end if;
  with stale as (
    update maint.run_log as r set status = 'failed', finished_at = pg_catalog.clock_timestamp(),
      error = pg_catalog.jsonb_build_object('message', pg_catalog.format(
        'no worker took it within %s: pg-maint worker was not running, or could not do it', longest_wait))
    where r.status = 'queued' and r.started_at < pg_catalog.clock_timestamp() - longest_wait
      and r.run_id <> all (under_way)
    returning r.run_id, r.error
  ), told as (
    insert into maint.alert (run_id, step_number, severity, message, created_at)
    select s.run_id, 0, 'critical', 'maintenance did not run: ' || (s.error ->> 'message'), pg_catalog.clock_timestamp()
    from stale as s
  )
  select pg_catalog.count(*) into ended from stale;
  return pg_catalog.to_jsonb(ended);
end
$function$;
comment on function maint.end_stale_runs() is 'Internal: ends runs that have waited for a worker for too long.';
