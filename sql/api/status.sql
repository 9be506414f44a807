-- What is installed and how it stands now:
-- {"version", "engine", "engine_version", "engine_extension", "server_version", "schema_version", "installed_at",
--  "enabled", "last_run": {"run_id", "status", "started_at", "duration_ms"} | null,
--  "scheduled": boolean, "every": interval, "next_due_at": time | null,
--  "running": {"pid", "since", "role", "application"} | null, "bypasses": [{"feature", "reason", "bypassed_by", "since", "until"}],
--  "open_findings": {"critical", "warning", "info", "muted"},
--  "unexamined": {"open", "accepted", "not_yet", "chosen"}, "queued_actions": count,
--  "queued_runs": count, "worker": {"alive": count, "last_seen", "workers": [...]} | null,
--  "problems": [{"problem", "detail", "fix"}]}
-- next_due_at is when a worker runs maintenance by itself, where one is alive; null while none will: disabled, not
-- scheduled, or everything bypassed for ever. open_findings counts a muted finding under muted only. queued_runs wait for a
-- worker (engine worker). worker is null when none has reported within a day; one is alive while it was seen within 90 s.
-- problems is what keeps it from doing its work, as maint.problems has it; engine_version is null where the language is gone.
create or replace function maint.status()
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
  select jsonb_build_object(
    'version', i.version,
    'engine', i.engine,
    'engine_version', engine.version,
    'engine_extension', engine.extension,
    'server_version', current_setting('server_version'),
    'schema_version', (select max(m.version) from maint.migration as m),
    'installed_at', i.installed_at,
    'enabled', maint.config('operational.maintenance_tasks.enabled'),
    'last_run', (
      select jsonb_build_object('run_id', r.run_id, 'status', r.status, 'started_at', r.started_at,
        'duration_ms', round(extract(epoch from r.finished_at - r.started_at) * 1000, 1))
      from maint.run_log as r
      where r.status not in ('queued', 'skipped') and not r.dry_run
      order by r.started_at desc, r.run_id desc limit 1),
    'scheduled', maint.config('operational.maintenance_tasks.scheduled'),
    'every', make_interval(secs => maint.config('operational.maintenance_tasks.interval')::int),
    'next_due_at', maint.next_due_at(),
    'running', maint.lock_holder('run'),
    'bypasses', coalesce((
      select jsonb_agg(to_jsonb(b) order by b.feature) from maint.feature_bypass as b
      where b.until > clock_timestamp()), '[]'),
    'open_findings', (
      select jsonb_build_object(
        'critical', count(*) filter (where m.finding_key is null and f.severity = 'critical'),
        'warning', count(*) filter (where m.finding_key is null and f.severity = 'warning'),
        'info', count(*) filter (where m.finding_key is null and f.severity = 'info'),
        'muted', count(m.finding_key))
      from maint.finding as f
      left join maint.finding_mute as m on m.finding_key = f.finding_key and m.until > clock_timestamp()
      where f.resolved_at is null),
    'unexamined', (
      select jsonb_build_object(
        'open', count(*) filter (where g.state = 'open'),
        'accepted', count(*) filter (where g.state = 'accepted'),
        'not_yet', count(*) filter (where g.state = 'not_yet'),
        'chosen', count(*) filter (where g.state = 'chosen'))
      from maint.gaps as g),
    'queued_actions', (select count(*) from maint.action as a where a.status = 'queued'),
    'problems', maint.problems(),
    'queued_runs', (select count(*) from maint.run_log as r where r.status = 'queued'),
    'worker', (
      select jsonb_build_object(
        'alive', count(*) filter (where w.last_seen > clock_timestamp() - interval '90 seconds'
          -- Not before the clock was set back.
          and w.last_seen <= clock_timestamp() + interval '1 minute'),
        'last_seen', max(w.last_seen),
        'workers', jsonb_agg(jsonb_build_object('worker_id', w.worker_id, 'host', w.host, 'pid', w.pid,
          'version', w.version, 'started_at', w.started_at, 'last_seen', w.last_seen)
          order by w.last_seen desc, w.worker_id))
      from maint.worker as w
      having count(*) > 0))
  from maint.installation as i
  left join lateral (
    select e.extversion as version, e.extname as extension
    from pg_language as l
    left join pg_depend as d
      on d.classid = 'pg_language'::regclass and d.objid = l.oid and d.refclassid = 'pg_extension'::regclass
        and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
    where l.lanname = i.engine
  ) as engine on true
$function$;
comment on function maint.status() is
  'What is installed and how it stands: engine, last and next run, bypasses, open findings, queued actions.';
