/** Bloat of indexes over days, as churn of different kinds makes it. */
import type { Random } from '../../test/property/random.ts';
import type { HistoryPoint } from '../../src/worker/forecast/series.ts';

export const kinds = ['steady', 'weekly', 'bursts', 'rebuilt', 'flat'] as const;
export type Kind = (typeof kinds)[number];

export interface Trace {
  kind: Kind;
  points: HistoryPoint[];
  threshold: number;
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** Points that one day of this churn adds, on a weekday of 0 to 6. */
function added(kind: Kind, rate: number, weekday: number, bloat: number, random: Random): number {
  // What is half empty already has less to lose.
  const room = Math.max(0, 1 - bloat / 60);
  const unrest = 1 + 0.3 * normal(random);
  switch (kind) {
    case 'steady':
    case 'rebuilt':
      return rate * unrest * room;
    case 'weekly':
      return (weekday < 5 ? rate * 1.35 : weekday === 5 ? rate * 0.15 : 0) * unrest * room;
    case 'bursts':
      return (random.chance(0.12) ? rate * 5 * (0.6 + 0.8 * random.next()) : rate * 0.2) * room;
    case 'flat':
      return 0.01 * normal(random);
  }
}

/** One index; measured once a day, with the error that sampling pages has. */
export function makeTrace(kind: Kind, days: number, random: Random): Trace {
  const rate = kind === 'flat' ? 0 : 0.15 + 0.9 * random.next() ** 1.5;
  let bloat = 1 + 6 * random.next();
  const rebuildAt = 16 + 14 * random.next();
  const points: HistoryPoint[] = [];
  let drift = 0;
  for (let day = 0; day < days; day += 1) {
    let rebuilt = false;
    // The pace of an application changes slowly.
    drift = 0.97 * drift + 0.05 * normal(random);
    bloat = Math.max(0, bloat + added(kind, rate * (1 + drift), day % 7, bloat, random));
    if (kind === 'rebuilt' && bloat > rebuildAt + 14) {
      bloat = 1 + random.next();
      rebuilt = true;
    }
    points.push({ day: day + 0.5, bloat: Math.max(0, bloat + 0.35 * normal(random)), rebuilt });
  }
  return { kind, points, threshold: 20 };
}
