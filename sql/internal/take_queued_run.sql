-- Waits until no other run is under way, to the end of the transaction, and returns the status of a queued run: a worker
-- that died before it could tell pg-boss may have done it. null where there is none any more.
create or replace function maint.take_queued_run(run_id bigint)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  -- The lock of maint.start_run, which would skip the run instead.
  perform from maint.lock as l where l.name = 'run' for update;
  return (select pg_catalog.to_jsonb(r.status) from maint.run_log as r where r.run_id = take_queued_run.run_id);
end
$function$;
comment on function maint.take_queued_run(bigint) is
  'Internal: waits until no other run is under way, and returns the status of a queued run.';
