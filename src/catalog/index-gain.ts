/** What dropping an index saves: its bytes, and the entries that writers add to it. Decides how severe a finding is. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { windowHours } from './query-patterns.ts';

/**
 * Entries a day from which an index costs enough whatever its size: some 20 s of its writers' time. Too low, and each small index of a
 * table in use is a warning that hides the large ones; too high, and one that slows down a busy queue is only an info.
 */
const busyEntriesPerDay = 1_000_000;

/** Of the steps that leave small indexes alone, or call them less severe; with a `doc` that says which. */
export const minSizeSetting = {
  type: 'number',
  unit: 'megabytes',
  default: 1,
  minimum: 0,
  maximum: 1_000_000_000,
  scoped: true,
} as const;

const bytesPerMegabyte = 1024 * 1024;

/** Rows written, other than heap-only, of each table that was written to in the window; those of partitions count for their roots too. */
const entriesQuery = `
  with recursive covered as materialized (
    select pg_catalog.date_part('epoch', pg_catalog.max(s.ended_at) - pg_catalog.min(s.started_at)) / 3600 as hours
    from maint.workload_sample as s
    where s.hour > $1::timestamptz - interval '${windowHours} hours'
  ), written as materialized (
    select w.table_oid, pg_catalog.sum(w.rows_inserted + w.rows_updated - w.rows_hot_updated) as entries
    from maint.table_workload as w
    where w.hour > $1::timestamptz - interval '${windowHours} hours'
    group by w.table_oid
  ), upward (table_oid, entries) as (
    select w.table_oid::oid, w.entries from written as w
    union all
    select i.inhparent, u.entries
    from upward as u
    join pg_catalog.pg_class as c on c.oid = u.table_oid and c.relispartition
    join pg_catalog.pg_inherits as i on i.inhrelid = c.oid
  )
  select pg_catalog.jsonb_build_object('table', u.table_oid::int8,
      'a_day', pg_catalog.round((pg_catalog.sum(u.entries) / greatest(k.hours, 1) * 24)::numeric)) as row
  from upward as u
  cross join covered as k
  where k.hours > 0
  group by u.table_oid, k.hours
  order by u.table_oid`;

/** Entries a day that writers add to an index of a table with this oid; null where no writes of it are known. */
export function* entriesPerDay(now: string): Program<(table: number) => number | null> {
  const known = yield* query<{ table: number; a_day: number }>(entriesQuery, [now]);
  const entries = new Map(known.map(({ table, a_day }) => [table, a_day]));
  return (table) => entries.get(table) ?? null;
}

/** One whose size is not known, as a lock is in the way, counts as large: a warning too many is seen, one too few is not. */
export function isWorthIt(sizeBytes: number | null, entries: number | null, minSizeMb: number): boolean {
  return (
    sizeBytes === null || sizeBytes >= minSizeMb * bytesPerMegabyte || (entries ?? 0) >= busyEntriesPerDay
  );
}

/** The largest first; equal ones by name, those whose size is not known last. */
export function byGain<Each>(
  list: readonly Each[],
  of: (each: Each) => { size: number | null; name: string },
): Each[] {
  return [...list].sort((one, other) => {
    const a = of(one);
    const b = of(other);
    return (b.size ?? -1) - (a.size ?? -1) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  });
}
