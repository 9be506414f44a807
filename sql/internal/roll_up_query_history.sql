-- Keeps the query history small: intervals of complete hours become one an hour, those beyond the retention go, and with
-- them the statements and texts that nothing refers to any more. The sums over all rows stay what they were.
create or replace function maint.roll_up_query_history(at timestamptz)
returns void
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
#variable_conflict use_column
declare
  -- The last hour stays in detail, beside the current one.
  done_before constant timestamptz := pg_catalog.date_trunc('hour', at, 'UTC') - interval '1 hour';
  kept constant int := maint.config('features.pattern_learning.statements_kept')::int;
  retention constant interval := pg_catalog.make_interval(
    days => maint.config('features.pattern_learning.history_days')::int);
  one record;
  new_interval int;
begin
  for one in
    select pg_catalog.array_agg(i.interval_id) as intervals, pg_catalog.min(i.started_at) as started_at,
      pg_catalog.max(i.ended_at) as ended_at, pg_catalog.sum(i.snapshots) as snapshots,
      pg_catalog.bool_or(i.counters_lost) as counters_lost, pg_catalog.sum(i.evictions) as evictions,
      pg_catalog.max(i.unreadable) as unreadable, pg_catalog.max(i.statements) as statements
    from maint.query_interval as i
    where not i.rolled_up and i.ended_at < done_before
    group by pg_catalog.date_trunc('hour', i.ended_at, 'UTC')
    order by pg_catalog.min(i.ended_at)
  loop
    insert into maint.query_interval (started_at, ended_at, snapshots, rolled_up, counters_lost, evictions, unreadable,
      statements)
    values (one.started_at, one.ended_at, one.snapshots, true, one.counters_lost, one.evictions, one.unreadable,
      one.statements)
    returning interval_id into new_interval;
    with summed as (
      select q.statement_id, q.verb, pg_catalog.sum(q.calls) as calls, pg_catalog.sum(q.total_exec_ms) as total_exec_ms,
        pg_catalog.sum(q.total_plan_ms) as total_plan_ms, pg_catalog.sum(q.row_count) as row_count,
        pg_catalog.sum(q.shared_blks_hit) as shared_blks_hit, pg_catalog.sum(q.shared_blks_read) as shared_blks_read,
        pg_catalog.sum(q.shared_blks_dirtied) as shared_blks_dirtied,
        pg_catalog.sum(q.shared_blks_written) as shared_blks_written, pg_catalog.sum(q.temp_blks_read) as temp_blks_read,
        pg_catalog.sum(q.temp_blks_written) as temp_blks_written, pg_catalog.sum(q.blk_read_ms) as blk_read_ms,
        pg_catalog.sum(q.blk_write_ms) as blk_write_ms, pg_catalog.sum(q.wal_records) as wal_records,
        pg_catalog.sum(q.wal_bytes) as wal_bytes
      from maint.query_sample as q
      where q.interval_id = any (one.intervals)
      group by q.statement_id, q.verb
    ), ranked as (
      select s.*, s.statement_id is not null and (
          pg_catalog.row_number() over (
            order by s.statement_id is null, s.total_exec_ms desc, s.statement_id) <= kept
          or pg_catalog.row_number() over (order by s.statement_id is null, s.calls desc, s.statement_id) <= kept) as keeps
      from summed as s
    )
    insert into maint.query_sample
    select new_interval, case when r.keeps then r.statement_id end, r.verb, pg_catalog.sum(r.calls),
      pg_catalog.sum(r.total_exec_ms), pg_catalog.sum(r.total_plan_ms), pg_catalog.sum(r.row_count),
      pg_catalog.sum(r.shared_blks_hit), pg_catalog.sum(r.shared_blks_read), pg_catalog.sum(r.shared_blks_dirtied),
      pg_catalog.sum(r.shared_blks_written), pg_catalog.sum(r.temp_blks_read), pg_catalog.sum(r.temp_blks_written),
      pg_catalog.sum(r.blk_read_ms), pg_catalog.sum(r.blk_write_ms), pg_catalog.sum(r.wal_records),
      pg_catalog.sum(r.wal_bytes)
    from ranked as r
    group by case when r.keeps then r.statement_id end, r.verb;
    delete from maint.query_interval as i where i.interval_id = any (one.intervals);
  end loop;
  if new_interval is null then
    return;
  end if;
  delete from maint.query_interval as i where i.ended_at < at - retention;
  delete from maint.query_statement as s
  where s.last_seen < done_before
    and not exists (select from maint.query_counter as c where c.statement_id = s.statement_id)
    and not exists (select from maint.query_sample as q where q.statement_id = s.statement_id);
  delete from maint.query_text as t
  where not exists (select from maint.query_statement as s where s.text_id = t.text_id);
end
$function$;
comment on function maint.roll_up_query_history(timestamptz) is
  'Internal: keeps the query history within its bounds.';
