/** Which of the bloated indexes the automatic REINDEX rebuilds, and why the others have to wait. */
import { bytesPerSecond, growthOf, planningState, windowsOf } from '../../catalog/rebuilds.ts';
import type { Plan } from '../../catalog/rebuilds.ts';
import { minutesToUse } from '../../core/window.ts';
import type { InventoryIndex } from '../../catalog/index-inventory.ts';
import type { Program } from '../../core/program.ts';

export interface Candidate {
  index: InventoryIndex;
  size: number;
  wasted: number;
  bloatPercent: number;
  threshold: number;
  /** Days in which it is not rebuilt a second time. */
  minDays: number;
  /** Why it is not rebuilt by itself; null where it may be. */
  keptBecause: string | null;
  /** Its `auto_reindex`. */
  wanted: boolean;
}

export interface Chosen {
  candidate: Candidate;
  /** What the decision rests on. */
  evidence: {
    predicted_bytes: number;
    predicted_seconds: number;
    days_until_bloated_again: number | null;
    rank: number;
  };
}

export interface Choice {
  /** Null where nothing is planned now. */
  plan: Plan | null;
  chosen: Chosen[];
  /** Why nothing is planned, and when it will be; null where it is. */
  notDue: { reason: string; inDays: number | null } | null;
}

const daysBetween: Record<string, number> = { weekly: 7, monthly: 30 };

/** Bloat that comes back later than this is as good as gone: a longer time tells indexes apart that are all worth it. */
const daysThatCount = 90;

/** Days until it is as bloated as the threshold again, as fast as it became what it is; null where that is not known. */
function daysUntilBloated(
  { bloatPercent, threshold }: Candidate,
  growth: { bloat_percent: number; days: number } | undefined,
): number | null {
  if (growth === undefined || growth.days < 1) return null;
  const pointsADay = (bloatPercent - growth.bloat_percent) / growth.days;
  return pointsADay <= 0 ? Infinity : threshold / pointsADay;
}

/** Bytes won, for how long, for each byte written. */
function payback({ size, wasted }: Candidate, days: number | null): number {
  return (wasted * Math.min(days ?? daysThatCount, daysThatCount)) / Math.max(size - wasted, 8192);
}

export function* chooseRebuilds(
  candidates: readonly Candidate[],
  schedule: string,
  maxIndexes: number,
  now: string,
): Program<Choice> {
  const nothing = (reason: string, inDays: number | null): Choice => ({
    plan: null,
    chosen: [],
    notDue: { reason, inDays },
  });
  const wanted = candidates.filter((each) => each.wanted);
  const interval = daysBetween[schedule];
  if (interval === undefined) return nothing('on_demand', null);
  const state = yield* planningState(now);
  const since = state.days_since_plan;
  if (since !== null && since < interval) return nothing('not_due', interval - since);
  if (wanted.length === 0) return nothing('nothing_bloated', null);

  const limitOf = (key: string): number => Number(state.safeguards[key]) || Infinity;
  const speed = yield* bytesPerSecond();
  const growth = yield* growthOf(
    wanted.map(({ index }) => index.usage_id),
    now,
  );
  const ranked = wanted
    .map((candidate) => {
      const days = daysUntilBloated(candidate, growth.get(candidate.index.usage_id));
      return { candidate, days, worth: payback(candidate, days) };
    })
    .sort((one, other) => other.worth - one.worth || one.candidate.index.oid - other.candidate.index.oid);

  const megabyte = 1024 * 1024;
  const minutes = Math.min(minutesToUse(windowsOf(state), state.local), limitOf('max_minutes_per_window'));
  const count = Math.min(maxIndexes, limitOf('max_actions_per_window'));
  const total = limitOf('max_total_size_mb') * megabyte;
  const plan: Plan = { schedule, queued: 0, left_out: {}, rebuild_bytes: 0, saved_bytes: 0 };
  const chosen: Chosen[] = [];
  let seconds = 0;
  let bytes = 0;
  for (const { candidate, days } of ranked) {
    const { size, wasted, index } = candidate;
    const takes = (size - wasted) / speed;
    const rebuiltDays = index.seen?.rebuilt_days ?? null;
    const leftOut =
      candidate.keptBecause !== null
        ? 'can_not_be_rebuilt_concurrently'
        : rebuiltDays !== null && rebuiltDays < candidate.minDays
          ? 'rebuilt_recently'
          : size > limitOf('max_index_size_mb') * megabyte
            ? 'max_index_size_mb'
            : chosen.length >= count
              ? 'count'
              : bytes + size > total
                ? 'max_total_size_mb'
                : (seconds + takes) / 60 > minutes
                  ? 'time_left_in_window'
                  : null;
    if (leftOut !== null) {
      plan.left_out[leftOut] = (plan.left_out[leftOut] ?? 0) + 1;
      continue;
    }
    seconds += takes;
    bytes += size;
    plan.rebuild_bytes += size - wasted;
    plan.saved_bytes += wasted;
    chosen.push({
      candidate,
      evidence: {
        predicted_bytes: size - wasted,
        predicted_seconds: Math.ceil(takes),
        days_until_bloated_again: days === null || days === Infinity ? null : Math.round(days),
        rank: chosen.length + 1,
      },
    });
  }
  plan.queued = chosen.length;
  return { plan, chosen, notDue: null };
}
