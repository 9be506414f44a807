create or replace view maint.overview as
with status as (
  select maint.status() as s
), open as (
  select
    f.finding_id,
    f.severity,
    maint.shown_summary(f.summary, f.kind, f.detail, current_user) as summary,
    f.remedy,
    row_number() over (
      order by array_position(array['critical', 'warning', 'info'], f.severity), f.last_seen desc, f.finding_id) as place
  from maint.finding as f
  where f.resolved_at is null
    and not exists (
      select from maint.finding_mute as m where m.finding_key = f.finding_key and m.until > clock_timestamp())
    -- What an action has mended since it was seen is resolved by the next run.
    and not exists (
      select from maint.action as a
      where a.finding_id = f.finding_id and a.status = 'succeeded' and a.finished_at >= f.last_seen
        and not exists (
          select from maint.action as u
          where u.status = 'succeeded' and u.evidence ->> 'undoes' = a.action_id::text))
), counts as (
  select
    count(*) filter (where o.severity = 'critical') as critical,
    count(*) filter (where o.severity = 'warning') as warning,
    count(*) filter (where o.severity = 'info') as info
  from open as o
), gaps as (
  select
    g.*,
    row_number() over (partition by g.state order by g.step, g.gap_id) as place,
    count(*) over (partition by g.state) as of_state
  from maint.gaps as g
), bypassed as (
  -- The last word of each step: one that is bypassed examined nothing.
  select d.name
  from maint.step_definition as d
  cross join lateral (
    select s.reason from maint.step_log as s
    where s.step_number = d.step_number and s.reason is distinct from 'not_due' and s.reason is distinct from 'not_selected'
    order by s.run_id desc
    limit 1) as l
  where l.reason = 'bypassed'
), done as (
  select
    count(*) as actions,
    sum(case
      when a.kind = 'drop_index' then a.size_before
      when a.kind = 'reindex_index' then a.size_before - a.size_after end) as saved,
    string_agg(distinct a.kind, ', ') as kinds
  from maint.action as a
  where a.status = 'succeeded' and a.finished_at > clock_timestamp() - interval '7 days'
), lines as (
  select
    1 as block,
    0::bigint as place,
    'health' as topic,
    case
      when s.s -> 'last_run' = 'null' then 'unknown: nothing has run yet'
      when c.critical > 0 then 'critical'
      when c.warning > 0 then 'needs attention'
      when exists (select from gaps as g where g.state = 'open') or exists (select from bypassed)
          or s.s #>> '{last_run,status}' in ('partial', 'failed')
        then 'unknown: not all was examined'
      when exists (select from gaps as g where g.state = 'not_yet') then 'nothing found yet: not all is known yet'
      else 'healthy' end
      || format(' | open: %s critical, %s warning, %s info', c.critical, c.warning, c.info)
      || case when (s.s #>> '{open_findings,muted}')::int > 0
        then format(', %s muted', s.s #>> '{open_findings,muted}') else '' end as says,
    case
      when s.s -> 'last_run' = 'null' then 'select maint.run(force => true);'
      when c.critical + c.warning + c.info > 0 then 'table maint.findings_brief;' end as command
  from status as s, counts as c
  union all
  select 2, o.place, 'needs you', format('#%s %s | %s', o.finding_id, o.severity, o.summary),
    case when maint.finding_action(o.finding_id) ->> 'refusal' is null
        then format('select maint.apply(%s);', o.finding_id)
      when o.remedy is not null
        then format('select maint.remedy(%s);', o.finding_id)
      else format('select detail from maint.findings where finding_id = %s;', o.finding_id) end
  from open as o
  where o.place <= 5
  union all
  select 2, 6, 'needs you', format('and %s more', c.critical + c.warning + c.info - 5), 'table maint.findings_brief;'
  from counts as c
  where c.critical + c.warning + c.info > 5
  union all
  select 3, g.place, 'not seen', format('%s: %s (%s)', g.step_name, g.what, g.reason),
    case when length(g.remedy) <= 60 then g.remedy else 'table maint.gaps_brief;' end
  from gaps as g
  where g.state = 'open' and g.place <= 5
  union all
  select 3, 6, 'not seen', format('and %s more', g.of_state - 5), 'table maint.gaps_brief;'
  from gaps as g
  where g.state = 'open' and g.place = 6
  union all
  select 3, 7, 'not seen', string_agg(format('%s %s', g.of_state,
      case g.state when 'accepted' then 'accepted by a person' else 'not known yet' end), ', ' order by g.state),
    'table maint.gaps_brief;'
  from gaps as g
  where g.state in ('accepted', 'not_yet') and g.place = 1
  having count(*) > 0
  union all
  select 3, 8, 'not seen', 'bypassed: ' || string_agg(y.name, ', ' order by y.name), 'table maint.steps_brief;'
  from bypassed as y
  having count(*) > 0
  union all
  select 4, 0, 'bypassed', format('%s until %s by %s: %s', b.feature, case when b.until = 'infinity' then 'further notice'
      else to_char(b.until, 'YYYY-MM-DD HH24:MI') end, b.bypassed_by, b.reason),
    format('select maint.unbypass(%L);', b.feature)
  from maint.feature_bypass as b
  where b.until > clock_timestamp()
  union all
  select 5, 0, 'done', format('%s action%s in 7 days (%s)', d.actions, case when d.actions = 1 then '' else 's' end, d.kinds)
      || case when d.saved > 0 then format(', %s given back', pg_size_pretty(d.saved)) else '' end,
    'table maint.actions_brief;'
  from done as d
  where d.actions > 0
  union all
  select 6, 0, 'under way', format('action %s | %s %s%s', a.action_id, a.kind, a.target ->> 'index',
      coalesce(' | ' || maint.action_progress(a.action_id), '')), null
  from maint.action as a
  where a.status = 'running'
  union all
  select 7, 0, 'next', format('%s action%s queued', count(*), case when count(*) = 1 then '' else 's' end)
      || coalesce(': ' || string_agg(distinct a.outcome, '; '), ''), 'table maint.actions_brief;'
  from maint.action as a
  where a.status = 'queued'
  having count(*) > 0
  union all
  select 8, 0, 'next', case
      when not (s.s ->> 'enabled')::boolean then 'no run: maintenance is disabled'
      when s.s ->> 'scheduled' = 'false' then 'no run by itself: not scheduled'
      when s.s ->> 'next_due_at' is null then 'no run: everything is bypassed'
      else 'next run due ' || case when (s.s ->> 'next_due_at')::timestamptz <= clock_timestamp() + interval '1 second'
        then 'now' else 'at ' || to_char((s.s ->> 'next_due_at')::timestamptz, 'YYYY-MM-DD HH24:MI') end
        || case when coalesce((s.s #>> '{worker,alive}')::int, 0) = 0 then ', once a worker is alive' else '' end end
      || case when s.s -> 'last_run' = 'null' then ''
        else format(', last one %s at %s', s.s #>> '{last_run,status}',
          to_char((s.s #>> '{last_run,started_at}')::timestamptz, 'YYYY-MM-DD HH24:MI')) end,
    case when not (s.s ->> 'enabled')::boolean
        then 'select maint.reset(''operational.maintenance_tasks.enabled'');'
      when s.s ->> 'scheduled' = 'false' then 'select maint.schedule(''1 hour'');' end
  from status as s
  union all
  select 9, 0, 'worker', case when coalesce((s.s #>> '{worker,alive}')::int, 0) > 0
      then format('%s alive', s.s #>> '{worker,alive}')
      else 'none is alive: what is queued is not done' end,
    case when coalesce((s.s #>> '{worker,alive}')::int, 0) = 0 then '-- in a shell: pg-maint worker' end
  from status as s
)
select
  l.topic,
  maint.wrap_text(l.says, 44) as says,
  l.command
from lines as l
order by l.block, l.place;
comment on view maint.overview is
  'Is the database healthy, what needs you, what comes next: one screen, 120 columns wide.';
comment on column maint.overview.topic is
  'health, needs you, not seen (what is not examined, and why), bypassed, done, under way, next, worker.';
comment on column maint.overview.says is 'What is to be said of it, in short lines.';
comment on column maint.overview.command is 'What to type for it: into psql, or into a shell where it says so.';
