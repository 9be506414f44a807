-- Writes what one step reported: its row, findings (seen again, new, resolved), gaps, alerts and queued actions.
-- record is what recordOf or failureRecord in src/core/run.ts makes.
create or replace function maint.record_step(run_id bigint, step_number int, duration_ms numeric, record jsonb)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
#variable_conflict use_column
declare
  run_started constant timestamptz := (
    select r.started_at from maint.run_log as r where r.run_id = record_step.run_id);
  new_actions bigint[];
  new_alerts bigint[];
begin
  insert into maint.step_log (run_id, step_number, name, status, reason, started_at, duration_ms, error, result,
    coverage)
  select record_step.run_id, d.step_number, d.name, record ->> 'status', record ->> 'reason',
    pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => record_step.duration_ms::float8 / 1000),
    record_step.duration_ms, record -> 'error', record -> 'result', record -> 'coverage'
  from maint.step_definition as d
  where d.step_number = record_step.step_number;

  insert into maint.finding (finding_key, run_id, step_number, kind, severity, schema_name, table_name, object_name,
    table_oid, summary, detail, remedy, first_seen, last_seen)
  select f.key, record_step.run_id, record_step.step_number, f.kind, f.severity, f.schema, f."table", f.object,
    (select c.oid::int8
     from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = f.schema and c.relname = f."table"),
    f.summary, f.detail, f.remedy, run_started, run_started
  from pg_catalog.jsonb_to_recordset(record -> 'findings') as f (key text, kind text, severity text, schema text,
    "table" text, object text, summary text, detail jsonb, remedy text)
  on conflict (finding_key) where resolved_at is null do update set
    run_id = excluded.run_id, table_oid = excluded.table_oid, severity = excluded.severity, summary = excluded.summary, detail = excluded.detail,
    remedy = excluded.remedy, last_seen = excluded.last_seen;

  update maint.finding as f set resolved_at = run_started
  where f.resolved_at is null
    and f.kind in (select pg_catalog.jsonb_array_elements_text(record -> 'examined'))
    and f.run_id <> record_step.run_id
    and f.finding_key not in (select pg_catalog.jsonb_array_elements_text(record -> 'keep_open'));

  -- Findings of other steps that would be fatal, or said twice, beside those of this one.
  update maint.finding as f set resolved_at = run_started
  where f.resolved_at is null
    and f.finding_key in (select pg_catalog.jsonb_array_elements_text(record -> 'superseded'));

  update maint.action as a set status = 'expired', finished_at = run_started,
    outcome = 'the finding was gone before the action began'
  where a.status = 'queued'
    -- An attempt has begun it: whether it was done, the worker finds out.
    and a.intent is null
    and exists (
      select from maint.finding as f
      where f.finding_id = a.finding_id and f.resolved_at is not null
        and (f.step_number = record_step.step_number
          or f.finding_key in (select pg_catalog.jsonb_array_elements_text(record -> 'superseded'))));

  -- A step that was not due has none: what it could not examine before stays so.
  if record ? 'gaps' then
    insert into maint.gap (gap_key, run_id, step_number, what, reason, standing, detail, remedy, first_seen, last_seen)
    select g.key, record_step.run_id, record_step.step_number, g.what, g.reason,
      case g.standing when 'accepted' then 'gap' else g.standing end, g.detail, g.remedy, run_started, run_started
    from pg_catalog.jsonb_to_recordset(record -> 'gaps') as g (key text, what text, reason text, standing text,
      detail text, remedy text)
    on conflict (gap_key) where resolved_at is null do update set
      run_id = excluded.run_id, detail = excluded.detail, remedy = excluded.remedy, last_seen = excluded.last_seen;

    update maint.gap as g set resolved_at = run_started
    where g.resolved_at is null and g.step_number = record_step.step_number and g.run_id <> record_step.run_id;
  end if;

  with told as (
    insert into maint.alert (run_id, step_number, severity, message, detail, created_at)
    select record_step.run_id, record_step.step_number, a.severity, a.message, coalesce(a.detail, '{}'), run_started
    from pg_catalog.jsonb_to_recordset(record -> 'alerts') as a (severity text, message text, detail jsonb)
    returning alert_id
  )
  select pg_catalog.array_agg(t.alert_id order by t.alert_id) into new_alerts from told as t;
  if maint.config('operational.alerts.notify') = 'true' then
    perform maint.announce_alert(n.alert_id) from pg_catalog.unnest(new_alerts) as n (alert_id);
  end if;

  with wanted as (
    insert into maint.action (action_key, run_id, requested_run_id, step_number, finding_id, kind, target, reason,
      evidence, queued_at)
    select a.key, record_step.run_id, record_step.run_id, record_step.step_number, f.finding_id, a.kind, a.target,
      a.reason, a.evidence, run_started
    from pg_catalog.jsonb_to_recordset(record -> 'actions') as a (key text, finding_key text, kind text, target jsonb,
      reason text, evidence jsonb)
    join maint.finding as f on f.finding_key = a.finding_key and f.resolved_at is null
    -- Its statement had to be ended by force, and would have to be again. A drop runs no code of the table's.
    where a.kind in ('drop_index', 'terminate_backend') or not exists (
      select from maint.set_aside as s
      where s.table_oid = f.table_oid and s.until > pg_catalog.clock_timestamp()
        and s.definition = maint.table_code(s.table_oid))
    on conflict (action_key) where status in ('queued', 'running') do update set
      requested_run_id = excluded.requested_run_id
    returning action_id, run_id
  )
  -- An action that was there before has its job already.
  select pg_catalog.array_agg(w.action_id order by w.action_id) into new_actions
  from wanted as w where w.run_id = record_step.run_id;
  perform maint.enqueue_action(n.action_id)
  from pg_catalog.unnest(new_actions) as n (action_id);

  perform maint.report_progress(record_step.run_id, record_step.step_number, record ->> 'status');
  return 'null';
end
$function$;
comment on function maint.record_step(bigint, int, numeric, jsonb) is 'Internal: writes what one step of a run reported.';
