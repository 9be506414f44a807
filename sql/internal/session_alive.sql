-- Whether the session that has claimed an action or a periodic task is still there. Without a start, which a role without
-- pg_read_all_stats may not see of another's session, the process number must do: it errs to "still there".
create or replace function maint.session_alive(pid int, started timestamptz)
returns boolean
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select exists (
    select from pg_stat_activity as a
    where a.pid = session_alive.pid
      and (a.backend_start = session_alive.started or a.backend_start is null or session_alive.started is null))
$function$;
comment on function maint.session_alive(int, timestamptz) is
  'Internal: whether the session that has claimed something is still there.';
