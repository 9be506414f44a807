/** From a measurement to a verdict, with what it rests on in words. */
import type { InventoryIndex, LastMeasured } from '../../catalog/index-inventory.ts';
import { errorPoints } from './measurement.ts';

export type Verdict = 'healthy' | 'bloated' | 'underutilized' | 'unknown';

export interface Judged {
  verdict: Verdict;
  why: string;
}

/** What is known of an index now: measured in this run or before. */
export type Known = Pick<LastMeasured, 'method' | 'bloat_percent' | 'low' | 'high' | 'leaf_density'>;

/**
 * Points up to which the measured value decides; a wider interval has to lie on one side of the threshold. Too large, and an
 * estimate that is off by as much calls a healthy index bloated.
 */
const decides = 3;

/** Of the entries: when more was written since it was measured, the measurement says nothing any more. */
export const outdatedShare = 0.2;

/**
 * What an index has to earn in the window: a scan for so many rows written, and one a day for so many bytes. An index that
 * earns less costs more than it gives, unless the few scans are dear ones; it is not reported, only counted.
 */
const writesPerScan = 1000;
const bytesPerDailyScan = 1024 * 1024 * 1024;

const oneDecimal = (value: number): string => value.toFixed(1);

export function sizeText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : oneDecimal(value)} ${units[unit] ?? ''}`;
}

export function bloatText({ bloat_percent, low, high }: Known): string {
  return `${oneDecimal(Math.max(0, bloat_percent))} % (+/- ${oneDecimal(errorPoints({ low, high }))})`;
}

function isUnderutilized(index: InventoryIndex, days: number): boolean {
  const { window_writes: writes, window_scans: scans } = index;
  if (index.unique || index.exclusion || index.constraint || writes === null || index.scans_known_days < days)
    return false;
  const owed = Math.max(writes / writesPerScan, (days * (index.size_bytes ?? 0)) / bytesPerDailyScan);
  return scans < owed;
}

function whatItEarns({ window_scans: scans, window_writes: writes }: InventoryIndex, days: number): string {
  const times = scans === 1 ? 'once' : `${scans} times`;
  return `scanned ${scans === 0 ? 'never' : times} in ${days} days, in which ${writes ?? 0} rows of its table were written`;
}

/** `threshold` in percent, `days` of the window in which scans and writes are counted. */
export function judge(index: InventoryIndex, known: Known, threshold: number, days: number): Judged {
  const text = `a REINDEX would give back ${bloatText(known)} of it`;
  const sure = errorPoints(known) <= decides;
  if (sure ? known.bloat_percent > threshold : known.low > threshold) {
    return { verdict: 'bloated', why: `${text}, more than ${threshold} %` };
  }
  if (!sure && known.high > threshold) {
    return {
      verdict: 'unknown',
      why: `${text}: too wide an interval to tell whether that is more than ${threshold} %`,
    };
  }
  if (isUnderutilized(index, days)) return { verdict: 'underutilized', why: whatItEarns(index, days) };
  if (known.method === 'no_bloat') return { verdict: 'healthy', why: 'an index of this kind does not bloat' };
  return { verdict: 'healthy', why: `${text}, not more than ${threshold} %` };
}
