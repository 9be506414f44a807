/** What the server knows about the age of each table's statistics, and what changed since. Used by step 9. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { lockedRelations } from './relations.ts';

export interface TableStatistics {
  oid: number;
  schema: string;
  table: string;
  quoted: string;
  /** The root of a partition tree, with the changes of all its partitions; autovacuum never analyses it. */
  partitioned: boolean;
  /** Others inherit from it: its statistics are of their rows as well, and only its own ANALYZE makes them. */
  parent: boolean;
  /** The oid of the root of its tree where it is a partition. */
  root_oid: number | null;
  /** Pages as of the last VACUUM or ANALYZE, in all partitions of a root; 0 says nothing. */
  pages: number;
  /** Rows as of then; null where nobody has ever counted them. */
  rows: number | null;
  /** Rows changed since the last ANALYZE, at least. */
  changes: number;
  /** As many changes make autovacuum analyse it; for a root the sum over its partitions. */
  threshold: number;
  /** Autovacuum is on, for the server and this table. */
  autovacuum: boolean;
  /** Hours since the last ANALYZE that the counters know of; null where they know of none. */
  age_hours: number | null;
  /** An ANALYZE of it, or of a tree it belongs to, is under way. */
  being_analyzed: boolean;
}

function reloption(name: string, type: string, otherwise: string): string {
  return `coalesce((
      select o.option_value::${type}
      from pg_catalog.pg_options_to_table(c.reloptions) as o
      where o.option_name = '${name}'), ${otherwise})`;
}

/**
 * Every table that statistics are kept of: ordinary tables, materialized views and the roots of partition trees. Not
 * temporary ones (nobody else can analyse those), foreign tables (nobody counts their changes), the catalogs and what is our own.
 * Autovacuum analyses partitions one by one and no counter of the root moves. A lower bound of what changed below it
 * since its own ANALYZE: what each partition counts, and its threshold where autovacuum came by for it since.
 */
const statisticsQuery = `
  with recursive heir (root, oid) as (
    -- Of each table without a parent, those that inherit from it; partitions have their root.
    select i.inhparent, i.inhrelid
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as p on p.oid = i.inhparent and p.relkind = 'r'
    where not exists (select from pg_catalog.pg_inherits as o where o.inhrelid = i.inhparent)
    union
    select h.root, i.inhrelid
    from heir as h
    join pg_catalog.pg_inherits as i on i.inhparent = h.oid
  ), analyzing as (
    select p.relid, p.current_child_table_relid as child
    from pg_catalog.pg_stat_progress_analyze as p
    where p.relid is not null
  ), plain as (
    select c.oid, c.relnamespace, c.relname, c.relkind,
      case when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid end as root,
      c.relpages::int8 as pages,
      case when c.reltuples >= 0 then c.reltuples::float8 end as rows,
      coalesce(pg_catalog.pg_stat_get_mod_since_analyze(c.oid), 0) as changes,
      ${reloption('autovacuum_analyze_threshold', 'float8', "pg_catalog.current_setting('autovacuum_analyze_threshold')::float8")}
        + ${reloption('autovacuum_analyze_scale_factor', 'float8', "pg_catalog.current_setting('autovacuum_analyze_scale_factor')::float8")}
          * greatest(c.reltuples::float8, 0) as threshold,
      pg_catalog.current_setting('autovacuum')::boolean
        and ${reloption('autovacuum_enabled', 'boolean', 'true')} as autovacuum,
      pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) as autoanalyzed,
      greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
        pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where (c.relkind in ('r', 'm') or c.relkind = 'p' and not c.relispartition)
      and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'maint', 'maint_boss')
  ), member as (
    select p.root, p.oid from plain as p where p.root is not null
    union all
    select h.root, h.oid from heir as h
  ), below as (
    select m.root, sum(p.pages) as pages, sum(p.rows) as rows,
      -- Rows that came or went since the root was analyzed: an ANALYZE by hand of a partition leaves no other trace.
      greatest(sum(p.changes + case when p.autoanalyzed > r.analyzed then p.threshold else 0 end),
        case when r.relkind = 'p' and pg_catalog.bool_and(p.rows is not null)
          then pg_catalog.abs(sum(p.rows) - r.rows) end) as changes,
      sum(p.threshold) as threshold
    from member as m
    join plain as p on p.oid = m.oid
    join plain as r on r.oid = m.root
    group by m.root, r.relkind, r.rows
  )
  select pg_catalog.jsonb_build_object('oid', p.oid::int8, 'schema', n.nspname, 'table', p.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, p.relname),
      'partitioned', p.relkind = 'p', 'parent', p.relkind <> 'p' and b.root is not null, 'root_oid', p.root::int8,
      'pages', case when p.relkind = 'p' then 0 else p.pages end + coalesce(b.pages, 0),
      'rows', case when p.relkind = 'p' then b.rows else p.rows end,
      'changes', case when p.relkind = 'p' then 0 else p.changes end + pg_catalog.floor(coalesce(b.changes, 0)),
      'threshold', case when p.relkind = 'p' then 0 else p.threshold end + coalesce(b.threshold, 0),
      'autovacuum', p.autovacuum and p.relkind <> 'p',
      'age_hours', pg_catalog.round((extract(epoch from $1::timestamptz - p.analyzed) / 3600)::numeric, 3),
      'being_analyzed', exists (
        select from analyzing as a where p.oid in (a.relid, a.child) or p.root = a.relid)) as row
  from plain as p
  join pg_catalog.pg_namespace as n on n.oid = p.relnamespace
  left join below as b on b.root = p.oid
  order by n.nspname, p.relname`;

export function tableStatistics(now: string): Program<TableStatistics[]> {
  return query<TableStatistics>(statisticsQuery, [now]);
}

/** What is asked of few tables only. */
export interface StatisticsPresence {
  oid: number;
  /** Null where a lock on it would have kept us waiting. */
  bytes: number | null;
  /** Statistics of any of its columns can be seen: of the whole tree, for a root. */
  present: boolean;
  /** None can be there that we may not see. */
  readable: boolean;
}

/**
 * Sizes and whether there are statistics at all. A table that somebody holds or wants exclusively is not measured:
 * pg_relation_size would queue behind that.
 */
const presenceQuery = `
  with recursive wanted as (
    select w.oid::oid as oid from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid)
  ), members (oid, member) as (
    (select w.oid, w.oid from wanted as w
    union all
    select w.oid, i.relid from wanted as w
    join pg_catalog.pg_class as c on c.oid = w.oid and c.relkind = 'p'
    cross join lateral pg_catalog.pg_partition_tree(w.oid) as i
    where i.relid <> w.oid)
    union
    select m.oid, i.inhrelid
    from members as m
    join pg_catalog.pg_class as c on c.oid = m.member and c.relkind = 'r'
    join pg_catalog.pg_inherits as i on i.inhparent = m.member
  ), locked as materialized (
    ${lockedRelations}
  ), sized as (
    select m.oid, sum(pg_catalog.pg_relation_size(m.member)) as bytes
    from members as m
    where not exists (
      select from members as o
      join locked as l on l.relation = o.member
      where o.oid = m.oid)
    group by m.oid
  ), seen as (
    select distinct c.oid
    from pg_catalog.pg_stats as s
    join pg_catalog.pg_namespace as n on n.nspname = s.schemaname
    join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = s.tablename
    where c.oid in (select w.oid from wanted as w) and s.inherited = (c.relkind = 'p'
      or exists (select from pg_catalog.pg_inherits as i where i.inhparent = c.oid))
  )
  select pg_catalog.jsonb_build_object('oid', w.oid::int8, 'bytes', z.bytes,
      'present', s.oid is not null,
      'readable', coalesce(pg_catalog.has_table_privilege(w.oid, 'select'), false)
        and not pg_catalog.row_security_active(w.oid)) as row
  from wanted as w
  join pg_catalog.pg_class as c on c.oid = w.oid
  left join sized as z on z.oid = w.oid
  left join seen as s on s.oid = w.oid
  order by w.oid`;

export function statisticsPresence(oids: readonly number[]): Program<StatisticsPresence[]> {
  return query<StatisticsPresence>(presenceQuery, [[...oids]]);
}
