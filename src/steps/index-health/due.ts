/** Which indexes have changed enough to be measured again, and in which order. */
import type { InventoryIndex } from '../../catalog/index-inventory.ts';

/** Of its size, or of its entries: what changed less can't have moved its bloat by more. */
const changedShare = 0.01;
/** After this time any change will do: many small ones of a size that the counters do not tell add up. */
const staleHours = 24;

export interface Change {
  /** Of its size or entries since it was measured; 1 where it never was, or has another file. */
  share: number;
  hours: number;
  rebuilt: boolean;
  /** Enough to look again. */
  due: boolean;
  /** Enough to be noted, since something was noted of it last. */
  moved: boolean;
}

interface Before {
  relfilenode: number;
  size_bytes: number;
  writes: number;
}

/** The share of the index that changed since; 1 where it has another file, or there is no before. */
function shareSince(index: InventoryIndex, before: Before | null): number {
  if (before?.relfilenode !== index.relfilenode) return 1;
  const entries = Math.max(index.entries ?? index.live_rows, 1);
  const written = (index.table_writes - before.writes) / entries;
  const size = index.size_bytes ?? before.size_bytes;
  return Math.max(written, Math.abs(size - before.size_bytes) / Math.max(before.size_bytes, 1));
}

/** `counted`: whether the server counts writes. `better`: there is a better way now than it was measured by. */
export function changeOf(
  index: InventoryIndex,
  counted: boolean,
  better: (method: string) => boolean,
): Change {
  const { seen, relfilenode } = index;
  const rebuilt = seen !== null && seen.relfilenode !== relfilenode;
  const moved = shareSince(index, seen && { ...seen, writes: seen.table_writes }) >= changedShare;
  const measured = seen?.measured ?? null;
  const share = shareSince(index, measured);
  if (measured === null) return { share, hours: Infinity, rebuilt, due: true, moved };
  const { hours, method } = measured;
  const stale = hours >= staleHours && (share > 0 || !counted);
  return { share, hours, rebuilt, due: share >= changedShare || stale || better(method), moved };
}

/** A week without a look weighs as much as having changed altogether. */
const hoursOfOne = 168;

/** What was never measured first, the largest of it on top; then the most changed and stalest. */
export function byUrgency(
  one: { index: InventoryIndex; change: Change },
  other: { index: InventoryIndex; change: Change },
): number {
  const weight = ({ share, hours }: Change): number => Math.min(share, 1) + Math.min(hours, 1e6) / hoursOfOne;
  return (
    weight(other.change) - weight(one.change) ||
    (other.index.size_bytes ?? 0) - (one.index.size_bytes ?? 0) ||
    one.index.oid - other.index.oid
  );
}
