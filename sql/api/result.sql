-- The result dictionary of a run as it stands now: counts of things cleaned follow the actions as they finish.
-- A run that waits for a worker, or that a worker is at (engine worker), has "status": "queued" and "progress": the step
-- that ended last | null. Raises 22023 when there is no such run.
create or replace function maint.result(run_id bigint)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  run maint.run_log;
  cleanup jsonb;
  tally record;
begin
  select * into run from maint.run_log as r where r.run_id = result.run_id;
  if not found then
    raise exception 'there is no run %', coalesce(result.run_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'maint.runs lists the runs; dry runs and skipped ones leave no row.';
  end if;
  if run.answer is not null then
    return run.answer || pg_catalog.jsonb_build_object('run_id', run.run_id);
  end if;
  cleanup := coalesce((
    select pg_catalog.jsonb_object_agg(part.key, part.value)
    from maint.step_log as s, pg_catalog.jsonb_each(s.result -> 'cleanup') as part
    where s.run_id = run.run_id), '{}');
  for tally in
    select pg_catalog.string_to_array(counts.result_key, '.') as path, done.*
    from maint.step_log as s
    join maint.step_definition as d using (step_number)
    cross join pg_catalog.jsonb_each_text(d.action_counts) as counts (result_key, action_kind)
    cross join lateral (
      select pg_catalog.count(*) filter (where a.status = 'succeeded') as succeeded,
        pg_catalog.count(*) filter (where a.status in ('queued', 'running')) as queued,
        pg_catalog.count(*) filter (where a.status in ('failed', 'skipped')) as failed
      from maint.action as a
      where a.requested_run_id = run.run_id and a.step_number = s.step_number
        and a.kind = counts.action_kind
    ) as done
    where s.run_id = run.run_id and s.status in ('success', 'partial')
  loop
    cleanup := pg_catalog.jsonb_set(cleanup, tally.path, pg_catalog.to_jsonb(tally.succeeded));
    cleanup := pg_catalog.jsonb_set(cleanup,
      (tally.path)[:array_length(tally.path, 1) - 1] || ((tally.path)[array_length(tally.path, 1)] || '_queued'),
      pg_catalog.to_jsonb(tally.queued));
    -- A success that the step claims for itself is one only when its actions have succeeded, too.
    if array_length(tally.path, 1) > 1 and cleanup #> array[(tally.path)[1], 'success'] = 'true' then
      cleanup := pg_catalog.jsonb_set(cleanup, array[(tally.path)[1], 'success'],
        case when tally.failed > 0 then 'false' when tally.queued > 0 then 'null' else 'true' end::jsonb);
    end if;
  end loop;

  return pg_catalog.jsonb_build_object(
      'run_id', run.run_id,
      'timestamp', run.started_at,
      'status', run.status,
      'duration_ms', round(extract(epoch from run.finished_at - run.started_at) * 1000, 1),
      'engine', run.engine)
    || case when run.error is null then '{}' else pg_catalog.jsonb_build_object('error', run.error) end
    || case when run.status <> 'queued' then '{}' else pg_catalog.jsonb_build_object('progress', (
      -- A worker's transaction shows nothing else before its end: see maint.report_progress.
      select pg_catalog.substring(a.application_name, '^pg-maint run [0-9]+: (.*)$')
      from pg_catalog.pg_stat_activity as a
      where a.datname = pg_catalog.current_database()
        and pg_catalog.starts_with(a.application_name, pg_catalog.format('pg-maint run %s: ', run.run_id))
      order by a.pid limit 1)) end
    || coalesce((
      select pg_catalog.jsonb_object_agg(part.key, part.value)
      from maint.step_log as s, pg_catalog.jsonb_each(s.result) as part
      where s.run_id = run.run_id and part.key <> 'cleanup'), '{}')
    || pg_catalog.jsonb_build_object(
      'cleanup', cleanup,
      'steps', coalesce((
        select pg_catalog.jsonb_object_agg(s.name, pg_catalog.jsonb_build_object(
          'number', s.step_number, 'status', s.status, 'reason', s.reason,
          'duration_ms', round(s.duration_ms, 1), 'error', s.error, 'coverage', s.coverage))
        from maint.step_log as s where s.run_id = run.run_id), '{}'),
      -- Counts of what this run did not examine: maint.gaps names it.
      'unexamined', (
        select pg_catalog.jsonb_build_object(
          'gap', pg_catalog.count(*) filter (where u.standing = 'gap'),
          'accepted', pg_catalog.count(*) filter (where u.standing = 'accepted'),
          'not_yet', pg_catalog.count(*) filter (where u.standing = 'not_yet'),
          'chosen', pg_catalog.count(*) filter (where u.standing = 'chosen'))
        from maint.step_log as s
        cross join pg_catalog.jsonb_to_recordset(s.coverage -> 'unexamined') as u (standing text)
        where s.run_id = run.run_id),
      'findings', (
        select pg_catalog.jsonb_build_object(
          'critical', pg_catalog.count(*) filter (where f.severity = 'critical'),
          'warning', pg_catalog.count(*) filter (where f.severity = 'warning'),
          'info', pg_catalog.count(*) filter (where f.severity = 'info'))
        from maint.finding as f where f.run_id = run.run_id),
      'actions', coalesce((
        select pg_catalog.jsonb_object_agg(counted.status, counted.actions)
        from (
          select a.status, pg_catalog.count(*) as actions from maint.action as a
          where a.requested_run_id = run.run_id group by a.status) as counted), '{}'),
      'alerts', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'step', a.step_number, 'severity', a.severity, 'message', a.message) order by a.alert_id)
        from maint.alert as a where a.run_id = run.run_id), '[]'));
end
$function$;
comment on function maint.result(bigint) is
  'The result dictionary of a run as it stands now; counts follow the actions as they finish.';
