-- Takes back an action that is queued. Returns {"action_id", "status": "skipped"}. One that has begun is not stopped:
-- a concurrent statement that is cut off leaves an invalid index. Raises 22023 on an action that is not queued. What found
-- it may queue it again with the next run: mute the finding, or switch auto_* off.
create or replace function maint.cancel(action_id bigint)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  now_status text;
begin
  perform maint.require_primary();
  update maint.action as a set status = 'skipped', finished_at = pg_catalog.clock_timestamp(),
    outcome = 'cancelled by ' || session_user
  where a.action_id = cancel.action_id and a.status = 'queued';
  if found then
    return pg_catalog.jsonb_build_object('action_id', action_id, 'status', 'skipped');
  end if;
  select a.status into now_status from maint.action as a where a.action_id = cancel.action_id;
  if now_status is null then
    raise exception 'there is no action %', coalesce(action_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.actions.action_id.';
  end if;
  raise exception 'action % is not queued but %', action_id, now_status
    using errcode = 'invalid_parameter_value',
    hint = case when now_status = 'running' then 'It is finished, and maint.undo brings back what it dropped.'
      when now_status = 'succeeded' then 'select maint.undo(' || action_id || ') undoes it where that can be.'
      else 'It is over, and there is nothing left to take back.' end;
end
$function$;
comment on function maint.cancel(bigint) is 'Takes back a queued action; one that has begun is not stopped.';
