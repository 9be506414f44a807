/** Shapes of statements with what they did in the window, from the history in maint.query_interval and query_sample. */
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { ParsedStatement } from './parsed-statement.ts';

/** As the seed has it: patterns are learned from the last 24 hours. */
export const windowHours = 24;

/** What the history knows of the window. */
export interface HistoryWindow {
  /** Null where no interval of the history lies in the window. */
  from: string | null;
  to: string | null;
  intervals: number;
  /** Counters were reset or lost, or statements thrown out meanwhile: the figures are at least so high. */
  counters_lost: boolean;
  evictions: number;
  unreadable: number;
  /** All statements but ours, those without a row of their own included. */
  calls: number;
  total_exec_ms: number;
  /** Of statements without a row of their own: of them nothing can be learned. */
  rest_calls: number;
  rest_exec_ms: number;
}

/**
 * A condition on interval i; the window ends at $1. An interval that began before the window is in it where most of it
 * lies there: cut off, an hourly history would lack up to an hour.
 */
export const inWindow = `i.started_at + (i.ended_at - i.started_at) / 2 >= $1::timestamptz - interval '${windowHours} hours'`;

const windowQuery = `
  with intervals as materialized (
    select i.* from maint.query_interval as i where ${inWindow}
  )
  select pg_catalog.jsonb_build_object(
      'from', (select pg_catalog.min(i.started_at) from intervals as i),
      'to', (select pg_catalog.max(i.ended_at) from intervals as i),
      'intervals', (select pg_catalog.count(*) from intervals),
      'counters_lost', (select coalesce(pg_catalog.bool_or(i.counters_lost), false) from intervals as i),
      'evictions', (select coalesce(pg_catalog.sum(i.evictions), 0) from intervals as i),
      'unreadable', coalesce((select h.unreadable from maint.query_history_state as h), 0),
      'calls', coalesce(pg_catalog.sum(q.calls), 0),
      'total_exec_ms', coalesce(pg_catalog.sum(q.total_exec_ms), 0),
      'rest_calls', coalesce(pg_catalog.sum(q.calls) filter (where q.statement_id is null), 0),
      'rest_exec_ms', coalesce(pg_catalog.sum(q.total_exec_ms) filter (where q.statement_id is null), 0)) as row
  from maint.query_sample as q
  where q.verb <> 'own' and q.interval_id in (select i.interval_id from intervals as i)
  order by 1`;

export function historyWindow(now: string): Program<HistoryWindow> {
  return queryOne<HistoryWindow>(windowQuery, [now]);
}

/** One shape with the sums of its statements. */
export interface SeenPattern {
  key: string;
  /** The most called of its texts, and the role whose calls of it took most time. */
  text_id: number;
  user_oid: number;
  text: string;
  /** Null where no worker has parsed it, or could not. */
  shape: ParsedStatement | null;
  parsed_at: string | null;
  parse_error: string | null;
  own: boolean;
  verb: string;
  statements: number;
  calls: number;
  total_exec_ms: number;
  row_count: number;
  blocks: number;
  temp_blocks_written: number;
  wal_bytes: number;
  /** Roles that ran it, quoted. */
  roles: string[];
}

/**
 * Shapes that were slow or fast on the whole: from `slow` milliseconds a call, or up to `fast`, or called by far more often
 * than there were transactions. Statements with one fingerprint are one shape; what is not parsed is told apart by its text.
 */
const patternsQuery = `
  with summed as materialized (
    select q.statement_id, pg_catalog.sum(q.calls) as calls, pg_catalog.sum(q.total_exec_ms) as total_exec_ms,
      pg_catalog.sum(q.row_count) as row_count, pg_catalog.sum(q.shared_blks_hit + q.shared_blks_read) as blocks,
      pg_catalog.sum(q.temp_blks_written) as temp_blocks_written, pg_catalog.sum(q.wal_bytes) as wal_bytes
    from maint.query_sample as q
    join maint.query_interval as i on i.interval_id = q.interval_id
    where ${inWindow} and q.statement_id is not null
    group by q.statement_id
  ), shaped as materialized (
    select coalesce(t.fingerprint, 'text:' || t.digest) as key, t.text_id,
      pg_catalog.count(*) as statements, pg_catalog.sum(s.calls) as calls,
      pg_catalog.sum(s.total_exec_ms) as total_exec_ms, pg_catalog.sum(s.row_count) as row_count,
      pg_catalog.sum(s.blocks) as blocks, pg_catalog.sum(s.temp_blocks_written) as temp_blocks_written,
      pg_catalog.sum(s.wal_bytes) as wal_bytes,
      pg_catalog.array_agg(distinct pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(n.user_oid))) as roles
    from summed as s
    join maint.query_statement as n on n.statement_id = s.statement_id
    join maint.query_text as t on t.text_id = n.text_id
    where t.verb <> 'utility'
    group by 1, t.text_id
  ), grouped as materialized (
    select p.key, pg_catalog.sum(p.statements) as statements, pg_catalog.sum(p.calls) as calls,
      pg_catalog.sum(p.total_exec_ms) as total_exec_ms, pg_catalog.sum(p.row_count) as row_count,
      pg_catalog.sum(p.blocks) as blocks, pg_catalog.sum(p.temp_blocks_written) as temp_blocks_written,
      pg_catalog.sum(p.wal_bytes) as wal_bytes,
      (pg_catalog.array_agg(p.text_id order by p.calls desc, p.text_id))[1] as text_id,
      (select pg_catalog.array_agg(distinct r.role) from shaped as o cross join pg_catalog.unnest(o.roles) as r (role)
        where o.key = p.key) as roles
    from shaped as p
    group by p.key
  )
  select pg_catalog.jsonb_build_object('key', g.key, 'text_id', t.text_id,
      'user_oid', (
        select n.user_oid::int8 from summed as s join maint.query_statement as n on n.statement_id = s.statement_id
        where n.text_id = t.text_id order by s.total_exec_ms desc, n.user_oid limit 1),
      'text', t.text, 'shape', t.shape, 'parsed_at', t.parsed_at,
      'parse_error', t.parse_error, 'own', t.own, 'verb', t.verb, 'statements', g.statements, 'calls', g.calls,
      'total_exec_ms', g.total_exec_ms, 'row_count', g.row_count, 'blocks', g.blocks,
      'temp_blocks_written', g.temp_blocks_written, 'wal_bytes', g.wal_bytes, 'roles', pg_catalog.to_jsonb(g.roles)) as row
  from grouped as g
  join maint.query_text as t on t.text_id = g.text_id
  where g.calls >= least($2::bigint, $3::bigint)
  order by g.total_exec_ms desc, g.key`;

/** Shapes called at least so often as one of both kinds needs; those that took most time first. */
export function seenPatterns(
  now: string,
  slowOccurrences: number,
  fastOccurrences: number,
): Program<SeenPattern[]> {
  return query<SeenPattern>(patternsQuery, [now, slowOccurrences, fastOccurrences]);
}

export interface ServerFacts {
  /** Of this database in the window; null where no sample covers it. */
  transactions: number | null;
  block_size: number;
  work_mem: string;
}

const factsQuery = `
  select pg_catalog.jsonb_build_object(
      'transactions', (
        select pg_catalog.sum(s.transactions) from maint.workload_sample as s
        where s.hour > $1::timestamptz - interval '${windowHours} hours'),
      'block_size', pg_catalog.current_setting('block_size')::int,
      'work_mem', pg_catalog.current_setting('work_mem')) as row
  order by 1`;

export function serverFacts(now: string): Program<ServerFacts> {
  return queryOne<ServerFacts>(factsQuery, [now]);
}

const remedyQuery = `
  select pg_catalog.to_jsonb(pg_catalog.format('grant pg_read_all_stats to %I;', current_user)) as row order by 1`;

/** What makes the statements of all roles readable. */
export function mayReadRemedy(): Program<string> {
  return queryOne<string>(remedyQuery);
}
