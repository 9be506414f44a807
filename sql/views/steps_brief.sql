create or replace view maint.steps_brief as
select
  s.run_id,
  s.step,
  s.name,
  s.status,
  s.duration_ms,
  maint.wrap_text(concat_ws(': ', s.reason, s.error), 47) as why
from maint.steps as s;
comment on view maint.steps_brief is
  'maint.steps in 120 columns: the same rows in the same order.';
comment on column maint.steps_brief.run_id is 'The run it belongs to.';
comment on column maint.steps_brief.step is 'Number of the step.';
comment on column maint.steps_brief.name is 'Name of the step, as maint.run takes it.';
comment on column maint.steps_brief.status is 'success, partial (it could not examine all: maint.gaps), failed, timed_out, or skipped.';
comment on column maint.steps_brief.duration_ms is 'Milliseconds it took.';
comment on column maint.steps_brief.why is 'Why it did not succeed, with the message of the error.';
