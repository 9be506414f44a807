create or replace view maint.runs as
select
  r.run_id,
  r.started_at,
  r.status,
  round(extract(epoch from r.finished_at - r.started_at) * 1000, 1) as duration_ms,
  steps.succeeded as steps_succeeded,
  steps.failed as steps_failed,
  steps.skipped as steps_skipped,
  (select count(*) from maint.finding as f where f.run_id = r.run_id) as findings,
  (select count(*) from maint.action as a where a.run_id = r.run_id) as actions_queued,
  r.forced,
  r.only_steps,
  r.requested_by,
  r.engine,
  r.version,
  r.error ->> 'message' as error
from maint.run_log as r
cross join lateral (
  select
    count(*) filter (where s.status = 'success') as succeeded,
    count(*) filter (where s.status in ('partial', 'failed', 'timed_out')) as failed,
    count(*) filter (where s.status = 'skipped') as skipped
  from maint.step_log as s
  where s.run_id = r.run_id
) as steps
order by r.started_at desc, r.run_id desc;
comment on view maint.runs is 'Maintenance runs, the newest first. maint.result(run_id) has all of one.';
comment on column maint.runs.run_id is 'Number of the run.';
comment on column maint.runs.started_at is 'When it began.';
comment on column maint.runs.status is 'success, partial (a step failed, or not all was examined: maint.gaps), failed, running; queued or skipped where a worker runs it.';
comment on column maint.runs.duration_ms is 'Milliseconds it took; null while it runs.';
comment on column maint.runs.steps_succeeded is 'Steps that did all they had to.';
comment on column maint.runs.steps_failed is 'Steps that failed, in part or whole, or ran out of time; maint.steps says why.';
comment on column maint.runs.steps_skipped is 'Steps that were not due, not selected, disabled or bypassed.';
comment on column maint.runs.findings is 'Findings whose last sighting was this run.';
comment on column maint.runs.actions_queued is 'Actions that this run was the first to queue.';
comment on column maint.runs.forced is 'Whether it was told to ignore the intervals.';
comment on column maint.runs.only_steps is 'Numbers of the steps it was told to do; null means all.';
comment on column maint.runs.requested_by is 'Who called it.';
comment on column maint.runs.engine is 'What ran the checks: plv8, maint_v8 or worker.';
comment on column maint.runs.version is 'Version of pg-maint that ran.';
comment on column maint.runs.error is 'Why the whole run failed; null for all that did not.';
