/** What is said of one index, and what can be said of it before any method was tried on the past. */
import type { Group } from './backtest.ts';
import { fewestDays } from './series.ts';
import type { Cycle, HistoryPoint } from './series.ts';

export interface IndexInput {
  index_id: number;
  threshold: number;
  points: HistoryPoint[];
}

export type ForecastStatus = 'forecast' | 'bloated' | 'insufficient_history' | 'no_skill';

export interface IndexForecast {
  index_id: number;
  status: ForecastStatus;
  reason: string | null;
  group: Group | null;
  method: string | null;
  bloat: number | null;
  threshold: number;
  /** Days from now until it passes the threshold, and the interval that holds it in 8 of 10 cases; null for later. */
  days: number | null;
  days_low: number | null;
  days_high: number | null;
  /** Bloat in a week, at the most likely. */
  bloat_in_week: number | null;
  skill: number | null;
  error_days: number | null;
}

type Index = Pick<IndexInput, 'index_id' | 'threshold'>;

export function silentForecast(
  { index_id, threshold }: Index,
  bloat: number | null,
  status: ForecastStatus,
  reason: string,
): IndexForecast {
  return {
    index_id,
    status,
    reason,
    group: null,
    method: null,
    bloat,
    threshold,
    days: null,
    days_low: null,
    days_high: null,
    bloat_in_week: null,
    skill: null,
    error_days: null,
  };
}

/** Of an index for which no method is needed: unknown yet, or past its threshold; null for every other. */
export function withoutMethod(index: Index, cycles: readonly Cycle[]): IndexForecast | null {
  const values = cycles.at(-1)?.values ?? [];
  const now = values.at(-1) ?? null;
  if (now === null) return silentForecast(index, now, 'insufficient_history', 'it was never measured');
  if (now >= index.threshold)
    return silentForecast(index, now, 'bloated', 'it is past its threshold already');
  if (values.length >= fewestDays) return null;
  const reason = `${values.length} days are known since it was built or rebuilt, and ${fewestDays} are needed`;
  return silentForecast(index, now, 'insufficient_history', reason);
}
