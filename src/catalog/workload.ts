/** What was read and what was written in the last 24 hours, in the whole database and by table. */
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { inWindow, windowHours } from './query-patterns.ts';

/** Sums over the statements of clients and of functions, our own and utility statements apart. */
export interface StatementSums {
  since: string | null;
  until: string | null;
  counters_lost: boolean;
  evictions: number;
  unreadable: number;
  read_calls: number;
  write_calls: number;
  /** Of statements that begin with WITH and that no worker has parsed. */
  unclassified_calls: number;
  rows_read: number;
  rows_written: number;
  blocks_read: number;
  blocks_written: number;
  wal_bytes: number;
}

const statementsQuery = `
  with intervals as materialized (
    select i.* from maint.query_interval as i where ${inWindow}
  )
  select pg_catalog.jsonb_build_object(
      'since', (select pg_catalog.min(i.started_at) from intervals as i),
      'until', (select pg_catalog.max(i.ended_at) from intervals as i),
      'counters_lost', (select coalesce(pg_catalog.bool_or(i.counters_lost), false) from intervals as i),
      'evictions', (select coalesce(pg_catalog.sum(i.evictions), 0) from intervals as i),
      'unreadable', coalesce((select h.unreadable from maint.query_history_state as h), 0),
      'read_calls', coalesce(pg_catalog.sum(q.calls) filter (where v.verb = 'select'), 0),
      'write_calls', coalesce(pg_catalog.sum(q.calls) filter (where v.verb in ('insert', 'update', 'delete', 'merge')), 0),
      'unclassified_calls', coalesce(pg_catalog.sum(q.calls) filter (where v.verb = 'with'), 0),
      'rows_read', coalesce(pg_catalog.sum(q.row_count) filter (where v.verb = 'select'), 0),
      'rows_written', coalesce(pg_catalog.sum(q.row_count)
        filter (where v.verb in ('insert', 'update', 'delete', 'merge')), 0),
      'blocks_read', coalesce(pg_catalog.sum(q.shared_blks_hit + q.shared_blks_read) filter (where v.verb <> 'utility'), 0),
      'blocks_written', coalesce(pg_catalog.sum(q.shared_blks_dirtied) filter (where v.verb <> 'utility'), 0),
      'wal_bytes', coalesce(pg_catalog.sum(q.wal_bytes), 0)) as row
  from maint.query_sample as q
  left join maint.query_statement as s on s.statement_id = q.statement_id
  left join maint.query_text as t on t.text_id = s.text_id
  -- What was parsed since is known better now.
  cross join lateral (select case when t.own then 'own' else coalesce(t.verb, q.verb) end as verb) as v
  where v.verb <> 'own' and q.interval_id in (select i.interval_id from intervals as i)
  order by 1`;

export function statementSums(now: string): Program<StatementSums> {
  return queryOne<StatementSums>(statementsQuery, [now]);
}

/** Of the whole database, by its own counters; catalogs and our own work are in them. */
export interface DatabaseSums {
  since: string | null;
  until: string | null;
  counters_lost: boolean;
  transactions: number;
  blks_hit: number;
  blks_read: number;
  temp_bytes: number;
  server_wal_bytes: number;
}

const databaseQuery = `
  select pg_catalog.jsonb_build_object('since', pg_catalog.min(s.started_at), 'until', pg_catalog.max(s.ended_at),
      'counters_lost', coalesce(pg_catalog.bool_or(s.counters_lost), false),
      'transactions', coalesce(pg_catalog.sum(s.transactions), 0), 'blks_hit', coalesce(pg_catalog.sum(s.blks_hit), 0),
      'blks_read', coalesce(pg_catalog.sum(s.blks_read), 0), 'temp_bytes', coalesce(pg_catalog.sum(s.temp_bytes), 0),
      'server_wal_bytes', coalesce(pg_catalog.sum(s.server_wal_bytes), 0)) as row
  from maint.workload_sample as s
  where s.hour > $1::timestamptz - interval '${windowHours} hours'
  order by 1`;

export function databaseSums(now: string): Program<DatabaseSums> {
  return queryOne<DatabaseSums>(databaseQuery, [now]);
}

/** Calls of parsed statements that name a table, by its oid. */
export interface TableCalls {
  oid: number;
  read_calls: number;
  write_calls: number;
  /** Columns that updates set, with the rows that they changed. */
  set_columns: { column: string; rows: number }[];
}

/** A name without its schema counts only where it can mean one table. */
const tableCallsQuery = `
  with called as materialized (
    select s.text_id, pg_catalog.sum(q.calls) as calls, pg_catalog.sum(q.row_count) as row_count
    from maint.query_sample as q
    join maint.query_interval as i on i.interval_id = q.interval_id
    join maint.query_statement as s on s.statement_id = q.statement_id
    where ${inWindow}
    group by s.text_id
  ), named as materialized (
    select distinct c.text_id, r.use ->> 'schema' as schema, r.use ->> 'name' as name, false as target
    from called as c
    join maint.query_text as t on t.text_id = c.text_id and not t.own and t.shape is not null
    cross join lateral pg_catalog.jsonb_path_query(t.shape, '$.blocks[*].relations[*]') as r (use)
    where r.use ->> 'name' <> ''
    union all
    select c.text_id, t.shape #>> '{target,schema}', t.shape #>> '{target,name}', true
    from called as c
    join maint.query_text as t on t.text_id = c.text_id and not t.own
    where t.shape #>> '{target,name}' <> ''
  ), meant as materialized (
    select n.text_id, pg_catalog.min(k.oid::int8) as oid, pg_catalog.bool_or(n.target) as target
    from named as n
    join pg_catalog.pg_class as k on k.relname = n.name and k.relkind in ('r', 'p', 'm') and k.relpersistence <> 't'
    join pg_catalog.pg_namespace as s on s.oid = k.relnamespace and (n.schema is null or s.nspname = n.schema)
    where s.nspname not in ('pg_catalog', 'information_schema', 'maint', 'maint_boss')
    group by n.text_id, n.schema, n.name
    having pg_catalog.count(distinct k.oid) = 1
  ), set_columns as (
    select m.oid, u.name, pg_catalog.sum(c.row_count) as rows
    from meant as m
    join called as c on c.text_id = m.text_id
    join maint.query_text as t on t.text_id = m.text_id
    cross join lateral pg_catalog.jsonb_array_elements_text(t.shape -> 'set_columns') as u (name)
    where m.target
    group by m.oid, u.name
  )
  select pg_catalog.jsonb_build_object('oid', m.oid,
      'read_calls', coalesce(pg_catalog.sum(c.calls) filter (where not m.target), 0),
      'write_calls', coalesce(pg_catalog.sum(c.calls) filter (where m.target), 0),
      'set_columns', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('column', s.name, 'rows', s.rows) order by s.rows desc, s.name)
        from set_columns as s where s.oid = m.oid), '[]')) as row
  from (
    select o.text_id, o.oid, pg_catalog.bool_or(o.target) as target from meant as o group by o.text_id, o.oid
  ) as m
  join called as c on c.text_id = m.text_id
  group by m.oid
  order by m.oid`;

export function tableCalls(now: string): Program<TableCalls[]> {
  return query<TableCalls>(tableCallsQuery, [now]);
}

/** What of a table's definition decides whether its updates can be HOT. */
export interface UpdateFacts {
  oid: number;
  /** As set; null for the default of 100. */
  fillfactor: number | null;
  /** Columns that an index, or its condition, depends on. */
  indexed_columns: string[];
}

const updateFactsQuery = `
  select pg_catalog.jsonb_build_object('oid', c.oid::int8,
      'fillfactor', (select o.option_value::int from pg_catalog.pg_options_to_table(c.reloptions) as o
        where o.option_name = 'fillfactor'),
      'indexed_columns', coalesce((
        select pg_catalog.jsonb_agg(distinct a.attname)
        from pg_catalog.pg_index as x
        join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
        join pg_catalog.pg_am as am on am.oid = xc.relam
        join pg_catalog.pg_depend as d
          on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = x.indexrelid
            and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
        join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.refobjsubid
        -- From PostgreSQL 16 on a change of what only a BRIN index has leaves an update HOT.
        where x.indrelid = c.oid and am.amname <> 'brin'), '[]')) as row
  from pg_catalog.pg_class as c
  where c.oid in (select w.oid::oid from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid))
  order by c.oid`;

export function* updateFacts(oids: readonly number[]): Program<Map<number, UpdateFacts>> {
  if (oids.length === 0) return new Map();
  const facts = yield* query<UpdateFacts>(updateFactsQuery, [oids.map(String)]);
  return new Map(facts.map((one) => [one.oid, one]));
}
