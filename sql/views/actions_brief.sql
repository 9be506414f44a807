create or replace view maint.actions_brief as
select
  a.action_id,
  a.status,
  to_char(coalesce(a.finished_at, a.started_at, a.queued_at), 'YYYY-MM-DD HH24:MI') as at,
  maint.wrap_text(a.kind || ' ' || a.object, 30) as what,
  maint.wrap_text(a.size, 9) as size,
  maint.wrap_text(coalesce(a.progress, a.error, a.outcome, a.reason), 28) as outcome
from maint.actions as a;
comment on view maint.actions_brief is
  'maint.actions in 120 columns: the same rows in the same order.';
comment on column maint.actions_brief.action_id is 'Number of the action, as maint.undo and maint.cancel take it.';
comment on column maint.actions_brief.status is 'queued, running, succeeded, failed, skipped or expired.';
comment on column maint.actions_brief.at is 'When it ended, else when it was begun, else when it was queued.';
comment on column maint.actions_brief.what is 'What is done to which object, quoted as it must be typed.';
comment on column maint.actions_brief.size is 'Size of the object before and after.';
comment on column maint.actions_brief.outcome is 'How far it is, or what became of it, or why it is wanted.';
