create or replace view maint.steps as
select
  s.run_id,
  s.step_number as step,
  s.name,
  s.status,
  s.reason,
  round(s.duration_ms, 1) as duration_ms,
  s.started_at,
  d.title,
  s.error ->> 'message' as error,
  s.error ->> 'sqlstate' as sqlstate,
  s.error as error_detail,
  s.result,
  s.coverage
from maint.step_log as s
left join maint.step_definition as d using (step_number)
order by s.run_id desc, s.step_number;
comment on view maint.steps is 'What became of each step of each run, the newest run first.';
comment on column maint.steps.run_id is 'The run it belongs to.';
comment on column maint.steps.step is 'Number of the step.';
comment on column maint.steps.name is 'Name of the step, as maint.run takes it.';
comment on column maint.steps.status is 'success, partial (it could not examine all: maint.gaps), failed, timed_out, or skipped.';
comment on column maint.steps.reason is
  'What it could not examine first; or why it did not run or failed: not_due, not_selected, disabled, bypassed, not_permitted, timed_out, locked, failed.';
comment on column maint.steps.duration_ms is 'Milliseconds it took.';
comment on column maint.steps.started_at is 'When it began.';
comment on column maint.steps.title is 'What the step does; null when this version does not have it any more.';
comment on column maint.steps.error is 'Message of the error that ended it.';
comment on column maint.steps.sqlstate is 'SQLSTATE of that error; JS000 where no server was involved.';
comment on column maint.steps.error_detail is 'All that is known of that error.';
comment on column maint.steps.coverage is
  'What it could examine: {"examined", "of", "unexamined": [{"what", "reason", "detail", "remedy", "standing"}]}.';
comment on column maint.steps.result is 'Its part of the run''s result.';
