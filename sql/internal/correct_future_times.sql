-- Brings times of the past that lie in the future to now: the server's clock was ahead when they were written, and has been
-- set back since. Without this, what waits for an interval since then waits until the clock has come there again: runs,
-- steps, chores, limits and rates of actions, jobs, a worker that is taken for alive. Where one row shows that it happened, all tables
-- are corrected. Returns how many rows were.
create or replace function maint.correct_future_times()
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  -- Small steps of a clock are usual and cost no more than their length; a longer tolerance lets dead workers seem alive.
  tolerance constant interval := '1 minute';
  moment constant timestamptz := pg_catalog.clock_timestamp();
  latest constant timestamptz := moment + tolerance;
  corrected bigint := 0;
  changed bigint;
begin
  -- What is looked at here is few rows or has an index: it is asked every minute.
  if not (
    exists (select from maint.run_log as r where r.started_at > latest)
    or exists (select from maint.worker as w where w.last_seen > latest)
    or exists (select from maint.chore as c where c.begun_at > latest)
    or exists (select from maint.safeguard_event as e where e.at > latest)
    or exists (select from maint.action as a where a.status in ('queued', 'running')
      and greatest(a.queued_at, a.started_at) > latest)
  ) then
    return 0;
  end if;
  update maint.run_log as r set started_at = least(r.started_at, moment), finished_at = least(r.finished_at, moment)
  where greatest(r.started_at, r.finished_at) > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.step_log as s set started_at = moment where s.started_at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  -- Not known to be alive: one that is has said so by its next beat.
  delete from maint.worker as w where w.last_seen > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.chore as c set begun_at = moment, finished_at = least(c.finished_at, moment) where c.begun_at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.safeguard_event as e set at = moment where e.at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.index_check as k set checked_at = moment where k.checked_at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.alert as a set created_at = moment where a.created_at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  update maint.alert_delivery as d set next_attempt_at = moment
  where d.status = 'waiting' and d.next_attempt_at > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  -- What was to wait waits as long from now on.
  update maint.action as a set queued_at = least(a.queued_at, moment), started_at = least(a.started_at, moment),
    finished_at = least(a.finished_at, moment),
    not_before = moment + (a.not_before - greatest(a.queued_at, a.started_at))
  where greatest(a.queued_at, a.started_at) > latest;
  get diagnostics changed = row_count;
  corrected := corrected + changed;
  -- Apart from the other tables, as this one may be missing.
  if pg_catalog.to_regclass('maint_boss.job') is not null then
    update maint_boss.job as j set created_on = least(j.created_on, moment), started_on = least(j.started_on, moment),
      heartbeat_on = least(j.heartbeat_on, moment),
      start_after = moment + greatest(j.start_after - greatest(j.created_on, j.started_on), interval '0')
    where j.state <= 'active' and greatest(j.created_on, j.started_on, j.heartbeat_on) > latest;
    get diagnostics changed = row_count;
    corrected := corrected + changed;
  end if;
  -- Workers that sleep until one of these times.
  perform pg_catalog.pg_notify('maint_work', 'maint_action');
  return corrected;
end
$function$;
comment on function maint.correct_future_times() is
  'Internal: brings times that lie in the future, as the clock was set back, to now.';
