/** What a new index would cost the writers of its table, from what was written there in the last 24 hours. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { JsonObject } from '../steps/step.ts';
import { inWindow, windowHours } from './query-patterns.ts';

/** What was read and written in a table in the window. */
export interface TableWorkload {
  oid: number;
  schema: string;
  table: string;
  quoted: string;
  /** How much of the window the samples cover; 0 where there is none. */
  hours: number;
  rows_scanned: number;
  rows_fetched: number;
  rows_inserted: number;
  rows_updated: number;
  rows_hot_updated: number;
  rows_deleted: number;
  blocks: number;
  indexes: number;
}

/** A window of whole hours: the one that it begins in counts whole, as in the samples. */
const workloadQuery = `
  with covered as materialized (
    select pg_catalog.min(s.started_at) as since,
      coalesce(pg_catalog.date_part('epoch', pg_catalog.max(s.ended_at) - pg_catalog.min(s.started_at)) / 3600, 0) as hours
    from maint.workload_sample as s
    where s.hour > $1::timestamptz - interval '${windowHours} hours'
  ), summed as materialized (
    select w.table_oid, pg_catalog.sum(w.rows_scanned) as rows_scanned, pg_catalog.sum(w.rows_fetched) as rows_fetched,
      pg_catalog.sum(w.rows_inserted) as rows_inserted, pg_catalog.sum(w.rows_updated) as rows_updated,
      pg_catalog.sum(w.rows_hot_updated) as rows_hot_updated, pg_catalog.sum(w.rows_deleted) as rows_deleted,
      pg_catalog.sum(w.blocks) as blocks
    from maint.table_workload as w
    where w.hour > $1::timestamptz - interval '${windowHours} hours'
    group by w.table_oid
  ), tree as materialized (
    select c.oid as root, c.oid as leaf from pg_catalog.pg_class as c where c.relkind in ('r', 'm')
    union all
    select c.oid, t.relid::oid
    from pg_catalog.pg_class as c
    cross join lateral pg_catalog.pg_partition_tree(c.oid) as t
    where c.relkind = 'p' and t.isleaf
  )
  select pg_catalog.jsonb_build_object('oid', c.oid::int8, 'schema', n.nspname, 'table', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'hours', (select k.hours from covered as k),
      'rows_scanned', coalesce(pg_catalog.sum(s.rows_scanned), 0), 'rows_fetched', coalesce(pg_catalog.sum(s.rows_fetched), 0),
      'rows_inserted', coalesce(pg_catalog.sum(s.rows_inserted), 0), 'rows_updated', coalesce(pg_catalog.sum(s.rows_updated), 0),
      'rows_hot_updated', coalesce(pg_catalog.sum(s.rows_hot_updated), 0),
      'rows_deleted', coalesce(pg_catalog.sum(s.rows_deleted), 0), 'blocks', coalesce(pg_catalog.sum(s.blocks), 0),
      'indexes', (select pg_catalog.count(*) from pg_catalog.pg_index as x where x.indrelid = c.oid)) as row
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join tree as t on t.root = c.oid
  left join summed as s on s.table_oid = t.leaf
  -- Blocks alone were looked at by checks such as ours, not by a statement that reads or writes rows.
  where case when $2::jsonb is null
      then s.rows_scanned + s.rows_fetched + s.rows_inserted + s.rows_updated + s.rows_deleted > 0
    else c.oid in (select w.oid::oid from pg_catalog.jsonb_array_elements_text($2::jsonb) as w (oid)) end
  group by c.oid, n.nspname, c.relname
  order by n.nspname, c.relname`;

/** Of these tables (an oid of a partitioned one stands for all its partitions), or of all that were used in the window. */
export function tableWorkloads(now: string, oids: readonly number[] | null): Program<TableWorkload[]> {
  return query<TableWorkload>(workloadQuery, [now, oids === null ? null : oids.map(String)]);
}

/** Rows that statements of one shape changed, and the columns that they set. */
interface ColumnUpdates {
  schema: string | null;
  name: string;
  columns: string[];
  rows: number;
}

interface UpdatesSeen {
  parsed: ColumnUpdates[];
  /** Updates that no worker has parsed: what they set is not known. */
  unparsed: number;
}

const updatesQuery = `
  with updating as materialized (
    select t.text_id, pg_catalog.sum(q.row_count) as rows
    from maint.query_sample as q
    join maint.query_interval as i on i.interval_id = q.interval_id
    join maint.query_statement as s on s.statement_id = q.statement_id
    join maint.query_text as t on t.text_id = s.text_id
    where ${inWindow} and t.verb in ('update', 'insert', 'merge', 'with')
    group by t.text_id
  )
  select pg_catalog.jsonb_build_object(
      'parsed', coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'schema', t.shape #>> '{target,schema}', 'name', t.shape #>> '{target,name}',
          'columns', t.shape -> 'set_columns', 'rows', u.rows) order by t.text_id)
        filter (where pg_catalog.jsonb_array_length(t.shape -> 'set_columns') > 0), '[]'),
      'unparsed', pg_catalog.count(*) filter (where t.shape is null and t.verb in ('update', 'merge', 'with'))) as row
  from updating as u
  join maint.query_text as t on t.text_id = u.text_id
  order by 1`;

/** What an index on these columns of a table would cost; the keys are those of the finding's detail `write_cost`. */
export interface WriteCost extends JsonObject {
  window_hours: number;
  indexes_on_table: number;
  rows_inserted: number;
  rows_updated: number;
  /** Share of the updates that wrote no index entry; null where there were none. */
  hot_share: number | null;
  /** Updates that would no longer do without: they set one of the columns. Null where no worker has parsed them. */
  hot_updates_lost: number | null;
  /** Index entries that the window's writes would have added. */
  new_entries: number;
}

export type WriteCostOf = (table: number, columns: readonly string[]) => WriteCost | null;

/** Gives null for a table of which nothing was sampled in the window: what an index would cost there is not known. */
export function* writeCosts(now: string, oids: readonly number[]): Program<WriteCostOf> {
  if (oids.length === 0) return () => null;
  const workloads = new Map((yield* tableWorkloads(now, oids)).map((one) => [one.oid, one]));
  const [updates = { parsed: [], unparsed: 0 }] = yield* query<UpdatesSeen>(updatesQuery, [now]);
  return (oid, columns) => {
    const workload = workloads.get(oid);
    return !workload || workload.hours === 0 ? null : costOf(workload, columns, updates);
  };
}

function costOf(workload: TableWorkload, columns: readonly string[], updates: UpdatesSeen): WriteCost {
  const { rows_inserted, rows_updated, rows_hot_updated } = workload;
  const hotShare = rows_updated === 0 ? null : rows_hot_updated / rows_updated;
  const setting = updates.parsed.filter(
    ({ schema, name, columns: set }) =>
      name === workload.table &&
      (schema === null || schema === workload.schema) &&
      set.some((column) => columns.includes(column)),
  );
  const touched = setting.reduce((rows, one) => rows + one.rows, 0);
  const lost = Math.min(rows_hot_updated, Math.round(touched * (hotShare ?? 0)));
  return {
    window_hours: Math.round(workload.hours * 10) / 10,
    indexes_on_table: workload.indexes,
    rows_inserted,
    rows_updated,
    hot_share: hotShare === null ? null : Math.round(hotShare * 1000) / 1000,
    hot_updates_lost: rows_hot_updated > 0 && updates.unparsed > 0 && lost === 0 ? null : lost,
    new_entries: rows_inserted + (rows_updated - rows_hot_updated) + lost,
  };
}

/**
 * Milliseconds that one more index entry costs a writer: finding its leaf, the entry, its WAL. An assumption for leaves that
 * are in memory, which no bench here measures yet; a cold leaf costs more. Too low suggests an index that costs more than it gives, which every
 * writer pays for ever; too high holds back one that a person can still find in the pattern's suggestions.
 */
export const millisecondsPerIndexEntry = 0.02;

/** Why an index is not worth its cost; null where it is, or where nothing is known of the cost. */
export function heldBackBecause(savedMilliseconds: number, cost: WriteCost | null): string | null {
  if (cost === null) return null;
  const costs = cost.new_entries * millisecondsPerIndexEntry;
  if (costs < savedMilliseconds) return null;
  return `its writers would spend about ${rounded(costs)} ms on it in the time in which it saves ${rounded(savedMilliseconds)} ms`;
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
