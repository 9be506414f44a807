-- When a worker runs maintenance next by itself; null for never: disabled, not scheduled, or everything bypassed for
-- ever. Only runs of all steps count, and no dry ones. One that failed as a whole is tried again before its interval.
create or replace function maint.next_due_at()
returns timestamptz
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select greatest(clock_timestamp(), due.by_interval, due.after_failure, due.bypassed_until)
  from (
    select
      (select max(r.started_at) from maint.run_log as r
        where r.status in ('success', 'partial') and r.only_steps is null and not r.dry_run) + every.run as by_interval,
      -- Soon is of no use where every run fails, and costs the server; late leaves what passed by itself unrepaired.
      (select max(r.started_at) from maint.run_log as r
        where r.status = 'failed' and r.only_steps is null and not r.dry_run)
        + least(every.run, interval '5 minutes') as after_failure,
      (select b.until from maint.feature_bypass as b where b.feature = 'everything') as bypassed_until
    from (
      select make_interval(secs => maint.config('operational.maintenance_tasks.interval')::int) as run
    ) as every
  ) as due
  where maint.config('operational.maintenance_tasks.enabled')::boolean
    and maint.config('operational.maintenance_tasks.scheduled')::boolean
    and coalesce(due.bypassed_until, '-infinity') < 'infinity'
$function$;
comment on function maint.next_due_at() is
  'Internal: when a worker runs maintenance next by itself; null for never.';
