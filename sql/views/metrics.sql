create or replace view maint.metrics as
with status as (
  select maint.status() as s
), measured (name, labels, value, help) as (
  select 'pg_maint_info', jsonb_build_object('version', s.s ->> 'version', 'engine', s.s ->> 'engine',
      'server_version', s.s ->> 'server_version'), 1::float8, 'What is installed; always 1.'
  from status as s
  union all
  select 'pg_maint_enabled', '{}', (s.s ->> 'enabled')::boolean::int, 'Whether maintenance is enabled.'
  from status as s
  union all
  select 'pg_maint_last_run_timestamp_seconds', '{}', extract(epoch from (s.s #>> '{last_run,started_at}')::timestamptz),
    'When the last run began.'
  from status as s
  union all
  select 'pg_maint_last_run_duration_seconds', '{}', (s.s #>> '{last_run,duration_ms}')::float8 / 1000,
    'How long the last run took.'
  from status as s
  union all
  select 'pg_maint_last_run_complete', '{}',
    ((s.s #>> '{last_run,status}') = 'success' and (s.s #>> '{unexamined,open}')::int = 0)::int,
    'Whether no step of the last run failed, and all was examined, or accepted as not examined.'
  from status as s
  union all
  select 'pg_maint_next_run_timestamp_seconds', '{}', extract(epoch from (s.s ->> 'next_due_at')::timestamptz),
    'When the next run is due; absent while none will run by itself.'
  from status as s
  union all
  select 'pg_maint_workers_alive', '{}', coalesce((s.s #>> '{worker,alive}')::int, 0),
    'Workers seen within the last 90 seconds.'
  from status as s
  union all
  select 'pg_maint_bypasses', '{}', jsonb_array_length(s.s -> 'bypasses'), 'Bypasses in force.'
  from status as s
  union all
  select 'pg_maint_step_last_success_timestamp_seconds', jsonb_build_object('step', d.name),
    extract(epoch from max(l.started_at)), 'When the step last did its work, in part or whole.'
  from maint.step_definition as d
  join maint.step_log as l on l.step_number = d.step_number and l.status in ('success', 'partial')
  group by d.name
  union all
  select 'pg_maint_step_duration_seconds', jsonb_build_object('step', d.name), l.duration_ms / 1000,
    'How long the step took when it last did its work.'
  from maint.step_definition as d
  cross join lateral (
    select s.duration_ms from maint.step_log as s
    where s.step_number = d.step_number and s.status in ('success', 'partial')
    order by s.started_at desc limit 1) as l
  union all
  select 'pg_maint_step_unexamined', jsonb_build_object('step', g.step_name, 'reason', g.reason, 'state', g.state), count(*),
    'What a step could not examine, and why; a person accepts it with maint.accept_gap. Absent for the others.'
  from maint.gaps as g
  where g.state <> 'chosen'
  group by g.step_name, g.reason, g.state
  union all
  select 'pg_maint_findings_open', jsonb_build_object('severity', v.severity),
    (s.s #>> array['open_findings', v.severity])::int, 'Open findings that are not muted.'
  from status as s, (values ('critical'), ('warning'), ('info')) as v (severity)
  union all
  select 'pg_maint_findings_muted', '{}', (s.s #>> '{open_findings,muted}')::int, 'Open findings that are muted.'
  from status as s
  union all
  select 'pg_maint_findings_open_by_kind', jsonb_build_object('kind', f.kind, 'severity', f.severity), count(*),
    'Open findings by kind, muted ones included; absent for kinds without any.'
  from maint.finding as f
  where f.resolved_at is null
  group by f.kind, f.severity
  union all
  select 'pg_maint_actions', jsonb_build_object('kind', a.kind, 'status', a.status), count(*),
    'Actions on record; finished ones are forgotten after operational.maintenance_tasks.retention_days.'
  from maint.action as a
  group by a.kind, a.status
  union all
  select 'pg_maint_actions_waiting', '{}', count(*), 'Actions that are queued.'
  from maint.action as a
  where a.status = 'queued'
  union all
  select 'pg_maint_saved_bytes', jsonb_build_object('kind', a.kind),
    sum(a.size_before - case when a.kind = 'drop_index' then 0 else a.size_after end),
    'Bytes that the actions on record gave back to the file system.'
  from maint.action as a
  where a.status = 'succeeded' and a.kind in ('drop_index', 'reindex_index')
  group by a.kind
  union all
  select 'pg_maint_safeguard_refusals', jsonb_build_object('safeguard', e.safeguard), count(*),
    'How often each safeguard held an action back within 24 hours.'
  from maint.safeguard_event as e
  where e.event = 'refused' and e.at > clock_timestamp() - interval '24 hours'
  group by e.safeguard
  union all
  select 'pg_maint_action_events', jsonb_build_object('event', v.event), count(e.event_id),
    'Attempts, successes, failures and lock timeouts of actions within 24 hours.'
  from (values ('attempt'), ('success'), ('failure'), ('lock_timeout')) as v (event)
  left join maint.safeguard_event as e on e.event = v.event and e.at > clock_timestamp() - interval '24 hours'
  group by v.event
  union all
  select 'pg_maint_indexes', jsonb_build_object('verdict', m.verdict), count(*), 'Indexes by the verdict of step 7.'
  from maint.index_measurement as m
  group by m.verdict
  union all
  select 'pg_maint_index_wasted_bytes', '{}', sum(m.wasted_bytes),
    'Bytes that a rebuild of all measured indexes would give back.'
  from maint.index_measurement as m
  union all
  select 'pg_maint_index_measured_bytes', '{}', sum(m.size_bytes) filter (where m.bloat_percent is not null),
    'Size of all indexes whose bloat is known.'
  from maint.index_measurement as m
)
select
  m.name,
  m.labels,
  m.value,
  m.help
from measured as m
where m.value is not null
order by m.name, m.labels;
comment on view maint.metrics is
  'Gauges for any exporter, as pg-maint worker --metrics-port serves them. What is not known has no row.';
comment on column maint.metrics.name is 'Name of the gauge, as Prometheus wants it.';
comment on column maint.metrics.labels is 'Its labels; their number is bounded by the steps and kinds there are, not by your objects.';
comment on column maint.metrics.value is 'Its value; times in seconds since 1970, sizes in bytes.';
comment on column maint.metrics.help is 'What it says.';
