-- The guards of a run, and what it needs to know. Returns {"skipped": {...}} or {"request": {...}} (RunRequest in
-- src/core/run.ts). Waits for nothing; holds the run lock to the end of the transaction when it returns a request.
create or replace function maint.start_run(force boolean, "only" text[], dry_run boolean)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  holder jsonb;
  selected int[];
  everything maint.feature_bypass;
  every interval;
  last_start timestamptz;
begin
  if pg_catalog.pg_is_in_recovery() then
    return maint.skipped('standby', 'this server is a standby: run pg-maint on the primary');
  end if;
  if pg_catalog.current_setting('transaction_read_only')::boolean then
    return maint.skipped('read_only',
      'the transaction is read-only: begin it read write (see default_transaction_read_only)');
  end if;
  selected := maint.selected_steps("only");
  if not maint.config('operational.maintenance_tasks.enabled')::boolean then
    return maint.skipped('disabled', 'operational.maintenance_tasks.enabled is false');
  end if;
  select * into everything from maint.feature_bypass as b
  where b.feature = 'everything' and b.until > pg_catalog.clock_timestamp();
  if found then
    return maint.skipped('bypassed', pg_catalog.format('everything is bypassed by %s until %s: %s',
      everything.bypassed_by, everything.until, everything.reason));
  end if;
  perform from maint.lock as l where l.name = 'run' for update skip locked;
  if not found then
    holder := maint.lock_holder('run');
    return maint.skipped('already_running', 'another session is running maintenance in this database'
      || coalesce(pg_catalog.format(': process %s (role %s, application %s), since %s', holder ->> 'pid', holder ->> 'role',
        pg_catalog.quote_literal(holder ->> 'application'), coalesce(holder ->> 'since', 'unknown')), ''));
  end if;
  perform maint.correct_future_times();
  perform maint.take_back_actions();
  every := pg_catalog.make_interval(secs => maint.config('operational.maintenance_tasks.interval')::int);
  select pg_catalog.max(r.started_at) into last_start from maint.run_log as r
  where r.status in ('success', 'partial') and r.only_steps is null and not r.dry_run;
  if not force and last_start + every > pg_catalog.clock_timestamp() then
    return maint.skipped('not_due', pg_catalog.format(
      'the last run began at %s and the interval is %s: next at %s; force => true runs now',
      last_start, every, last_start + every));
  end if;

  perform maint.end_stale_runs();
  return pg_catalog.jsonb_build_object('request', pg_catalog.jsonb_build_object(
    'now', pg_catalog.clock_timestamp(),
    'server_version', pg_catalog.current_setting('server_version_num')::int,
    'force', force,
    'dry_run', dry_run,
    'only', pg_catalog.to_jsonb(selected),
    'settings', maint.settings_snapshot(),
    'bypasses', coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(b) order by b.feature)
      from maint.feature_bypass as b
      where b.until > pg_catalog.clock_timestamp()), '[]'),
    'muted', coalesce((
      select pg_catalog.jsonb_agg(m.finding_key order by m.finding_key)
      from maint.finding_mute as m
      where m.until > pg_catalog.clock_timestamp()), '[]'),
    'accepted', coalesce((
      select pg_catalog.jsonb_agg(a.gap_key order by a.gap_key)
      from maint.gap_acceptance as a
      where a.until > pg_catalog.clock_timestamp()), '[]'),
    'seconds_since_success', coalesce((
      select pg_catalog.jsonb_object_agg(s.step_number,
        extract(epoch from pg_catalog.clock_timestamp() - s.last_success))
      from (
        select d.step_number, (
          select pg_catalog.max(l.started_at) from maint.step_log as l
          where l.step_number = d.step_number and l.status in ('success', 'partial')) as last_success
        from maint.step_definition as d
      ) as s
      where s.last_success is not null), '{}')
  ));
end
$function$;
comment on function maint.start_run(boolean, text[], boolean) is 'Internal: the guards of a run, and what it needs to know.';
