-- Queues an action that somebody asked for by name, with its job. Returns {"action_id", "status", "kind", "target",
-- "already": whether such an action was under way or waiting before}.
create or replace function maint.queue_action(kind text, target jsonb, step_number int, run_id bigint,
  finding_id bigint, reason text, evidence jsonb)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  key constant text := maint.json_key(kind, target ->> 'schema',
    case when kind = 'analyze_table' then target ->> 'table' else target ->> 'index' end);
  action maint.action;
  already boolean := false;
begin
  insert into maint.action as a (action_key, run_id, requested_run_id, step_number, finding_id, kind, target, reason,
    evidence, queued_at)
  values (key, queue_action.run_id, queue_action.run_id, queue_action.step_number, queue_action.finding_id,
    queue_action.kind, queue_action.target, queue_action.reason,
    queue_action.evidence || pg_catalog.jsonb_build_object('explicit', true, 'requested_by', session_user),
    pg_catalog.clock_timestamp())
  on conflict (action_key) where status in ('queued', 'running') do nothing
  returning a.* into action;
  if action.action_id is null then
    already := true;
    select a.* into action from maint.action as a
    where a.action_key = key and a.status in ('queued', 'running');
  else
    perform maint.enqueue_action(action.action_id);
  end if;
  return pg_catalog.jsonb_build_object('action_id', action.action_id, 'status', action.status, 'kind', action.kind,
    'target', action.target, 'already', already);
end
$function$;
comment on function maint.queue_action(text, jsonb, int, bigint, bigint, text, jsonb) is
  'Internal: queues an action that somebody asked for.';
