create or replace view maint.actions as
select
  a.action_id,
  a.status,
  a.kind,
  coalesce(
    format('%I.%I', a.target ->> 'schema', coalesce(a.target ->> 'index', a.target ->> 'table')),
    'pid ' || (a.target ->> 'pid'), '') as object,
  a.target ->> 'schema' as schema_name,
  a.target ->> 'table' as table_name,
  a.target ->> 'index' as object_name,
  a.reason,
  a.outcome,
  case when a.status = 'running' then maint.action_progress(a.action_id) end as progress,
  a.statement,
  a.run_id,
  a.requested_run_id as last_run_id,
  a.step_number as step,
  a.finding_id,
  a.attempts,
  a.queued_at,
  a.started_at,
  a.finished_at,
  pg_size_pretty(a.size_before) || coalesce(' -> ' || case when a.status = 'succeeded' and a.kind = 'drop_index'
    then pg_size_pretty(0::bigint) else pg_size_pretty(a.size_after) end, '') as size,
  a.size_before,
  a.size_after,
  a.evidence,
  a.inverse,
  a.error ->> 'message' as error,
  a.target
from maint.action as a
order by
  array_position(array['running', 'queued'], a.status),
  coalesce(a.finished_at, a.queued_at) desc,
  a.action_id desc;
comment on view maint.actions is
  'What pg-maint does, wants to do and did: running and queued actions first, then the newest.';
comment on column maint.actions.action_id is 'Number of the action.';
comment on column maint.actions.status is 'queued, running, succeeded, failed, skipped or expired.';
comment on column maint.actions.kind is 'What is done, for instance drop_index.';
comment on column maint.actions.object is 'Its object, quoted as it must be typed.';
comment on column maint.actions.last_run_id is 'The last run that wanted it.';
comment on column maint.actions.schema_name is 'Schema of its object, not quoted.';
comment on column maint.actions.table_name is 'Table of its object, not quoted.';
comment on column maint.actions.object_name is 'Its object, not quoted.';
comment on column maint.actions.reason is 'Why it is wanted.';
comment on column maint.actions.outcome is 'What became of it, in words.';
comment on column maint.actions.progress is 'How far a running one has come, where the server tells.';
comment on column maint.actions.statement is 'The statement that was run; null before.';
comment on column maint.actions.run_id is 'The run that queued it.';
comment on column maint.actions.step is 'Number of the step that wants it.';
comment on column maint.actions.finding_id is 'The finding it would resolve.';
comment on column maint.actions.attempts is 'How often it was begun.';
comment on column maint.actions.queued_at is 'When it was queued.';
comment on column maint.actions.started_at is 'When it was begun last.';
comment on column maint.actions.finished_at is 'When it ended, however it did.';
comment on column maint.actions.size is 'Size of the object before and after, for people.';
comment on column maint.actions.size_before is 'Bytes of the object before.';
comment on column maint.actions.size_after is 'Bytes of the object after.';
comment on column maint.actions.evidence is 'What the decision rests on.';
comment on column maint.actions.inverse is 'What would undo it.';
comment on column maint.actions.error is 'Message of the error that ended it.';
comment on column maint.actions.target is 'The object, as the worker is told.';
