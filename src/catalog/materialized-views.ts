/** The materialized views of the database, what each is made from, and how it was last seen. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { ambiguousNames, baseTypes, isSortable, lockedRelations, owningExtension } from './relations.ts';

/**
 * A table whose rows a materialized view is made from: rows written as counted by the server, its file, if empty, and how often
 * it was read.
 */
export type BaseTable = [writes: number, filenode: number, empty: boolean, scans: number];

/** What a sample of step 14 keeps; maint.matview_sample says what each is. */
export interface MatviewState {
  filenode: number;
  row_version: string;
  row_digest: string;
  own_writes: number;
  own_scans: number;
  base: Record<string, BaseTable>;
}

export interface MatviewSample extends MatviewState {
  changes: number;
  refreshed_before: string;
  sampled_at: string;
  /** Hours since then. */
  age_hours: number;
}

export interface IndexOfMatview {
  name: string;
  /** First key column; null for an expression. */
  leading_column: string | null;
  /** Why REFRESH CONCURRENTLY can't use it; null when it can. */
  unusable_because: 'not_unique' | 'invalid' | 'partial' | 'expression' | 'deferred' | null;
  /** Finds rows by its leading column: valid, of all rows, B-tree or hash. */
  searchable: boolean;
}

export interface MaterializedView extends MatviewState {
  oid: number;
  schema: string;
  name: string;
  quoted: string;
  populated: boolean;
  extension: string | null;
  rows: number;
  name_is_unique: boolean;
  columns: { name: string; quoted: string; sortable: boolean; unique_by_statistics: boolean }[];
  /** Whether all columns' statistics were there to be read. */
  statistics_known: boolean;
  indexes: IndexOfMatview[];
  /** The materialized views that it reads, through views too. */
  reads: number[];
  /** What it reads whose changes no counter tells: foreign tables and functions of users; quoted. */
  uncounted: string[];
  sample: MatviewSample | null;
}

/**
 * How often table `oid` was read, by itself or through its indexes. What this session has not reported yet is counted as well: a
 * refresh just before the run may be its own.
 */
const scansOf = (oid: string): string => `(
          select pg_catalog.sum(pg_catalog.pg_stat_get_numscans(o.oid) + pg_catalog.pg_stat_get_xact_numscans(o.oid))::int8
          from (
            select ${oid} as oid
            union all
            select x.indexrelid from pg_catalog.pg_index as x where x.indrelid = ${oid}) as o)`;

/**
 * What a view reads is in pg_depend, under its rewrite rule. Views are followed, materialized views are not: what
 * those read concerns them. Of a partitioned table the partitions count, for only they have rows.
 */
const matviewsQuery = `
  with recursive
  ${baseTypes},
  matview as materialized (
    select c.oid, c.relname, n.nspname,
      pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted,
      c.xmin::text as row_version,
      pg_catalog.md5((pg_catalog.to_jsonb(c) - array['relpages', 'reltuples', 'relallvisible', 'relallfrozen',
        'relfrozenxid', 'relminmxid', 'relhasindex', 'relfilenode', 'relispopulated'])::text) as row_digest,
      c.relfilenode, c.relispopulated, c.reltuples
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'm'
  ),
  reads (matview, class, object, relkind) as (
    select m.oid, d.refclassid, d.refobjid, rc.relkind
    from matview as m
    join pg_catalog.pg_rewrite as r on r.ev_class = m.oid
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
    left join pg_catalog.pg_class as rc
      on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and rc.oid = d.refobjid
    where d.refobjid <> m.oid
      and d.refclassid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)
    union
    select f.matview, d.refclassid, d.refobjid, rc.relkind
    from reads as f
    join pg_catalog.pg_rewrite as r on f.relkind = 'v' and r.ev_class = f.object
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
    left join pg_catalog.pg_class as rc
      on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and rc.oid = d.refobjid
    where d.refobjid <> f.object
      and d.refclassid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)
  ),
  relation_read (matview, object, relkind) as (
    select f.matview, f.object, f.relkind from reads as f
    where f.class = 'pg_catalog.pg_class'::pg_catalog.regclass
    union
    select t.matview, c.oid, c.relkind
    from relation_read as t
    join pg_catalog.pg_inherits as i on i.inhparent = t.object and t.relkind in ('p', 'r')
    join pg_catalog.pg_class as c on c.oid = i.inhrelid
  ),
  locked as materialized (
    ${lockedRelations}
  ),
  based as materialized (
    select t.matview,
      pg_catalog.jsonb_object_agg(t.object::text, pg_catalog.jsonb_build_array(
        pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
          + pg_catalog.pg_stat_get_tuples_deleted(c.oid), c.relfilenode::int8,
        case when c.relpersistence = 'u' and c.oid not in (select l.relation from locked as l where l.relation is not null)
          -- A crash empties it, and leaves its number of pages as it was.
          then pg_catalog.pg_relation_size(c.oid) = 0
          else c.relpages = 0 and pg_catalog.pg_stat_get_live_tuples(c.oid) = 0 end,
        ${scansOf('c.oid')})) as base
    from relation_read as t
    join pg_catalog.pg_class as c on c.oid = t.object
    where t.relkind in ('r', 'm')
    group by t.matview
  ),
  uncounted as materialized (
    select u.matview, pg_catalog.jsonb_agg(u.name order by u.name) as names
    from (
      select distinct t.matview, pg_catalog.format('%I.%I', n.nspname, c.relname) as name
      from relation_read as t
      join pg_catalog.pg_class as c on c.oid = t.object
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where t.relkind = 'f'
      union
      select f.matview, pg_catalog.format('%I.%I()', n.nspname, p.proname)
      from reads as f
      join pg_catalog.pg_proc as p on p.oid = f.object
      join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
      where f.class = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.provolatile <> 'i'
    ) as u
    group by u.matview
  ),
  ambiguous as materialized (${ambiguousNames}
  )
  select pg_catalog.jsonb_build_object(
      'oid', m.oid::int8, 'schema', m.nspname, 'name', m.relname, 'quoted', m.quoted,
      'populated', m.relispopulated,
      'filenode', m.relfilenode::int8, 'row_version', m.row_version, 'row_digest', m.row_digest,
      'own_writes', pg_catalog.pg_stat_get_tuples_inserted(m.oid) + pg_catalog.pg_stat_get_tuples_updated(m.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(m.oid),
      'own_scans', ${scansOf('m.oid')},
      'base', coalesce(based.base, '{}'),
      'extension', ${owningExtension('m.oid')},
      'rows', greatest(m.reltuples, pg_catalog.pg_stat_get_live_tuples(m.oid), 0),
      'name_is_unique', m.relname not in (select a.relname from ambiguous as a),
      'columns', coalesce(columns.list, '[]'),
      'statistics_known', coalesce(columns.statistics_known, false),
      'indexes', coalesce(indexes.list, '[]'),
      'reads', coalesce((
        select pg_catalog.jsonb_agg(t.object::int8 order by t.object)
        from relation_read as t where t.matview = m.oid and t.relkind = 'm'), '[]'),
      'uncounted', coalesce(uncounted.names, '[]'),
      'sample', (
        select pg_catalog.jsonb_build_object('filenode', s.filenode::int8, 'row_version', s.row_version,
          'row_digest', s.row_digest, 'own_writes', s.own_writes, 'own_scans', s.own_scans, 'base', s.base, 'changes', s.changes,
          'refreshed_before', s.refreshed_before, 'sampled_at', s.sampled_at,
          'age_hours', pg_catalog.date_part('epoch', $1::timestamptz - s.refreshed_before) / 3600)
        from maint.matview_sample as s where s.matview_oid = m.oid)
    ) as row
  from matview as m
  left join based on based.matview = m.oid
  left join uncounted on uncounted.matview = m.oid
  left join lateral (
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', a.attname,
        'quoted', pg_catalog.quote_ident(a.attname), 'sortable', ${isSortable},
        'unique_by_statistics', coalesce(s.n_distinct = -1 and s.null_frac = 0, false)) order by a.attnum) as list,
      pg_catalog.bool_and(s.attname is not null) as statistics_known
    from pg_catalog.pg_attribute as a
    join base_type as b on b.oid = a.atttypid
    join pg_catalog.pg_type as bt on bt.oid = b.base
    left join pg_catalog.pg_stats as s
      on s.schemaname = m.nspname and s.tablename = m.relname and s.attname = a.attname and not s.inherited
    where a.attrelid = m.oid and a.attnum > 0 and not a.attisdropped
  ) as columns on true
  left join lateral (
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', xc.relname,
        'leading_column', (select a.attname from pg_catalog.pg_attribute as a
          where a.attrelid = m.oid and a.attnum = x.indkey[0]),
        'unusable_because', case
          when not x.indisunique then 'not_unique' when not x.indisvalid then 'invalid'
          when x.indpred is not null then 'partial' when 0 = any (x.indkey::int2[]) then 'expression'
          when not x.indimmediate then 'deferred' end,
        'searchable', x.indisvalid and x.indpred is null and am.amname in ('btree', 'hash')
      ) order by xc.relname) as list
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
    join pg_catalog.pg_am as am on am.oid = xc.relam
    where x.indrelid = m.oid
  ) as indexes on true
  order by m.nspname, m.relname`;

export function materializedViews(now: string): Program<MaterializedView[]> {
  return query<MaterializedView>(matviewsQuery, [now]);
}

const trackCountsQuery = `
  select pg_catalog.to_jsonb(pg_catalog.current_setting('track_counts')::boolean) as row order by 1`;

/** Whether the server counts rows written at all. */
export function* countsAreTracked(): Program<boolean> {
  const [tracked] = yield* query<boolean>(trackCountsQuery);
  return tracked ?? false;
}

/** Keeps what changed and forgets the materialized views that are gone. */
const keepSamplesQuery = `
  with given as (
    select g.*
    from pg_catalog.jsonb_to_recordset($1::jsonb) as g (oid int8, filenode int8, row_version text, row_digest text,
      own_writes int8, own_scans int8, base jsonb, changes int8, refreshed_before timestamptz)
  ), gone as (
    delete from maint.matview_sample as s
    where not exists (select from pg_catalog.pg_class as c where c.oid = s.matview_oid and c.relkind = 'm')
    returning s.matview_oid
  ), kept as (
    insert into maint.matview_sample as s (matview_oid, filenode, row_version, row_digest, own_writes, own_scans, base, changes,
      refreshed_before, sampled_at)
    select g.oid::oid, g.filenode::oid, g.row_version, g.row_digest, g.own_writes, g.own_scans, g.base, g.changes, g.refreshed_before,
      $2::timestamptz
    from given as g
    on conflict (matview_oid) do update set
      filenode = excluded.filenode, row_version = excluded.row_version, row_digest = excluded.row_digest,
      own_writes = excluded.own_writes, own_scans = excluded.own_scans, base = excluded.base, changes = excluded.changes,
      refreshed_before = excluded.refreshed_before, sampled_at = excluded.sampled_at
    returning s.matview_oid
  )
  select pg_catalog.to_jsonb((select pg_catalog.count(*) from kept)) as row order by 1`;

export interface MatviewRecord extends MatviewState {
  oid: number;
  changes: number;
  refreshed_before: string;
}

export function* keepMatviewSamples(records: readonly MatviewRecord[], now: string): Program<void> {
  yield* query(keepSamplesQuery, [records, now]);
}
