-- Ends runs that have waited too long, queues the scheduled run where it is due, and gives each run that waits for a worker (engine worker) and has lost its
-- job, or was queued before there was a queue, a new one. Any number of workers may call it: the queue maint_run keeps a
-- second scheduled run out while one waits or is under way, and after that the run's own guards say that it is not due.
-- Returns {"seconds": until a run is due | null for never, "corrected": rows whose times were in the future}.
create or replace function maint.enqueue_due_runs()
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  corrected constant bigint := maint.correct_future_times();
  due constant timestamptz := maint.next_due_at();
begin
  perform maint.end_stale_runs();
  perform maint.enqueue_run(r.run_id) from maint.run_log as r
  where r.status = 'queued' and not exists (
    select from maint_boss.job as j
    where j.name = 'maint_run' and j.state <= 'active' and j.data ->> 'run_id' = r.run_id::text)
  order by r.run_id;
  if due <= pg_catalog.clock_timestamp() then
    perform maint.enqueue('maint_run', '{"force": false, "only": null, "dry_run": false}', 'scheduled');
  end if;
  return pg_catalog.jsonb_build_object('corrected', corrected, 'seconds',
    greatest(0, extract(epoch from due - pg_catalog.clock_timestamp())));
end
$function$;
comment on function maint.enqueue_due_runs() is
  'Internal: queues the scheduled run where it is due, and runs that have lost their job.';
