/** Concurrent index builds under way, and whether they have moved since we last looked. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { ofThisDatabase } from './sessions.ts';

export interface IndexBuild {
  pid: number;
  role: string | null;
  /** False where the session is another role's and pg_read_all_stats is missing: all below is null then. */
  visible: boolean;
  backend_start: string;
  query_start: string;
  table_oid: number;
  schema: string | null;
  table: string | null;
  /** Null as long as the index has no catalog row. */
  index: string | null;
  quoted_table: string;
  quoted_index: string | null;
  command: string;
  phase: string;
  counters: Counters;
}

/** All that moves while a build goes on. */
export interface Counters {
  phase: string;
  index_oid: number;
  lockers_total: number;
  lockers_done: number;
  current_locker_pid: number;
  blocks_total: number;
  blocks_done: number;
  tuples_total: number;
  tuples_done: number;
  partitions_total: number;
  partitions_done: number;
}

/** Builds by any session. A plain CREATE INDEX or REINDEX waits for nobody once it has begun. */
export function concurrentBuilds(): Program<IndexBuild[]> {
  return query<IndexBuild>(
    `select pg_catalog.jsonb_build_object('pid', p.pid, 'role', a.usename, 'visible', p.command is not null,
         'backend_start', a.backend_start, 'query_start', a.query_start, 'table_oid', p.relid::int8,
         'schema', n.nspname, 'table', t.relname, 'index', c.relname,
         -- Not by format(): the table of a build that may not be seen has no name.
         'quoted_table', coalesce(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.relname),
           p.relid::text),
         'quoted_index', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
         'command', p.command, 'phase', p.phase,
         'counters', pg_catalog.jsonb_build_object('phase', p.phase, 'index_oid', p.index_relid::int8,
           'lockers_total', p.lockers_total, 'lockers_done', p.lockers_done,
           'current_locker_pid', p.current_locker_pid,
           'blocks_total', p.blocks_total, 'blocks_done', p.blocks_done,
           'tuples_total', p.tuples_total, 'tuples_done', p.tuples_done,
           'partitions_total', p.partitions_total, 'partitions_done', p.partitions_done)) as row
     from pg_catalog.pg_stat_progress_create_index as p
     join pg_catalog.pg_stat_activity as a on a.pid = p.pid
     left join pg_catalog.pg_class as t on t.oid = p.relid
     left join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
     left join pg_catalog.pg_class as c on c.oid = p.index_relid
     where ${ofThisDatabase('p.datid')}
       and (p.command is null or p.command in ('CREATE INDEX CONCURRENTLY', 'REINDEX CONCURRENTLY'))
     order by p.pid`,
  );
}

export interface BuildSample {
  /** How long its counters have been what they are now; 0 where one has moved, or no run has seen it before. */
  unchanged_seconds: number;
}

/**
 * Samples the builds and forgets the samples of all others. Returns for each what became of it since the last run, in
 * the order given. Those that may not be seen keep the sample they have.
 */
export function sampleBuilds(now: string, builds: readonly IndexBuild[]): Program<BuildSample[]> {
  return query<BuildSample>(
    `with build as (
       select b.position, b.build_pid, b.visible, b.backend_start, b.query_start, b.table_oid, b.command, b.counters,
         case when s.counters = b.counters then s.unchanged_since else $1::timestamptz end as unchanged_since
       from rows from (pg_catalog.jsonb_to_recordset($2::jsonb)
         as (pid int, visible boolean, backend_start timestamptz, query_start timestamptz, table_oid oid, command text,
           counters jsonb))
         with ordinality as b (build_pid, visible, backend_start, query_start, table_oid, command, counters, position)
       left join maint.index_build_sample as s
         on s.pid = b.build_pid and s.backend_start = b.backend_start and s.query_start = b.query_start
         and s.table_oid = b.table_oid and s.command = b.command
     ), forgotten as (
       delete from maint.index_build_sample as s
       where s.pid not in (select b.build_pid from build as b)
     ), sampled as (
       insert into maint.index_build_sample as s
         (pid, backend_start, query_start, table_oid, command, counters, unchanged_since)
       select b.build_pid, b.backend_start, b.query_start, b.table_oid, b.command, b.counters, b.unchanged_since
       from build as b
       where b.visible
       on conflict (pid) do update set
         backend_start = excluded.backend_start, query_start = excluded.query_start,
         table_oid = excluded.table_oid, command = excluded.command, counters = excluded.counters,
         unchanged_since = excluded.unchanged_since
       where (s.backend_start, s.query_start, s.table_oid, s.command, s.counters, s.unchanged_since) is distinct from
         (excluded.backend_start, excluded.query_start, excluded.table_oid, excluded.command, excluded.counters,
          excluded.unchanged_since)
     )
     select pg_catalog.jsonb_build_object(
         'unchanged_seconds', pg_catalog.round(extract(epoch from $1::timestamptz - b.unchanged_since), 3)) as row
     from build as b
     order by b.position`,
    [now, builds],
  );
}
