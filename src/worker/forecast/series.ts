/** The bloat of an index day by day. */

/** A sample of maint.index_history in which bloat was measured. */
export interface HistoryPoint {
  /** Days since 1970-01-01 UTC, with their fraction. */
  day: number;
  bloat: number;
  rebuilt: boolean;
}

/** One life of an index between two rebuilds: a value for each whole day, the last one measured by then. */
export interface Cycle {
  /** The first day. */
  start: number;
  values: number[];
}

/** Days of the cycle that must be known before anything is said of an index. */
export const fewestDays = 10;

/** A drop by more points than this is a rebuild that was not seen: VACUUM frees pages, but the index keeps its size. */
const dropOfRebuild = 8;

/**
 * The cycles of an index, oldest first. Between two samples nothing had changed, so a day without one has the value of the
 * day before; `until` is the last day.
 */
export function cyclesOf(points: readonly HistoryPoint[], until: number): Cycle[] {
  const cycles: Cycle[] = [];
  let current: Cycle | undefined;
  const ordered = [...points].sort((a, b) => a.day - b.day);
  for (const { day, bloat, rebuilt } of ordered) {
    const whole = Math.floor(day);
    const last = current?.values.at(-1);
    if (current === undefined || last === undefined || rebuilt || bloat < last - dropOfRebuild) {
      if (current !== undefined) fill(current, whole - 1);
      current = { start: whole, values: [bloat] };
      cycles.push(current);
      continue;
    }
    fill(current, whole);
    current.values[whole - current.start] = bloat;
  }
  if (current !== undefined) fill(current, Math.floor(until));
  return cycles.filter(({ values }) => values.length > 0);
}

function fill(cycle: Cycle, day: number): void {
  while (cycle.start + cycle.values.length <= day) cycle.values.push(cycle.values.at(-1) ?? 0);
}

/** What each day added. */
export function increments(values: readonly number[]): number[] {
  return values.slice(1).map((value, index) => value - (values[index] ?? 0));
}
