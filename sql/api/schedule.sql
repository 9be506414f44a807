-- Lets a worker run maintenance by itself, at this interval from one run to the next: maint.schedule('30 minutes').
-- Hourly is the default. Takes effect at once, for all workers. Returns {"scheduled": true, "every", "next_due_at"}.
-- Raises 22003 on an interval shorter than a minute or longer than a week.
create or replace function maint.schedule(every interval)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  perform maint.configure('operational.maintenance_tasks.interval',
    pg_catalog.to_jsonb(pg_catalog.round(extract(epoch from every))));
  perform maint.configure('operational.maintenance_tasks.scheduled', 'true');
  perform pg_catalog.pg_notify('maint_work', 'schedule');
  return pg_catalog.jsonb_build_object('scheduled', true, 'every', every,
    'next_due_at', maint.status() -> 'next_due_at');
end
$function$;
comment on function maint.schedule(interval) is 'Lets a worker run maintenance by itself, at this interval.';
