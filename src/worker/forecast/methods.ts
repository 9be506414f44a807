/** Ways to say how bloated an index will be on each of the next days, from its days until now. */
import { linearRegression, linearRegressionLine, median } from 'simple-statistics';
import { increments } from './series.ts';
import type { Cycle } from './series.ts';

/** Days that are looked ahead: twice the week that is told, so that an interval has room. */
export const horizon = 14;

/** Straight lines are laid through so many last days at most. */
const lineDays = 28;

export interface Method {
  name: string;
  /** What a forecast has to be better than. */
  naive: boolean;
  /** Bloat after 1 … horizon days, or null where the method has nothing to go by. */
  path(cycles: readonly Cycle[]): number[] | null;
}

const steps = Array.from({ length: horizon }, (_, index) => index + 1);

/** A REINDEX can't give back everything. */
const clamp = (value: number): number => Math.max(0, Math.min(95, value));

function lastOf(cycles: readonly Cycle[]): { values: number[]; last: number; today: number } | null {
  const cycle = cycles.at(-1);
  const last = cycle?.values.at(-1);
  if (cycle === undefined || last === undefined) return null;
  return { values: cycle.values, last, today: cycle.start + cycle.values.length - 1 };
}

function pointsOf(values: readonly number[]): [number, number][] {
  const recent = values.slice(-lineDays);
  return recent.map((value, index) => [index - recent.length + 1, value]);
}

/** The median of the slopes between all pairs of days (Theil 1950, Sen 1968): a few bursts don't move it. */
function theilSen(points: readonly [number, number][]): number {
  const slopes = points.flatMap(([x, y], index) =>
    points.slice(index + 1).map(([otherX, otherY]) => (otherY - y) / (otherX - x)),
  );
  return median(slopes);
}

/** The level of today without the noise of one measurement. */
function levelOf(values: readonly number[], slope: number): number {
  const recent = values.slice(-4);
  return median(recent.map((value, index) => value + slope * (recent.length - 1 - index)));
}

function line(
  name: string,
  naive: boolean,
  fit: (values: readonly number[]) => (step: number) => number,
): Method {
  return {
    name,
    naive,
    path(cycles) {
      const known = lastOf(cycles);
      if (known === null || known.values.length < 3) return null;
      const at = fit(known.values);
      return steps.map((step) => clamp(at(step)));
    },
  };
}

const weekdays = 7;

/** What a weekday usually adds: the median over all weeks of all cycles. Null with less than two weeks. */
function weekdayIncrements(cycles: readonly Cycle[]): number[] | null {
  const byDay: number[][] = Array.from({ length: weekdays }, () => []);
  for (const { start, values } of cycles)
    increments(values)
      .slice(-8 * weekdays)
      .forEach((added, index, all) => {
        const day = start + values.length - all.length + index;
        byDay[((day % weekdays) + weekdays) % weekdays]?.push(added);
      });
  if (byDay.some((added) => added.length < 2)) return null;
  return byDay.map((added) => added.reduce((sum, each) => sum + each, 0) / added.length);
}

const lastValue: Method = {
  name: 'last_value',
  naive: true,
  path(cycles) {
    const known = lastOf(cycles);
    return known === null ? null : steps.map(() => known.last);
  },
};

const seasonal: Method = {
  name: 'weekly',
  naive: false,
  path(cycles) {
    const known = lastOf(cycles);
    const added = weekdayIncrements(cycles);
    if (known === null || added === null) return null;
    let level = levelOf(known.values, 0);
    if (known.values.length >= 4) level = (level + known.last) / 2;
    return steps.map((step) => {
      level += added[(known.today + step) % weekdays] ?? 0;
      return clamp(level);
    });
  },
};

/** As it grew at the same age in earlier cycles. */
const regrowth: Method = {
  name: 'regrowth',
  naive: false,
  path(cycles) {
    const known = lastOf(cycles);
    if (known === null) return null;
    const age = known.values.length - 1;
    const earlier = cycles.slice(0, -1).filter(({ values }) => values.length > age + 3 && values.length > 6);
    if (earlier.length === 0) return null;
    return steps.map((step) => {
      const grown = earlier.map(({ values }) => {
        const to = Math.min(age + step, values.length - 1);
        const added = (values[to] ?? 0) - (values[age] ?? 0);
        // Where the earlier cycle had ended by then: on at its pace.
        return to > age ? (added * step) / (to - age) : 0;
      });
      return clamp(levelOf(known.values, 0) + median(grown));
    });
  },
};

export const methods: readonly Method[] = [
  lastValue,
  line('straight_line', true, (values) => {
    const recent = pointsOf(values);
    return linearRegressionLine(linearRegression(recent));
  }),
  line('drift', false, (values) => {
    const recent = pointsOf(values);
    const { m } = linearRegression(recent);
    const level = levelOf(values, m);
    return (step) => level + m * step;
  }),
  line('theil_sen', false, (values) => {
    const slope = theilSen(pointsOf(values));
    const level = levelOf(values, slope);
    return (step) => level + slope * step;
  }),
  line('recent_week', false, (values) => {
    const slope = theilSen(pointsOf(values.slice(-9)));
    const level = levelOf(values, slope);
    return (step) => level + slope * step;
  }),
  line('damped', false, (values) => {
    const slope = theilSen(pointsOf(values.slice(-14)));
    const level = levelOf(values, slope);
    const damping = 0.95;
    return (step) => level + slope * ((1 - damping ** step) / (1 - damping));
  }),
  seasonal,
  regrowth,
];

/** Days until a path reaches the threshold, with a fraction; Infinity where it does not within the horizon. */
export function daysUntil(path: readonly number[], now: number, threshold: number): number {
  if (now >= threshold) return 0;
  let before = now;
  for (const [index, value] of path.entries()) {
    if (value >= threshold) return index + (threshold - before) / Math.max(value - before, 1e-9);
    before = value;
  }
  return Infinity;
}
