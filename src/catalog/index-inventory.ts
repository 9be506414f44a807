/** The indexes that step 7 looks after, as they are now and as they were when it looked last. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { usersIndex } from './index-facts.ts';
import { lockedRelations, owningExtension } from './relations.ts';

/** How an index was when it was measured last. */
export interface LastMeasured {
  at: string;
  hours: number;
  relfilenode: number;
  size_bytes: number;
  /** Rows of its table written by then, as `table_writes` counts them. */
  writes: number;
  method: string;
  leaf_density: number | null;
  bloat_percent: number;
  low: number;
  high: number;
  pages_read: number;
  milliseconds: number;
}

/** How it was when step 7 wrote of it last. */
export interface LastSeen {
  relfilenode: number;
  size_bytes: number;
  table_writes: number;
  writes_counter: number;
  rebuilt_at: string | null;
  rebuilt_days: number | null;
  verdict: string;
  why: string;
  not_measured: string | null;
  measured: LastMeasured | null;
}

export interface InventoryIndex {
  oid: number;
  usage_id: number;
  schema: string;
  table: string;
  index: string;
  quoted: string;
  quoted_table: string;
  access_method: string;
  relfilenode: number;
  /** Null where somebody holds the index or its table exclusively. */
  size_bytes: number | null;
  fillfactor: number | null;
  deduplicates: boolean;
  unique: boolean;
  exclusion: boolean;
  constraint: boolean;
  extension: string | null;
  /** Entries as of the last VACUUM or ANALYZE; null where there was none. */
  entries: number | null;
  live_rows: number;
  dead_rows: number;
  updated_rows: number;
  hot_updated_rows: number;
  deleted_rows: number;
  /** The server's count of rows written, other than heap-only. */
  writes_counter: number;
  /** The same since it is watched, over resets of the counters. */
  table_writes: number;
  /** All scans known, and since how many days they are counted without a gap. */
  scans: number;
  scans_known_days: number;
  /** Of the window: scans, and rows written; null where the window is not covered by samples yet. */
  window_scans: number;
  window_writes: number | null;
  seen: LastSeen | null;
}

/**
 * Sizes are asked for behind locks, so relations that are locked exclusively are passed over. A window begins with the
 * last sample before its first day.
 */
const inventoryQuery = `
  with locked as materialized (
    ${lockedRelations}
  ), sized as materialized (
    select c.oid, x.indrelid, n.nspname, c.relname, c.relam, c.relfilenode, c.reloptions, c.reltuples, c.relpages,
      x.indisunique, x.indisexclusion,
      case when not exists (select from locked as l where l.relation in (x.indexrelid, x.indrelid))
        then pg_catalog.pg_relation_size(c.oid) end as size_bytes
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where x.indisvalid and x.indisready and x.indislive and c.relkind = 'i'
      and ${usersIndex}
      and ($5::jsonb is null or c.oid in (select o.oid::oid from pg_catalog.jsonb_array_elements_text($5::jsonb) as o (oid)))
  ), window_start as materialized (
    select ($1::timestamptz - pg_catalog.make_interval(days => $3::int)) as at
  )
  select pg_catalog.jsonb_build_object(
      'oid', s.oid::int8, 'usage_id', u.usage_id, 'schema', s.nspname, 'table', t.relname, 'index', s.relname,
      'quoted', pg_catalog.format('%I.%I', s.nspname, s.relname),
      'quoted_table', pg_catalog.format('%I.%I', tn.nspname, t.relname),
      'access_method', a.amname, 'relfilenode', s.relfilenode::int8, 'size_bytes', s.size_bytes,
      'fillfactor', (
        select o.option_value::int from pg_catalog.pg_options_to_table(s.reloptions) as o
        where o.option_name = 'fillfactor'),
      'deduplicates', coalesce((
        select o.option_value::boolean from pg_catalog.pg_options_to_table(s.reloptions) as o
        where o.option_name = 'deduplicate_items'), true),
      'unique', s.indisunique, 'exclusion', s.indisexclusion,
      'constraint', exists (select from pg_catalog.pg_constraint as k where k.conrelid = s.indrelid and k.conindid = s.oid and k.contype in ('p', 'u', 'x')),
      'extension', ${owningExtension('s.oid', 't.oid')},
      'entries', case when s.reltuples >= 0 and s.relpages > 0 then s.reltuples end,
      'live_rows', pg_catalog.pg_stat_get_live_tuples(t.oid), 'dead_rows', pg_catalog.pg_stat_get_dead_tuples(t.oid),
      'updated_rows', pg_catalog.pg_stat_get_tuples_updated(t.oid),
      'hot_updated_rows', pg_catalog.pg_stat_get_tuples_hot_updated(t.oid),
      'deleted_rows', pg_catalog.pg_stat_get_tuples_deleted(t.oid),
      'writes_counter', w.counter,
      'table_writes', written.total,
      'scans', scan.total,
      'scans_known_days', extract(epoch from $1::timestamptz - u.known_since)::float8 / 86400,
      'window_scans', scan.total - coalesce((
        select d.scans_before from maint.index_usage_day as d
        where d.usage_id = u.usage_id and d.day >= (window_start.at at time zone 'utc')::date
        order by d.day limit 1), u.scans),
      'window_writes', case when not s.indisunique then written.total - (
        select h.table_writes
        from (
          select r.table_writes, r.sampled_at from maint.index_sample as r
          where r.usage_id = u.usage_id and r.sampled_at <= window_start.at
          union all
          select r.table_writes, r.sampled_at from maint.index_sample_day as r
          where r.usage_id = u.usage_id and r.sampled_at <= window_start.at) as h
        order by h.sampled_at desc limit 1) end,
      'seen', case when m.usage_id is not null then pg_catalog.jsonb_build_object(
        'relfilenode', m.relfilenode::int8, 'size_bytes', m.size_bytes, 'table_writes', m.table_writes,
        'writes_counter', m.writes_counter, 'rebuilt_at', m.rebuilt_at,
        'rebuilt_days', extract(epoch from $1::timestamptz - m.rebuilt_at)::float8 / 86400,
        'verdict', m.verdict, 'why', m.why, 'not_measured', m.not_measured,
        'measured', case when m.measured_at is not null then pg_catalog.jsonb_build_object(
          'at', m.measured_at, 'hours', extract(epoch from $1::timestamptz - m.measured_at)::float8 / 3600,
          'relfilenode', m.measured_relfilenode::int8,
          'size_bytes', m.measured_size_bytes, 'writes', m.measured_writes, 'method', m.method,
          'leaf_density', m.leaf_density, 'bloat_percent', m.bloat_percent, 'low', m.bloat_low, 'high', m.bloat_high,
          'pages_read', m.pages_read, 'milliseconds', m.duration_ms) end) end) as row
  from sized as s
  cross join window_start
  join pg_catalog.pg_am as a on a.oid = s.relam
  join pg_catalog.pg_class as t on t.oid = s.indrelid
  join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
  join maint.index_usage as u on u.index_oid = s.oid
  left join maint.index_measurement as m on m.usage_id = u.usage_id
  cross join lateral (
    select pg_catalog.pg_stat_get_tuples_inserted(t.oid) + pg_catalog.pg_stat_get_tuples_deleted(t.oid)
      + pg_catalog.pg_stat_get_tuples_updated(t.oid) - pg_catalog.pg_stat_get_tuples_hot_updated(t.oid) as counter) as w
  cross join lateral (
    select case
        when m.usage_id is null then 0
        when w.counter >= m.writes_counter then m.table_writes + w.counter - m.writes_counter
        else m.table_writes + w.counter end as total) as written
  cross join lateral (
    select u.scans + greatest(0, pg_catalog.pg_stat_get_numscans(s.oid) - u.counter) as total) as scan
  where m.usage_id is not null or $5::jsonb is not null
    or coalesce(s.size_bytes, s.relpages::int8 * $4::int8) >= least($2::float8, (
      select pg_catalog.min((c.value #>> '{}')::float8) from maint.setting as c
      where c.path = 'features.index_health.min_size_mb')) * 1024 * 1024
  order by s.nspname, s.relname`;

export interface InventoryOptions {
  /** Smaller ones are left out, unless they are known already, or a scope asks for smaller ones. */
  minSizeMb: number;
  /** Days of `window_scans` and `window_writes`. */
  windowDays: number;
  blockSize: number;
  /** The oids of the only indexes to be asked for; null for all. */
  only: readonly number[] | null;
}

export function indexInventory(
  now: string,
  { minSizeMb, windowDays, blockSize, only }: InventoryOptions,
): Program<InventoryIndex[]> {
  return query<InventoryIndex>(inventoryQuery, [now, minSizeMb, windowDays, blockSize, only]);
}
