-- Adds to the current hour what the database and each of its tables did since the last sample. `at` is the time it is taken
-- for. Returns {"status": "taken", "first"}, or {"status": "busy"} where another session is at it. A counter that is lower
-- than before began anew and counts whole; where statistics were lost and it is not, the difference is less than what
-- happened, never more.
create or replace function maint.sample_workload(at timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
#variable_conflict use_column
declare
  -- Beyond the steps' 24 hours there is the hour that they cut off.
  retention constant interval := '48 hours';
  -- The busiest tables of a sample; thousands of hourly rows are enough to rank any suggestion by.
  tables_kept constant int := 1000;
  longest_step constant interval := '1 hour';
  life constant text := maint.statistics_life();
  state maint.workload_state;
  moment timestamptz;
  in_hour timestamptz;
  counters jsonb;
  grown jsonb;
  lost boolean;
  lsn pg_lsn;
begin
  perform from maint.lock as l where l.name = 'workload' for update skip locked;
  if not found then
    return pg_catalog.jsonb_build_object('status', 'busy', 'detail', 'another session samples the workload just now');
  end if;
  select * into state from maint.workload_state;
  -- After the clock was set back, see maint.take_query_snapshot.
  if state.sampled_at > at + longest_step then
    state.sampled_at := at;
  end if;
  moment := greatest(at, state.sampled_at);
  in_hour := pg_catalog.date_trunc('hour', moment, 'UTC');
  lsn := case when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_lsn() end;
  select pg_catalog.jsonb_build_object('transactions', d.xact_commit + d.xact_rollback, 'rows_returned', d.tup_returned,
      'rows_fetched', d.tup_fetched, 'rows_inserted', d.tup_inserted, 'rows_updated', d.tup_updated,
      'rows_deleted', d.tup_deleted, 'blks_hit', d.blks_hit, 'blks_read', d.blks_read, 'temp_bytes', d.temp_bytes)
    into counters
  from pg_catalog.pg_stat_database as d
  where d.datname = pg_catalog.current_database();

  with live as materialized (
    select c.oid as table_oid, pg_catalog.pg_stat_get_tuples_returned(c.oid) as rows_scanned,
      pg_catalog.pg_stat_get_tuples_fetched(c.oid) + coalesce(i.rows_fetched, 0) as rows_fetched,
      pg_catalog.pg_stat_get_tuples_inserted(c.oid) as rows_inserted,
      pg_catalog.pg_stat_get_tuples_updated(c.oid) as rows_updated,
      pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) as rows_hot_updated,
      pg_catalog.pg_stat_get_tuples_deleted(c.oid) as rows_deleted,
      pg_catalog.pg_stat_get_blocks_fetched(c.oid) + coalesce(i.blocks, 0) as blocks
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join (
      select x.indrelid, pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid))::bigint as rows_fetched,
        pg_catalog.sum(pg_catalog.pg_stat_get_blocks_fetched(x.indexrelid))::bigint as blocks
      from pg_catalog.pg_index as x
      group by x.indrelid
    ) as i on i.indrelid = c.oid
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'maint', 'maint_boss')
  ), difference as materialized (
    select l.table_oid,
      l.rows_scanned - b.base * coalesce(k.rows_scanned, 0) as rows_scanned,
      l.rows_fetched - b.base * coalesce(k.rows_fetched, 0) as rows_fetched,
      l.rows_inserted - b.base * coalesce(k.rows_inserted, 0) as rows_inserted,
      l.rows_updated - b.base * coalesce(k.rows_updated, 0) as rows_updated,
      l.rows_hot_updated - b.base * coalesce(k.rows_hot_updated, 0) as rows_hot_updated,
      l.rows_deleted - b.base * coalesce(k.rows_deleted, 0) as rows_deleted,
      l.blocks - b.base * coalesce(k.blocks, 0) as blocks,
      k.table_oid is null as appeared
    from live as l
    left join maint.table_counter as k on k.table_oid = l.table_oid
    cross join lateral (
      select case when k.table_oid is null or l.rows_scanned < k.rows_scanned or l.rows_inserted < k.rows_inserted
        or l.rows_updated < k.rows_updated or l.rows_hot_updated < k.rows_hot_updated or l.rows_deleted < k.rows_deleted
        -- A dropped index takes its share of these along; the table's own counters tell a reset.
        or (l.rows_fetched < k.rows_fetched or l.blocks < k.blocks) and state.statistics is distinct from life
        then 0 else 1 end as base) as b
  ), ranked as materialized (
    select case when pg_catalog.row_number() over (
          order by d.rows_scanned + d.rows_fetched + d.rows_inserted + d.rows_updated + d.rows_deleted desc, d.table_oid)
        <= tables_kept then d.table_oid else 0 end as table_oid,
      d.rows_scanned, greatest(d.rows_fetched, 0) as rows_fetched, d.rows_inserted, d.rows_updated, d.rows_hot_updated,
      d.rows_deleted, greatest(d.blocks, 0) as blocks
    from difference as d
    where state.only_row
      and d.rows_scanned + d.rows_fetched + d.rows_inserted + d.rows_updated + d.rows_deleted + d.blocks > 0
  ), added as (
    insert into maint.table_workload as w
    select in_hour, r.table_oid, pg_catalog.sum(r.rows_scanned), pg_catalog.sum(r.rows_fetched),
      pg_catalog.sum(r.rows_inserted), pg_catalog.sum(r.rows_updated), pg_catalog.sum(r.rows_hot_updated),
      pg_catalog.sum(r.rows_deleted), pg_catalog.sum(r.blocks)
    from ranked as r
    group by r.table_oid
    on conflict (hour, table_oid) do update set
      rows_scanned = w.rows_scanned + excluded.rows_scanned, rows_fetched = w.rows_fetched + excluded.rows_fetched,
      rows_inserted = w.rows_inserted + excluded.rows_inserted, rows_updated = w.rows_updated + excluded.rows_updated,
      rows_hot_updated = w.rows_hot_updated + excluded.rows_hot_updated,
      rows_deleted = w.rows_deleted + excluded.rows_deleted, blocks = w.blocks + excluded.blocks
  ), vanished as (
    delete from maint.table_counter as k where not exists (select from live as l where l.table_oid = k.table_oid)
  )
  insert into maint.table_counter as k
  select l.table_oid, l.rows_scanned, l.rows_fetched, l.rows_inserted, l.rows_updated, l.rows_hot_updated,
    l.rows_deleted, l.blocks
  from live as l
  on conflict (table_oid) do update set
    rows_scanned = excluded.rows_scanned, rows_fetched = excluded.rows_fetched, rows_inserted = excluded.rows_inserted,
    rows_updated = excluded.rows_updated, rows_hot_updated = excluded.rows_hot_updated,
    rows_deleted = excluded.rows_deleted, blocks = excluded.blocks
  where (k.*) is distinct from (excluded.*);

  if state.only_row then
    lost := state.statistics is distinct from life;
    select pg_catalog.jsonb_object_agg(n.key, case
        when (n.value)::bigint < coalesce((state.counters ->> n.key)::bigint, 0) then (n.value)::bigint
        else (n.value)::bigint - coalesce((state.counters ->> n.key)::bigint, 0) end)
      into grown
    from pg_catalog.jsonb_each_text(counters) as n;
    insert into maint.workload_sample as w
    select in_hour, state.sampled_at, moment, lost, g.transactions, g.rows_returned, g.rows_fetched, g.rows_inserted,
      g.rows_updated, g.rows_deleted, g.blks_hit, g.blks_read, g.temp_bytes,
      greatest(coalesce(lsn - state.wal_lsn, 0), 0)::bigint
    from pg_catalog.jsonb_to_record(grown) as g (transactions bigint, rows_returned bigint, rows_fetched bigint,
      rows_inserted bigint, rows_updated bigint, rows_deleted bigint, blks_hit bigint, blks_read bigint,
      temp_bytes bigint)
    on conflict (hour) do update set
      ended_at = excluded.ended_at, counters_lost = w.counters_lost or excluded.counters_lost,
      transactions = w.transactions + excluded.transactions, rows_returned = w.rows_returned + excluded.rows_returned,
      rows_fetched = w.rows_fetched + excluded.rows_fetched, rows_inserted = w.rows_inserted + excluded.rows_inserted,
      rows_updated = w.rows_updated + excluded.rows_updated, rows_deleted = w.rows_deleted + excluded.rows_deleted,
      blks_hit = w.blks_hit + excluded.blks_hit, blks_read = w.blks_read + excluded.blks_read,
      temp_bytes = w.temp_bytes + excluded.temp_bytes, server_wal_bytes = w.server_wal_bytes + excluded.server_wal_bytes;
  end if;

  insert into maint.workload_state as s (sampled_at, statistics, counters, wal_lsn)
  values (moment, life, counters, lsn)
  on conflict (only_row) do update set sampled_at = excluded.sampled_at, statistics = excluded.statistics,
    counters = excluded.counters, wal_lsn = excluded.wal_lsn;
  delete from maint.table_workload as w where w.hour < moment - retention;
  delete from maint.workload_sample as w where w.hour < moment - retention;
  return pg_catalog.jsonb_build_object('status', 'taken', 'first', state.only_row is null);
end
$function$;
comment on function maint.sample_workload(timestamptz) is
  'Internal: adds what the database and its tables did since the last sample to the workload.';
