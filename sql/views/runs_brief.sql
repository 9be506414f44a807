create or replace view maint.runs_brief as
select
  r.run_id,
  to_char(r.started_at, 'YYYY-MM-DD HH24:MI') as started_at,
  r.status,
  r.duration_ms,
  format('%s done, %s failed, %s skipped', r.steps_succeeded, r.steps_failed, r.steps_skipped) as steps,
  r.findings,
  maint.wrap_text(r.error, 24) as error
from maint.runs as r;
comment on view maint.runs_brief is
  'maint.runs in 120 columns: the same rows in the same order.';
comment on column maint.runs_brief.run_id is 'Number of the run, as maint.result takes it.';
comment on column maint.runs_brief.started_at is 'When it began.';
comment on column maint.runs_brief.status is 'success, partial (a step failed, or not all was examined: maint.gaps), failed, running; queued or skipped where a worker runs it.';
comment on column maint.runs_brief.duration_ms is 'Milliseconds it took; null while it runs.';
comment on column maint.runs_brief.steps is 'How many of its steps did all they had to, failed in part or whole, or were not to be done.';
comment on column maint.runs_brief.findings is 'Findings whose last sighting was this run.';
comment on column maint.runs_brief.error is 'Why the whole run failed; null for all that did not.';
