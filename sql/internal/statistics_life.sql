-- Names the life of the server's cumulative statistics: another text than before means that counters may have been lost
-- since. A reset, also of a single table, stamps the database; a crash drops that stamp and resets the counters that all
-- databases share, each of which may also be reset alone, so the oldest of their stamps is taken; a restored or promoted
-- server is on another timeline.
create or replace function maint.statistics_life()
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select concat_ws(' ',
    'database', extract('epoch' from d.stats_reset),
    'shared', extract('epoch' from least(
      (select b.stats_reset from pg_catalog.pg_stat_bgwriter as b),
      (select a.stats_reset from pg_catalog.pg_stat_archiver as a),
      (select w.stats_reset from pg_catalog.pg_stat_wal as w))),
    'timeline', (select k.timeline_id from pg_catalog.pg_control_checkpoint() as k))
  from pg_catalog.pg_stat_database as d
  where d.datname = current_database()
$function$;
comment on function maint.statistics_life() is 'Internal: another text than before means that counters may have been lost.';
