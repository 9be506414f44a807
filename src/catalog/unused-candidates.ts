/** The indexes that step 6 may judge: those that are there only to be scanned, with what is known of their scans. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { agreeingRows, fewRows, foreignKeySupport } from './foreign-key-support.ts';
import { indexTrees, usersIndex } from './index-facts.ts';
import { owningExtension } from './relations.ts';

export interface UnusedCandidate {
  oid: number;
  table_oid: number;
  schema: string;
  table: string;
  index: string;
  /** Schema and name as psql needs them. */
  quoted: string;
  quoted_table: string;
  /** The root of a tree: its scans are those of all its partitions' indexes. */
  partitioned: boolean;
  extension: string | null;
  /** All scans known, and for how many days they have been counted without a gap. */
  scans: number;
  known_days: number;
  /** Days with scans, latest first: how many days before today (UTC), and all scans known before that day. */
  days: { ago: number; scans_before: number }[];
  /** Days since the server last saw it scanned; null where it does not say (before PostgreSQL 16), or never was. */
  last_scan_days: number | null;
  /** An expression index whose statistics the planner may use, which this role is not permitted to see. */
  statistics_unknown: boolean;
  /** Its access method counts scans here, as far as is known. */
  counts_scans: boolean;
}

/**
 * Access methods that count their scans: the server's own, and those of extensions whose source does. Of any other method one index that
 * was ever scanned shows it. A method too many calls an index unused that is in use; one too few only says less.
 */
const countingMethods = ['btree', 'hash', 'gist', 'gin', 'spgist', 'brin', 'bloom', 'rum', 'hnsw', 'ivfflat'];

/** What the query may ask of this server, by this role. */
export interface StatisticsAccess {
  mayReadPgStatistic: boolean;
  /** Whether the server knows when an index was last scanned: PostgreSQL 16. */
  knowsLastScan: boolean;
}

/** Conditions on a member m of a tree and its pg_index row x. */
const hasStatistics =
  'x.indexprs is not null and exists (select from pg_catalog.pg_statistic as s where s.starelid = m.oid)';
/** Where pg_statistic may not be read: a table that was ever analysed or filled may have statistics. */
const mayHaveStatistics = `x.indexprs is not null
      and exists (select from pg_catalog.pg_class as xt where xt.oid = x.indrelid and xt.reltuples >= 0)`;

/**
 * Left out: what enforces or identifies something (unique and exclusion, thus every index of a constraint; replica
 * identity), what somebody chose for another use (clustered), the last index that serves a foreign key, expression indexes with
 * statistics (the planner uses them without a scan), attached indexes (judged at their root), and what is clearly in
 * use. For a root each holds of every index of its tree: dropping it drops them all.
 *
 * `in (select ...)` beside `or` and `not` is hashed whatever the planner expects; a join of what it knows nothing
 * about may become one look through all rows for each.
 */
function candidatesQuery({ mayReadPgStatistic, knowsLastScan }: StatisticsAccess): string {
  return `
  with today as materialized (
    select ($1::timestamptz at time zone 'utc')::date as day
  ), bounds as materialized (
    -- The narrowest window and the highest threshold of any scope: what passes these is in use for all.
    select today.day - least($2::int, (
        select pg_catalog.min((s.value #>> '{}')::int) from maint.setting as s
        where s.path = 'features.index_cleanup.days_unused')) as first_day,
      greatest($3::bigint, (
        select pg_catalog.max((s.value #>> '{}')::bigint) from maint.setting as s
        where s.path = 'features.index_cleanup.min_scans')) as min_scans
    from today
  ), candidate as materialized (
    select u.*, x.indrelid, c.relkind
    from maint.index_usage as u
    join pg_catalog.pg_index as x on x.indexrelid = u.index_oid
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    cross join bounds as b
    where x.indisvalid and x.indisready and x.indislive
      and not x.indisunique and not x.indisexclusion
      and not c.relispartition
      and (c.relkind = 'i' or exists (select from pg_catalog.pg_inherits as i where i.inhparent = c.oid))
      and ${usersIndex}
      and u.scans - coalesce((
        select d.scans_before from maint.index_usage_day as d
        where d.usage_id = u.usage_id and d.day >= b.first_day
        order by d.day limit 1), u.scans) < b.min_scans
  ), member as materialized (
    select k.index_oid as root_oid, k.index_oid as oid from candidate as k
    union all
    select t.root_oid, t.oid from (${indexTrees}) as t
    where t.oid <> t.root_oid and (t.root_oid in (select k.index_oid from candidate as k)) is true
  ), support as materialized (
    select f.constraint_oid, f.index_oid, f.whole,
      case when f.whole then null else ${agreeingRows('f.table_oid', 'f.attnums', 'nullif(ft.reltuples, -1)')} end as found_rows
    from (${foreignKeySupport}) as f
    join pg_catalog.pg_class as ft on ft.oid = f.table_oid
  ), serving as materialized (
    -- "stays": no candidate. Not "surely": how many rows it finds by a part of the key is not known.
    select s.constraint_oid, coalesce(m.root_oid, s.index_oid) as root_oid, m.root_oid is null as stays,
      s.whole or s.found_rows is not null as surely
    from support as s
    left join member as m on m.oid = s.index_oid
    where (s.whole or coalesce(s.found_rows <= ${fewRows}, true))
      and (s.index_oid in (select d.oid::oid from pg_catalog.jsonb_array_elements_text($4::jsonb) as d (oid))) is not true
  ), sole as materialized (
    select pg_catalog.min(s.root_oid) as root_oid
    from serving as s
    group by s.constraint_oid
    having pg_catalog.count(distinct s.root_oid) = 1
  ), last_of_key as materialized (
    -- One for each key: one that is no candidate, else one that another key needs anyway, else the one that is used most.
    select distinct on (s.constraint_oid) s.constraint_oid, s.root_oid, s.stays, s.surely
    from serving as s
    join pg_catalog.pg_class as c on c.oid = s.root_oid
    left join maint.index_usage as u on u.index_oid = s.root_oid
    order by s.constraint_oid, s.surely desc, s.stays desc, (s.root_oid in (select o.root_oid from sole as o)) desc,
      c.relkind = 'I' desc, u.scans desc nulls last, c.relnatts, c.relname, c.oid
  ), needed as materialized (
    select l.root_oid from last_of_key as l where l.surely and not l.stays
    union all
    -- Any of those that nothing is known of may be the one that serves it.
    select s.root_oid
    from serving as s
    join last_of_key as l on l.constraint_oid = s.constraint_oid
    where not l.surely and not s.stays
  ), spared as materialized (
    select m.root_oid
    from member as m
    join pg_catalog.pg_index as x on x.indexrelid = m.oid
    where x.indisreplident or x.indisclustered
      or m.root_oid in (select d.root_oid from needed as d)
      or ${mayReadPgStatistic ? hasStatistics : 'false'}
  ), unclear as materialized (
    select m.root_oid
    from member as m
    join pg_catalog.pg_index as x on x.indexrelid = m.oid
    where ${mayReadPgStatistic ? 'false' : mayHaveStatistics}
  ), counting as materialized (
    select am.oid
    from pg_catalog.pg_am as am
    where am.amname in (${countingMethods.map((method) => `'${method}'`).join(', ')})
      or exists (
        select from pg_catalog.pg_class as s
        where s.relam = am.oid and s.relkind = 'i' and pg_catalog.pg_stat_get_numscans(s.oid) > 0)
  ), last_scan as materialized (
    select m.root_oid, pg_catalog.max(${knowsLastScan ? 'pg_catalog.pg_stat_get_lastscan(m.oid)' : 'null::timestamptz'}) as at
    from member as m
    group by m.root_oid
  )
  select pg_catalog.jsonb_build_object(
      'oid', k.index_oid::bigint, 'table_oid', k.indrelid::bigint, 'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_table', pg_catalog.format('%I.%I', tn.nspname, t.relname),
      'partitioned', k.relkind = 'I',
      'extension', ${owningExtension('c.oid', 't.oid')},
      'scans', k.scans,
      'known_days', pg_catalog.extract('epoch', $1::timestamptz - k.known_since) / 86400,
      'days', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'ago', today.day - d.day, 'scans_before', d.scans_before) order by d.day desc)
        from maint.index_usage_day as d cross join today
        where d.usage_id = k.usage_id), '[]'),
      'last_scan_days', pg_catalog.extract('epoch', $1::timestamptz - l.at) / 86400,
      'statistics_unknown', k.index_oid in (select u.root_oid from unclear as u),
      'counts_scans', c.relam in (select m.oid from counting as m)) as row
  from candidate as k
  join last_scan as l on l.root_oid = k.index_oid
  join pg_catalog.pg_class as c on c.oid = k.index_oid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_class as t on t.oid = k.indrelid
  join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
  where k.index_oid not in (select s.root_oid from spared as s)
  order by n.nspname, c.relname`;
}

/**
 * `minScans` and `window` (days) are the database's settings; narrower scopes are taken into account. `dropped`: the oids of indexes that other
 * findings drop, which no foreign key can rely on.
 */
export function unusedCandidates(
  now: string,
  window: number,
  minScans: number,
  access: StatisticsAccess,
  dropped: readonly number[] = [],
): Program<UnusedCandidate[]> {
  return query<UnusedCandidate>(candidatesQuery(access), [now, window, minScans, dropped.map(String)]);
}
