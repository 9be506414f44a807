-- Runs maintenance and returns the result dictionary, or {"status": "skipped", "reason": ...}.
-- force ignores the intervals, never a bypass, a disabled feature or auto_* = false; "only" (quoted: it is a reserved
-- word of SQL) names steps (or their numbers); dry_run does all of it and leaves nothing behind. Never waits for a lock
-- longer than lock_timeout. On a server without a JavaScript language (engine worker) the run is queued for a worker:
-- {"status": "queued", "run_id", "reason": "engine_worker", "detail", ...}, and maint.result(run_id) has the result later.
create or replace function maint.run(force boolean default false, "only" text[] default null,
  dry_run boolean default false)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
-- Only so that the value set below ends with this function.
set lock_timeout = '1s'
as $function$
declare
  started jsonb;
  failed_run bigint;
  failure_state text;
  failure_message text;
  failure_detail text;
  failure_hint text;
  failure_context text;
begin
  if force is null or dry_run is null then
    raise exception 'force and dry_run must be true or false, not null' using errcode = 'null_value_not_allowed';
  end if;
  if pg_catalog.to_regprocedure('maint.dispatch(jsonb)') is null then
    return maint.queue_run(force, "only", dry_run);
  end if;
  started := maint.start_run(force, "only", dry_run);
  if started ? 'skipped' then
    return started -> 'skipped';
  end if;
  perform pg_catalog.set_config('lock_timeout',
    (maint.config('operational.maintenance_tasks.lock_timeout') #>> '{}') || 'ms', true);
  -- Compiles the function where nothing catches. A cancel during a session's first compile is, in PL/V8, an error without a
  -- message, and a block that catches such a one crashes the server.
  perform maint.dispatch(null);
  begin
    return maint.dispatch(started -> 'request');
  exception when others then
    -- Not a success: the run is recorded and returned as failed. A cancel is not caught here by PostgreSQL.
    get stacked diagnostics failure_state = returned_sqlstate, failure_message = message_text,
      failure_detail = pg_exception_detail, failure_hint = pg_exception_hint,
      failure_context = pg_exception_context;
  end;
  insert into maint.run_log (status, started_at, finished_at, forced, dry_run, only_steps, engine, version, error)
  select 'failed', (started #>> '{request,now}')::timestamptz, pg_catalog.clock_timestamp(), force, dry_run,
    maint.selected_steps("only"), i.engine, i.version,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('sqlstate', failure_state,
      'message', failure_message, 'detail', nullif(failure_detail, ''), 'hint', nullif(failure_hint, ''),
      'context', failure_context))
  from maint.installation as i
  returning run_id into failed_run;
  return maint.result(failed_run);
end
$function$;
comment on function maint.run(boolean, text[], boolean) is
  'Runs maintenance: select maint.run(force => true). Returns the result dictionary, or why it was skipped.';
