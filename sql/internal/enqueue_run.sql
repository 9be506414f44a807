-- Puts the job of a queued run into its queue. As long as it waits or is under way, an equal one is not queued.
create or replace function maint.enqueue_run(run_id bigint)
returns jsonb
language sql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
  select maint.enqueue('maint_run', jsonb_build_object('run_id', r.run_id, 'force', r.forced,
      'only', to_jsonb(r.only_steps), 'dry_run', r.dry_run),
    format('force %s, only %s, dry_run %s', r.forced, r.only_steps, r.dry_run))
  from maint.run_log as r
  where r.run_id = enqueue_run.run_id
$function$;
comment on function maint.enqueue_run(bigint) is 'Internal: puts the job of a queued run into its queue.';
