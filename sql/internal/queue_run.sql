-- What maint.run does on a server without a JavaScript language: after the same guards, queues the run for a worker, in the
-- caller's transaction. Returns {"status": "queued", "run_id", "reason", "detail", "already", "worker_alive",
-- "timestamp"}, or the skipped answer of a guard. already means that an equal run was waiting before. reason is engine_missing
-- where the engine's language was there when it was installed and is gone.
create or replace function maint.queue_run(force boolean, "only" text[], dry_run boolean)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  guarded constant jsonb := maint.start_run(force, "only", dry_run);
  steps constant int[] := maint.selected_steps("only");
  -- The language is gone since it was installed: dropped, or not there where a dump was restored.
  lost constant text := (
    select p.problem ->> 'detail' from pg_catalog.jsonb_array_elements(maint.problems()) as p (problem)
    where p.problem ->> 'problem' = 'engine_missing');
  alive constant int := coalesce((maint.status() #>> '{worker,alive}')::int, 0);
  queued_run bigint;
  already boolean := false;
begin
  if guarded ? 'skipped' then
    return guarded -> 'skipped';
  end if;
  select r.run_id into queued_run from maint.run_log as r
  where r.status = 'queued' and r.forced = force and r.dry_run = queue_run.dry_run
    and r.only_steps is not distinct from steps
  order by r.run_id limit 1;
  if found then
    already := true;
  else
    insert into maint.run_log (status, started_at, forced, dry_run, only_steps, engine, version)
    select 'queued', pg_catalog.clock_timestamp(), force, queue_run.dry_run, steps, i.engine, i.version
    from maint.installation as i
    returning run_id into queued_run;
    perform maint.enqueue_run(queued_run);
  end if;
  return pg_catalog.jsonb_build_object('status', 'queued', 'reason', case when lost is null then 'engine_worker' else 'engine_missing' end,
    'run_id', queued_run, 'already', already, 'worker_alive', alive, 'timestamp', pg_catalog.clock_timestamp(),
    'detail', pg_catalog.format('%s: select maint.result(%s) has the result afterwards%s',
      coalesce(lost, 'this server has no JavaScript language (engine worker), so that a worker runs it'), queued_run, case when alive = 0
        then '; no worker is alive: it waits until one is started (pg-maint worker), for a day at most' else '' end));
end
$function$;
comment on function maint.queue_run(boolean, text[], boolean) is
  'Internal: queues a run for a worker, on a server without a JavaScript language.';
