/** Whether a materialized view was refreshed since it was last seen, and how much its base tables changed since. */
import type {
  BaseTable,
  MaterializedView,
  MatviewRecord,
  MatviewSample,
  MatviewState,
} from './materialized-views.ts';

/**
 * A refresh gives a new file. A concurrent one keeps it and writes what is different, which only a refresh can; where nothing
 * is, it has only written the view's catalog row, as any GRANT does, also of what is granted already. It has read the view and all
 * that this is made from, then, and a GRANT has read nothing. Taking a GRANT for a refresh hides that the view is stale; the
 * other mistake names a view stale that a refresh would not change.
 */
function refreshedSince(sample: MatviewSample, now: MatviewState): boolean {
  if (now.filenode !== sample.filenode || now.own_writes > sample.own_writes) return true;
  return (
    now.row_version !== sample.row_version && now.row_digest === sample.row_digest && allRead(sample, now)
  );
}

function allRead(sample: MatviewSample, now: MatviewState): boolean {
  return (
    now.own_scans !== sample.own_scans &&
    Object.entries(now.base).every(([oid, [, , empty, scans]]) => empty || scans !== sample.base[oid]?.[3])
  );
}

/**
 * Rows of one table that changed, at least. A counter that went back was reset and counts from nothing again; one
 * row stands for what no counter tells: truncation (a new, empty file), a partition that came or went with its rows.
 */
function changesOf(before: BaseTable | undefined, now: BaseTable | undefined): number {
  if (!now) return before && !before[2] ? 1 : 0;
  if (!before) return now[2] ? 0 : Math.max(now[0], 1);
  const written = now[0] >= before[0] ? now[0] - before[0] : now[0];
  // By TRUNCATE, which gives a new file; or an unlogged table by a crash, which takes the counters as well.
  const emptied = (now[1] !== before[1] || now[0] < before[0]) && now[2] && !before[2];
  return emptied ? Math.max(written, 1) : written;
}

function changesSince(sample: MatviewSample, now: MatviewState): number {
  const tables = new Set([...Object.keys(sample.base), ...Object.keys(now.base)]);
  return [...tables].reduce((sum, oid) => sum + changesOf(sample.base[oid], now.base[oid]), 0);
}

/** What to remember of the view from this run on. */
export function nextSample(view: MaterializedView, now: string): MatviewRecord {
  const { oid, filenode, row_version, row_digest, own_writes, own_scans, base, sample } = view;
  const state = { oid, filenode, row_version, row_digest, own_writes, own_scans, base };
  if (!sample) return { ...state, changes: 0, refreshed_before: now };
  if (refreshedSince(sample, view)) {
    // What it wrote was counted late: the catalog row was seen as it is already, so that the refresh was before that.
    const late = filenode === sample.filenode && row_version === sample.row_version;
    return late
      ? { ...state, changes: changesSince(sample, view), refreshed_before: sample.sampled_at }
      : { ...state, changes: 0, refreshed_before: now };
  }
  return {
    ...state,
    changes: sample.changes + changesSince(sample, view),
    refreshed_before: sample.refreshed_before,
  };
}

/** Whether anything is different from what was remembered: a row that stays the same is not written. */
export function isNews(record: MatviewRecord, sample: MatviewSample | null): boolean {
  return (
    sample === null ||
    record.refreshed_before !== sample.refreshed_before ||
    record.changes !== sample.changes ||
    record.row_version !== sample.row_version ||
    record.own_writes !== sample.own_writes ||
    record.own_scans !== sample.own_scans ||
    JSON.stringify(record.base) !== JSON.stringify(sample.base)
  );
}

/** Views in an order in which each comes after those that it reads. */
export function inRefreshOrder(views: readonly MaterializedView[]): MaterializedView[] {
  const byOid = new Map(views.map((view) => [view.oid, view]));
  const levels = new Map<number, number>();
  const levelOf = (view: MaterializedView): number => {
    const known = levels.get(view.oid);
    if (known !== undefined) return known;
    const below = view.reads.flatMap((oid) => byOid.get(oid) ?? []).map(levelOf);
    const level = Math.max(-1, ...below) + 1;
    levels.set(view.oid, level);
    return level;
  };
  const placed = views.map((view, position) => ({ view, position, level: levelOf(view) }));
  placed.sort((a, b) => a.level - b.level || a.position - b.position);
  return placed.map(({ view }) => view);
}
