-- Lets the workers run maintenance by themselves, at this interval from the start of one run to that of the next:
-- maint.schedule('30 minutes'). Hourly is the default once a worker runs. Takes effect at once, for all workers, without a
-- restart. Returns {"scheduled": true, "every", "next_due_at", "worker_alive": count, "detail": where none is alive}.
-- Raises 22004 on null, 22003 on an interval shorter than a minute or longer than a week, 22023 on parts of a second.
-- The due time is ours and not pg-boss's schedule: cron has no word for "every 90 minutes", and its 30 minutes are those of
-- the clock, while this interval counts from the last run, whoever started that.
create or replace function maint.schedule(every interval)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  seconds constant numeric := extract(epoch from every);
  allowed maint.setting_definition;
  alive int;
begin
  perform maint.require_primary();
  select * into allowed from maint.setting_definition as d where d.path = 'operational.maintenance_tasks.interval';
  if every is null then
    raise exception 'the interval can''t be null'
      using errcode = 'null_value_not_allowed',
      hint = 'Expected an interval such as ''30 minutes''. select maint.unschedule() stops the scheduled runs.';
  elsif seconds not between allowed.minimum and allowed.maximum then
    raise exception 'maintenance can''t run every %: it is out of range', every
      using errcode = 'numeric_value_out_of_range',
      hint = pg_catalog.format('Expected an interval from %s to %s.', pg_catalog.justify_interval(
        pg_catalog.make_interval(secs => allowed.minimum::float8)), pg_catalog.justify_interval(
        pg_catalog.make_interval(secs => allowed.maximum::float8)));
  elsif seconds <> pg_catalog.trunc(seconds) then
    raise exception 'maintenance can''t run every %: it is not a whole number of seconds', every
      using errcode = 'invalid_parameter_value', hint = 'Expected an interval such as ''30 minutes''.';
  end if;
  perform maint.configure('operational.maintenance_tasks.interval', pg_catalog.to_jsonb(seconds::int));
  perform maint.configure('operational.maintenance_tasks.scheduled', 'true');
  alive := coalesce((maint.status() #>> '{worker,alive}')::int, 0);
  return pg_catalog.jsonb_build_object('scheduled', true, 'every', every, 'next_due_at', maint.next_due_at(),
      'worker_alive', alive)
    || case when alive = 0
      then '{"detail": "no worker is alive: nothing runs until one is started (pg-maint worker)"}'::jsonb
      else '{}' end;
end
$function$;
comment on function maint.schedule(interval) is
  'Lets the workers run maintenance by themselves, at this interval: select maint.schedule(''30 minutes'').';
