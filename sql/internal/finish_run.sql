-- Closes a run, forgets what is older than the retention, and returns the result dictionary. Internal.
create or replace function maint.finish_run(run_id bigint)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  keep_since constant timestamptz := pg_catalog.clock_timestamp()
    - pg_catalog.make_interval(days => maint.config('operational.maintenance_tasks.retention_days')::int);
  result jsonb;
begin
  update maint.run_log as r set
    finished_at = pg_catalog.clock_timestamp(),
    status = case when exists (
        select from maint.step_log as s
        where s.run_id = r.run_id and s.status in ('partial', 'failed', 'timed_out')
          -- Not so where all that a step could not examine was accepted by a person.
          and s.coverage @> '{"unexamined": [{"standing": "gap"}]}' is not false)
      then 'partial' else 'success' end
  where r.run_id = finish_run.run_id;

  delete from maint.action as a where a.finished_at < keep_since;
  delete from maint.finding as f where f.resolved_at < keep_since;
  delete from maint.gap as g where g.resolved_at < keep_since;
  delete from maint.run_log as r where r.started_at < keep_since;

  result := maint.result(finish_run.run_id);
  if (select r.dry_run from maint.run_log as r where r.run_id = finish_run.run_id) then
    -- Its rows are rolled back: the dictionary is all there will be.
    result := (result - 'run_id') || pg_catalog.jsonb_build_object(
      'dry_run', true,
      'would_report', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'step', f.step_number, 'kind', f.kind, 'severity', f.severity,
          'summary', maint.shown_summary(f.summary, f.kind, f.detail, session_user), 'remedy', f.remedy)
          order by f.step_number, f.finding_id)
        from maint.finding as f where f.run_id = finish_run.run_id), '[]'),
      'would_queue', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'kind', a.kind, 'target', a.target, 'reason', a.reason) order by a.action_id)
        from maint.action as a where a.run_id = finish_run.run_id), '[]'));
  end if;
  return result;
end
$function$;
comment on function maint.finish_run(bigint) is 'Internal: closes a run and returns its result.';
