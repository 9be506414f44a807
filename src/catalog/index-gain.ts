/** What dropping an index saves: its bytes, and the entries that writers add to it. Decides how severe a finding is. */
import type { Program } from '../core/program.ts';
import { tableWorkloads } from './index-write-cost.ts';

/**
 * Entries a day from which an index costs enough whatever its size: some 20 s of its writers' time. Too low, and each small index of a
 * table in use is a warning that hides the large ones; too high, and one that slows down a busy queue is only an info.
 */
const busyEntriesPerDay = 1_000_000;

const bytesPerMegabyte = 1024 * 1024;

/** Entries a day that writers add to an index of a table with this oid; null where nothing is known of its writes. */
export function* entriesPerDay(
  now: string,
  tables: readonly number[],
): Program<(table: number) => number | null> {
  if (tables.length === 0) return () => null;
  const workloads = yield* tableWorkloads(now, [...new Set(tables)]);
  const known = new Map(
    workloads
      .filter(({ hours }) => hours > 0)
      .map(({ oid, hours, rows_inserted, rows_updated, rows_hot_updated }) => [
        oid,
        Math.round(((rows_inserted + rows_updated - rows_hot_updated) / Math.max(hours, 1)) * 24),
      ]),
  );
  return (table) => known.get(table) ?? null;
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
