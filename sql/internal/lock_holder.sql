-- Who has locked a row of maint.lock: {"pid", "since", "role", "application"}; null where no session has. A locked row carries the
-- number of the transaction that locked it, and pg_locks says whose that is.
create or replace function maint.lock_holder(name text)
returns jsonb
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select jsonb_build_object('pid', l.pid, 'since', a.xact_start, 'role', a.usename, 'application', a.application_name)
  from maint.lock as k
  join pg_locks as l on l.locktype = 'transactionid' and l.transactionid = k.xmax and l.mode = 'ExclusiveLock' and l.granted
  left join pg_stat_activity as a on a.pid = l.pid
  where k.name = lock_holder.name
  order by l.pid
  limit 1
$function$;
comment on function maint.lock_holder(text) is 'Internal: the session that has locked a row of maint.lock.';
