-- Gives back the actions that a worker left running as it was killed, where no worker is alive that would see to it: nothing
-- says that it is running when it is not. What an attempt began is kept (intent): the next worker first looks whether it was
-- done. Returns how many.
create or replace function maint.take_back_actions()
returns int
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  left_running bigint[];
begin
  if exists (
    select from maint.worker as w
    where w.last_seen between pg_catalog.clock_timestamp() - interval '90 seconds'
      and pg_catalog.clock_timestamp() + interval '1 minute'
  ) then
    return 0;
  end if;
  left_running := array(
    select a.action_id from maint.action as a
    where a.status = 'running' and not maint.session_alive(a.session_pid, a.session_started)
    order by a.action_id
    for update of a skip locked);
  update maint.action as a set status = 'queued', worker_id = null, session_pid = null, session_started = null,
    not_before = null, attempts = a.attempts - case when a.intent is null then 1 else 0 end,
    outcome = case when a.intent is null then 'its worker ended before it began'
      else 'its worker ended while it was under way: the next one looks whether it was done' end
  where a.action_id = any (left_running);
  -- Apart from the other tables, as this one may be missing.
  if left_running <> '{}' and pg_catalog.to_regclass('maint_boss.job') is not null then
    delete from maint_boss.job as j
    where j.name = 'maint_action' and j.state = 'active' and (j.data ->> 'action_id')::bigint = any (left_running);
    perform maint.enqueue_action(a.id) from pg_catalog.unnest(left_running) as a (id) order by a.id;
  end if;
  return pg_catalog.cardinality(left_running);
end
$function$;
comment on function maint.take_back_actions() is
  'Internal: gives back the actions that a killed worker left running.';
