/** When each index will have passed its bloat threshold. Knows no database; runs in the training process. */
import { casesOn, choose, groupOf, intervalOf, worthJudging } from './backtest.ts';
import type { Case, Choice, Group } from './backtest.ts';
import { errorTable } from './frames.ts';
import type { MethodError } from './frames.ts';
import { silentForecast, withoutMethod } from './index-forecast.ts';
import type { ForecastStatus, IndexForecast, IndexInput } from './index-forecast.ts';
import { daysUntil, horizon } from './methods.ts';
import { cyclesOf, increments } from './series.ts';
import type { Cycle } from './series.ts';

export interface ForecastInput {
  /** Days since 1970-01-01 UTC, with their fraction: now. */
  today: number;
  indexes: IndexInput[];
}

export interface GroupBacktest {
  group: string;
  method: string | null;
  cases: number;
  error_days: number | null;
  naive_last_value_days: number | null;
  naive_line_days: number | null;
  skill: number | null;
}

export interface ForecastOutcome {
  forecasts: IndexForecast[];
  groups: GroupBacktest[];
  errors: MethodError[];
}

/** Days of the past on which forecasts are tried: from this many before the last, every third. */
const backtestDays = 60;
const backtestEvery = 3;

/** More cases than these teach nothing new and take long. */
const mostCases = 6000;

/** Its own threshold, and levels a little above the bloat of then. */
const levels = (threshold: number) => (now: number) => [threshold, now + 2, now + 5];

/** The choices that a backtest over these indexes leads to: for each group, and over all of them. */
export function learn(
  indexes: readonly { cycles: readonly Cycle[]; threshold: number }[],
  today: number,
): { choices: Map<Group | 'all', Choice | null>; cases: Case[] } {
  const last = Math.floor(today);
  const perIndex = Math.ceil(mostCases / Math.max(1, indexes.length));
  const cases = indexes.flatMap(({ cycles, threshold }) => {
    const own: Case[] = [];
    for (let back = 1; back <= backtestDays && own.length < perIndex; back += backtestEvery)
      own.push(...casesOn(cycles, last - back, levels(threshold), last));
    return own;
  });
  const choices = new Map<Group | 'all', Choice | null>([['all', choose(cases)]]);
  for (const group of new Set(cases.map((each) => each.group)))
    choices.set(group, choose(cases.filter((each) => each.group === group)));
  return { choices, cases };
}

function unrest(values: readonly number[]): number {
  const added = increments(values.slice(-15));
  const mean = added.reduce((sum, each) => sum + each, 0) / Math.max(1, added.length);
  const spread = Math.sqrt(
    added.reduce((sum, each) => sum + (each - mean) ** 2, 0) / Math.max(1, added.length),
  );
  return Math.max(0.3, spread);
}

/** The forecast of one index by what was learned. */
export function forecastOne(
  { index_id, threshold }: Pick<IndexInput, 'index_id' | 'threshold'>,
  cycles: readonly Cycle[],
  choices: ReadonlyMap<Group | 'all', Choice | null>,
): IndexForecast {
  const settled = withoutMethod({ index_id, threshold }, cycles);
  if (settled !== null) return settled;
  const values = cycles.at(-1)?.values ?? [];
  const now = values.at(-1) ?? 0;
  const silent = (status: ForecastStatus, reason: string, group: Group): IndexForecast => ({
    ...silentForecast({ index_id, threshold }, now, status, reason),
    group,
  });
  const group = groupOf(cycles);
  const choice = choices.get(group) ?? choices.get('all') ?? null;
  if (choice === null)
    return silent('insufficient_history', 'too few indexes grew in the past to try a method on', group);
  if (choice.skill <= 0)
    return silent(
      'no_skill',
      `no method was better than the last value and a straight line (error ${choice.error.toFixed(1)} days)`,
      group,
    );
  const path = choice.method.path(cycles);
  if (path === null) return silent('insufficient_history', `too few days for ${choice.method.name}`, group);
  const finite = (days: number): number | null => (days <= horizon ? days : null);
  const { from, to } = intervalOf(path, choice, now, unrest(values), threshold);
  const days = daysUntil(path, now, threshold);
  return {
    ...silent('forecast', '', group),
    reason: null,
    method: choice.method.name,
    days: finite(days),
    days_low: finite(Math.min(from, days)),
    days_high: finite(Math.max(to, days)),
    bloat_in_week: path[6] ?? null,
    skill: choice.skill,
    error_days: choice.error,
  };
}

export function forecastIndexes({ today, indexes }: ForecastInput): ForecastOutcome {
  const known = indexes.map((input) => ({
    input,
    cycles: cyclesOf(input.points, today),
    threshold: input.threshold,
  }));
  const { choices, cases } = learn(known, today);
  return {
    forecasts: known.map(({ input, cycles }) => forecastOne(input, cycles, choices)),
    groups: [...choices].map(([group, choice]) => ({
      group,
      method: choice?.method.name ?? null,
      cases: choice?.cases ?? 0,
      error_days: choice?.error ?? null,
      naive_last_value_days: choice?.naive.last_value ?? null,
      naive_line_days: choice?.naive.straight_line ?? null,
      skill: choice?.skill ?? null,
    })),
    errors: errorTable(worthJudging(cases)),
  };
}
