/** How well each method would have done on the days that are known by now, by kind of index. */
import { median, quantile, standardDeviation } from 'simple-statistics';
import { daysUntil, horizon, methods } from './methods.ts';
import type { Method } from './methods.ts';
import { fewestDays, increments } from './series.ts';
import type { Cycle } from './series.ts';

/** What a group of indexes has in common: how their bloat came about. */
export type Group = 'flat' | 'rebuilt' | 'bursts' | 'weekly' | 'steady';

/** A forecast of the past, and what came. */
export interface Case {
  group: Group;
  /** Days to the threshold by each method, in the order of `methods`; Infinity for beyond the horizon. */
  predicted: (number | null)[];
  actual: number;
  /** Of each method: what came less what was predicted, each day, in units of the index's own unrest. */
  residuals: (number[] | null)[];
  paths: (number[] | null)[];
  unrest: number;
  now: number;
  threshold: number;
}

/** Within this many points an index is flat. */
const flatPoints = 2;

/** How much a day usually differs from the mean day: never below the error of a measurement. */
function unrestOf(values: readonly number[]): number {
  const added = increments(values.slice(-15));
  return Math.max(0.3, added.length < 2 ? 0 : standardDeviation(added));
}

function correlation(values: readonly number[], lag: number): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  values.forEach((value, index) => {
    below += (value - mean) ** 2;
    const other = values[index - lag];
    if (other !== undefined) above += (value - mean) * (other - mean);
  });
  return below > 0 ? above / below : 0;
}

/** By what was known until then alone. */
export function groupOf(cycles: readonly Cycle[]): Group {
  const values = cycles.at(-1)?.values ?? [];
  const added = increments(values.slice(-42));
  const rise = (values.at(-1) ?? 0) - (values[Math.max(0, values.length - 43)] ?? 0);
  if (added.length >= 21 && correlation(added, 7) > 0.25) return 'weekly';
  if (
    cycles.length > 1 &&
    cycles.some(({ values: all }, index) => index < cycles.length - 1 && all.length > 9)
  )
    return 'rebuilt';
  if (Math.abs(rise) < flatPoints) return 'flat';
  const largest = Math.max(...added.map(Math.abs), 0);
  return largest > Math.max(0.3 * Math.abs(rise), 2.5) ? 'bursts' : 'steady';
}

/** The cycles as they were known on a day. */
function asOf(cycles: readonly Cycle[], day: number): Cycle[] {
  return cycles
    .filter(({ start }) => start <= day)
    .map(({ start, values }) => ({ start, values: values.slice(0, Math.max(0, day - start + 1)) }));
}

/**
 * Forecasts made on a day of the past. Thresholds beside the index's own are what lies a little above its bloat of then:
 * a path is judged by when it passes a level, whatever the level. None where a rebuild came before the outcome.
 */
export function casesOn(
  cycles: readonly Cycle[],
  day: number,
  thresholds: (now: number) => number[],
  horizonKnownTo: number,
): Case[] {
  const known = asOf(cycles, day);
  const current = known.at(-1);
  const now = current?.values.at(-1);
  if (current === undefined || now === undefined || current.values.length < fewestDays) return [];
  const whole = cycles.find(({ start }) => start === current.start);
  const after = whole?.values.slice(current.values.length, current.values.length + horizon) ?? [];
  const ended = after.length < horizon;
  if (ended && day + horizon > horizonKnownTo && after.length === 0) return [];
  const paths = methods.map((method) => method.path(known));
  const unrest = unrestOf(current.values);
  const residuals = paths.map((path) =>
    path === null ? null : after.map((value, index) => (value - (path[index] ?? 0)) / unrest),
  );
  const group = groupOf(known);
  return thresholds(now)
    .filter((threshold) => threshold > now && threshold < 95)
    .flatMap((threshold) => {
      const actual = daysUntil(after, now, threshold);
      // What would have come without the rebuild, or comes after today, nobody knows.
      if (actual === Infinity && ended) return [];
      const predicted = paths.map((path) => (path === null ? null : daysUntil(path, now, threshold)));
      return [{ group, predicted, actual, residuals, paths, unrest, now, threshold }];
    });
}

const capped = (days: number): number => Math.min(days, horizon + 1);

export const errorOf = (predicted: number, actual: number): number =>
  Math.abs(capped(predicted) - capped(actual));

/** Whether there was anything to foresee: it came within the horizon, or the method said so. */
export const matters = (predicted: number, actual: number): boolean =>
  actual <= horizon || predicted <= horizon;

export interface Choice {
  method: Method;
  /** Median error in days, where there was something to foresee. */
  error: number;
  naive: { last_value: number; straight_line: number };
  cases: number;
  /** 1 − error ÷ the better naive error. */
  skill: number;
  /** For each day ahead: what came less what was predicted, in units of unrest, at 10 % and at 90 %. */
  low: number[];
  high: number[];
}

/** Fewer cases than this say nothing about a method. */
const fewestCases = 20;

const coverageWanted = 0.8;

/** Those in which anything happened, or any method said so: the same for all methods, so that none is judged by easier ones. */
export function worthJudging(cases: readonly Case[]): Case[] {
  return cases.filter(({ predicted, actual }) =>
    predicted.some((days) => days !== null && matters(days, actual)),
  );
}

function medianError(cases: readonly Case[], index: number): number {
  return median(cases.map(({ predicted, actual }) => errorOf(predicted[index] ?? Infinity, actual)));
}

function meanError(cases: readonly Case[], index: number): number {
  const errors = cases.map(({ predicted, actual }) => errorOf(predicted[index] ?? Infinity, actual));
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

const indexOf = (name: string): number => methods.findIndex((method) => method.name === name);

/** The interval of a path: when its upper band reaches the threshold, and when its lower one does. */
export function intervalOf(
  path: readonly number[],
  { low, high }: Pick<Choice, 'low' | 'high'>,
  now: number,
  unrest: number,
  threshold: number,
): { from: number; to: number } {
  const band = (edge: readonly number[]): number[] =>
    path.map((value, index) => value + (edge[index] ?? 0) * unrest);
  return { from: daysUntil(band(high), now, threshold), to: daysUntil(band(low), now, threshold) };
}

export function covers({ from, to }: { from: number; to: number }, actual: number): boolean {
  return capped(actual) >= capped(from) && capped(actual) <= capped(to);
}

/** Bands whose intervals hold the outcome of 80 % of the cases: residual quantiles, drawn wider or narrower until they do. */
function bandsOf(cases: readonly Case[], index: number): { low: number[]; high: number[] } {
  const at = (step: number): number[] =>
    cases.flatMap(({ residuals }) => {
      const value = residuals[index]?.[step];
      return value === undefined ? [] : [value];
    });
  const quantiles = Array.from({ length: horizon }, (_, step) => {
    const values = at(step);
    return values.length < 5
      ? { low: -3, middle: 0, high: 3 }
      : { low: quantile(values, 0.1), middle: quantile(values, 0.5), high: quantile(values, 0.9) };
  });
  const bands = (width: number): { low: number[]; high: number[] } => ({
    low: quantiles.map(({ low, middle }) => middle + width * (low - middle)),
    high: quantiles.map(({ high, middle }) => middle + width * (high - middle)),
  });
  const coverage = (width: number): number => {
    const edges = bands(width);
    const held = cases.filter(({ paths, now, unrest, threshold, actual }) => {
      const path = paths[index];
      return path != null && covers(intervalOf(path, edges, now, unrest, threshold), actual);
    });
    return held.length / cases.length;
  };
  let narrow = 0;
  let wide = 6;
  for (let round = 0; round < 20; round += 1) {
    const width = (narrow + wide) / 2;
    if (coverage(width) < coverageWanted) narrow = width;
    else wide = width;
  }
  return bands(wide);
}

/** The method for a group: least error where there was something to foresee; null with too few cases. */
export function choose(cases: readonly Case[]): Choice | null {
  const judged = worthJudging(cases);
  if (judged.length < fewestCases) return null;
  const candidates = methods
    .map((method, index) => ({ method, index }))
    // One that often has nothing to say can't stand for the group.
    .filter(
      ({ method, index }) =>
        !method.naive &&
        judged.filter(({ predicted }) => predicted[index] != null).length >= 0.9 * judged.length,
    )
    .map(({ method, index }) => ({
      method,
      index,
      error: medianError(judged, index),
      mean: meanError(judged, index),
    }))
    .sort((a, b) => a.error + a.mean - (b.error + b.mean));
  const [best] = candidates;
  if (!best) return null;
  const naive = {
    last_value: medianError(judged, indexOf('last_value')),
    straight_line: medianError(judged, indexOf('straight_line')),
  };
  const toBeat = Math.min(naive.last_value, naive.straight_line);
  return {
    method: best.method,
    error: best.error,
    naive,
    cases: judged.length,
    skill: toBeat > 0 ? 1 - best.error / toBeat : 0,
    ...bandsOf(judged, best.index),
  };
}
