-- How far a running action's statement has come, from the server's progress views: "building index: scanning table, 45 %";
-- null where nothing is known. The session that acts is the one that has claimed it. With the owner's rights, as other roles may not see that session's progress.
create or replace function maint.action_progress(action_id bigint)
returns text
language sql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
  select p.phase || coalesce(', ' || case when p.total > 0 then round(100.0 * least(p.done, p.total) / p.total) end || ' %', '')
  from maint.action as a
  join (
    select b.pid, b.phase,
      case when b.phase like 'waiting for %' then b.lockers_done when b.blocks_total > 0 then b.blocks_done
        else b.tuples_done end as done,
      case when b.phase like 'waiting for %' then b.lockers_total when b.blocks_total > 0 then b.blocks_total
        else b.tuples_total end as total
    from pg_stat_progress_create_index as b
    union all
    select s.pid, s.phase, s.sample_blks_scanned, s.sample_blks_total
    from pg_stat_progress_analyze as s
  ) as p on p.pid = a.session_pid
  where a.action_id = action_progress.action_id and a.status = 'running'
  order by p.pid
  limit 1
$function$;
comment on function maint.action_progress(bigint) is
  'Internal: how far a running action has come, from the server''s progress views.';
