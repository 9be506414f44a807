/** Writes what step 7 saw: maint.index_measurement as it is now, maint.index_sample as it was. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/** One index that has changed, was measured, or got another verdict. */
export interface IndexRecord {
  usage_id: number;
  relfilenode: number;
  size_bytes: number;
  table_writes: number;
  writes_counter: number;
  scans: number;
  /** Whether it has another file than the time before. */
  rebuilt: boolean;
  /** Whether there is a sample to keep: it has changed, or was measured. */
  sampled: boolean;
  /** What was measured in this run; null where it was not. */
  measured: {
    method: string;
    leaf_density: number | null;
    bloat_percent: number;
    bloat_low: number;
    bloat_high: number;
    pages_read: number;
    duration_ms: number;
  } | null;
  not_measured: string | null;
  verdict: string;
  why: string;
}

const recordQuery = `
  with given as materialized (
    select g.*, v.method, v.leaf_density, v.bloat_percent, v.bloat_low, v.bloat_high, v.pages_read, v.duration_ms,
      (v.bloat_high - v.bloat_low) / 2 as error_points,
      greatest(0, pg_catalog.round(g.size_bytes * v.bloat_percent / 100))::int8 as wasted_bytes
    from pg_catalog.jsonb_to_recordset($1::jsonb) as g (usage_id int8, relfilenode int8, size_bytes int8, table_writes int8,
      writes_counter int8, scans int8, rebuilt boolean, sampled boolean, measured jsonb, not_measured text, verdict text,
      why text)
    cross join lateral pg_catalog.jsonb_to_record(coalesce(g.measured, '{}')) as v (method text, leaf_density numeric,
      bloat_percent numeric, bloat_low numeric, bloat_high numeric, pages_read int, duration_ms numeric)
  ), sampled as (
    insert into maint.index_sample as s (usage_id, sampled_at, size_bytes, leaf_density, bloat_percent, bloat_low, bloat_high,
      error_points, wasted_bytes, method, scans, table_writes, rebuilt)
    select g.usage_id, $2::timestamptz, g.size_bytes, g.leaf_density, g.bloat_percent, g.bloat_low, g.bloat_high,
      g.error_points, g.wasted_bytes, g.method, g.scans, g.table_writes, g.rebuilt
    from given as g
    where g.sampled
    on conflict (usage_id, sampled_at) do update set
      size_bytes = excluded.size_bytes, leaf_density = excluded.leaf_density, bloat_percent = excluded.bloat_percent,
      bloat_low = excluded.bloat_low, bloat_high = excluded.bloat_high, error_points = excluded.error_points,
      wasted_bytes = excluded.wasted_bytes, method = excluded.method, scans = excluded.scans,
      table_writes = excluded.table_writes, rebuilt = s.rebuilt or excluded.rebuilt
  ), kept as (
    insert into maint.index_measurement as m (usage_id, relfilenode, size_bytes, table_writes, writes_counter, seen_at,
      rebuilt_at, rebuilt_size_bytes, measured_at, measured_relfilenode, measured_size_bytes, measured_writes, method,
      leaf_density, bloat_percent, bloat_low, bloat_high, error_points, wasted_bytes, pages_read, duration_ms, not_measured,
      verdict, why)
    select g.usage_id, g.relfilenode::oid, g.size_bytes, g.table_writes, g.writes_counter, $2::timestamptz,
      case when g.rebuilt then $2::timestamptz end, case when g.rebuilt then g.size_bytes end,
      case when g.measured is not null then $2::timestamptz end,
      case when g.measured is not null then g.relfilenode::oid end,
      case when g.measured is not null then g.size_bytes end,
      case when g.measured is not null then g.table_writes end,
      g.method, g.leaf_density, g.bloat_percent, g.bloat_low, g.bloat_high, g.error_points, g.wasted_bytes, g.pages_read,
      g.duration_ms, g.not_measured, g.verdict, g.why
    from given as g
    on conflict (usage_id) do update set
      relfilenode = excluded.relfilenode, size_bytes = excluded.size_bytes, table_writes = excluded.table_writes,
      writes_counter = excluded.writes_counter, seen_at = excluded.seen_at,
      rebuilt_at = coalesce(excluded.rebuilt_at, m.rebuilt_at),
      rebuilt_size_bytes = coalesce(excluded.rebuilt_size_bytes, m.rebuilt_size_bytes),
      measured_at = coalesce(excluded.measured_at, m.measured_at),
      measured_relfilenode = coalesce(excluded.measured_relfilenode, m.measured_relfilenode),
      measured_size_bytes = coalesce(excluded.measured_size_bytes, m.measured_size_bytes),
      measured_writes = coalesce(excluded.measured_writes, m.measured_writes),
      method = case when excluded.measured_at is null then m.method else excluded.method end,
      leaf_density = case when excluded.measured_at is null then m.leaf_density else excluded.leaf_density end,
      bloat_percent = coalesce(excluded.bloat_percent, m.bloat_percent),
      bloat_low = coalesce(excluded.bloat_low, m.bloat_low),
      bloat_high = coalesce(excluded.bloat_high, m.bloat_high),
      error_points = coalesce(excluded.error_points, m.error_points),
      wasted_bytes = coalesce(excluded.wasted_bytes, m.wasted_bytes),
      pages_read = coalesce(excluded.pages_read, m.pages_read),
      duration_ms = coalesce(excluded.duration_ms, m.duration_ms),
      not_measured = excluded.not_measured, verdict = excluded.verdict, why = excluded.why
    returning m.usage_id
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from kept order by 1`;

export function* recordIndexes(records: readonly IndexRecord[], now: string): Program<void> {
  if (records.length > 0) yield* query(recordQuery, [records, now]);
}

/**
 * Rolls samples of whole days (UTC) up that are older than the first limit, and forgets what is older than the second, or
 * whose index is gone. A day keeps its last measured sample, and the counts of its last one.
 */
const rollUpQuery = `
  with old as (
    delete from maint.index_sample as s
    where s.sampled_at < ((($1::timestamptz at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc')
    returning s.*
  ), days as (
    insert into maint.index_sample_day (usage_id, day, sampled_at, samples, size_bytes, leaf_density, bloat_percent, bloat_low,
      bloat_high, error_points, wasted_bytes, method, scans, table_writes, rebuilt)
    select l.usage_id, l.day, l.sampled_at, d.samples, l.size_bytes, l.leaf_density, l.bloat_percent, l.bloat_low,
      l.bloat_high, l.error_points, l.wasted_bytes, l.method, d.scans, d.table_writes, d.rebuilt
    from (
      select distinct on (o.usage_id, (o.sampled_at at time zone 'utc')::date)
        o.*, (o.sampled_at at time zone 'utc')::date as day
      from old as o
      order by o.usage_id, (o.sampled_at at time zone 'utc')::date, o.bloat_percent is null, o.sampled_at desc
    ) as l
    join (
      select o.usage_id, (o.sampled_at at time zone 'utc')::date as day, pg_catalog.count(*)::int as samples,
        pg_catalog.max(o.scans) as scans, pg_catalog.max(o.table_writes) as table_writes,
        pg_catalog.bool_or(o.rebuilt) as rebuilt
      from old as o
      group by 1, 2
    ) as d on d.usage_id = l.usage_id and d.day = l.day
    on conflict (usage_id, day) do nothing
  ), forgotten as (
    delete from maint.index_sample_day as d
    where d.day < ($1::timestamptz at time zone 'utc')::date - $3::int
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from old order by 1`;

/** Their samples go with them. */
const forgetVanishedQuery = `
  with vanished as (
    delete from maint.index_usage as u
    where not exists (select from pg_catalog.pg_index as x where x.indexrelid = u.index_oid)
    returning u.usage_id
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from vanished order by 1`;

export function* rollUpHistory(now: string, sampleDays: number, historyDays: number): Program<void> {
  yield* query(forgetVanishedQuery);
  yield* query(rollUpQuery, [now, sampleDays, historyDays]);
}
