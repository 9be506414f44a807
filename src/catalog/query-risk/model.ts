/** A trained query-risk model as it is stored, and what it says about a statement. Runs in the database and in Node. */
import { microsecondsOf } from './fitted-cost.ts';
import type { FittedCost } from './fitted-cost.ts';
import { confidenceOf } from './known-region.ts';
import type { KnownRegion } from './known-region.ts';
import { featureNames } from './feature-names.ts';
import type { FeatureName, WorkKind } from './feature-names.ts';
import { marginOf, missing, sigmoid } from './trees.ts';
import type { Forest } from './trees.ts';

/** Platt's scaling: risk = sigmoid(slope × log10 of the expected milliseconds + offset). */
export interface Calibration {
  slope: number;
  offset: number;
}

export interface QueryRiskModel {
  feature_version: number;
  cost: FittedCost;
  /** Gives what the fitted cost misses, from the features: to be added to its logarithm (base 10). */
  time: Forest;
  /** How much of that is added: what it was worth on statements of shapes that the trees had not seen, 0 to 1. */
  weight: number;
  calibration: Calibration;
  region: KnownRegion;
  /** The mean of each feature in training: what a reason is told against. */
  typical: readonly number[];
}

export interface Assessment {
  /** Chance that the statement is slow, from 0 to 1. */
  risk: number;
  expected_ms: number;
  /** 1 among what was trained on, falling to 0 where nothing like it was. */
  confidence: number;
}

/** log10 of the milliseconds that the fitted cost gives, of at least a microsecond. */
export function logCostOf(cost: FittedCost, features: readonly number[]): number {
  return Math.log10(Math.max(1, microsecondsOf(cost, features)) / 1000);
}

/** log10 of the milliseconds to expect. */
export function logTimeOf(
  model: Pick<QueryRiskModel, 'cost' | 'time' | 'weight'>,
  features: readonly number[],
): number {
  return logCostOf(model.cost, features) + model.weight * marginOf(model.time, features);
}

/**
 * `own` are the features of the plan for the statement's own constants, where they are known. Both plans guess: for any
 * values the planner takes fixed shares, for some it takes columns for independent; their mean (of logarithms) is nearer
 * to what statements take than either (`npm run bench:risk`).
 */
export function assess(
  model: QueryRiskModel,
  features: readonly number[],
  own: readonly number[] | null = null,
): Assessment {
  const { slope, offset } = model.calibration;
  const general = logTimeOf(model, features);
  const logTime = own ? (general + logTimeOf(model, own)) / 2 : general;
  return {
    risk: sigmoid(slope * logTime + offset),
    expected_ms: 10 ** logTime,
    confidence: confidenceOf(model.region, features),
  };
}

const amount = (value: number): string => {
  const size = 2 ** value - 1;
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} billion`;
  if (size >= 1e6) return `${(size / 1e6).toFixed(1)} million`;
  return size >= 1000 ? `${(size / 1000).toFixed(0)},000` : size.toFixed(0);
};

type Words = (value: number) => string;

/** In words, for the features that people can do something about. */
const words: Partial<Record<FeatureName, Words>> = {
  total_cost: (value) => `the planner's cost is ${amount(value)}`,
  sequential_rows: (value) => `scans about ${amount(value)} rows one after the other`,
  sequential_pages: (value) => `reads ${amount(value)} pages by sequential scans`,
  scanned_pages: (value) => `reads about ${amount(value)} pages`,
  index_rows: (value) => `fetches about ${amount(value)} rows by index`,
  random_fetches: (value) => `fetches about ${amount(value)} pages here and there`,
  bitmap_rows: (value) => `fetches about ${amount(value)} rows by bitmap`,
  work_rows: (value) => `moves about ${amount(value)} rows through its plan`,
  most_rows: (value) => `one node of its plan gives about ${amount(value)} rows`,
  join_rows: (value) => `its joins give about ${amount(value)} rows`,
  loops: (value) => `runs an inner plan about ${amount(value)} times`,
  filter_rows: (value) => `tests conditions about ${amount(value)} times`,
  pattern_rows: (value) => `matches patterns or JSON in about ${amount(value)} rows`,
  sort_rows: (value) => `sorts about ${amount(value)} rows`,
  sort_bytes: (value) => `sorts about ${amount(value)} bytes`,
  hash_bytes: (value) => `hashes about ${amount(value)} bytes`,
  hash_rows: (value) => `hashes about ${amount(value)} rows`,
  aggregate_rows: (value) => `aggregates about ${amount(value)} rows`,
  aggregate_groups: (value) => `makes about ${amount(value)} groups`,
  aggregate_calls: (value) => `calls aggregate functions about ${amount(value)} times`,
  window_rows: (value) => `computes window functions over about ${amount(value)} rows`,
  function_calls: (value) => `calls functions about ${amount(value)} times`,
  subplan_loops: (value) => `runs subqueries about ${amount(value)} times`,
  modified_rows: (value) => `changes about ${amount(value)} rows`,
  modified_index_entries: (value) => `writes about ${amount(value)} index entries`,
  modified_triggers: (value) => `fires triggers about ${amount(value)} times`,
  result_rows: (value) => `returns about ${amount(value)} rows`,
  result_bytes: (value) => `returns about ${amount(value)} bytes`,
  output_bytes: (value) => `moves about ${amount(value)} bytes through one node`,
  largest_table_rows: (value) => `uses a table of ${amount(value)} rows`,
} satisfies Partial<Record<Exclude<FeatureName, `work_${WorkKind}`>, Words>>;

/**
 * Why the expected time is what it is: the features whose typical value instead would lower it most, worst first, at most
 * `most`. One at a time, so that what two features do together is told of each.
 */
export function reasonsFor(model: QueryRiskModel, features: readonly number[], most: number): string[] {
  // None of those that there are words for is an amount of work, so the fitted cost is the same with and without.
  const expected = marginOf(model.time, features);
  return featureNames
    .map((name, index) => {
      const value = features[index] ?? missing;
      const say = words[name];
      const typical = model.typical[index] ?? value;
      if (!say || value <= typical) return { text: '', adds: 0 };
      const other = [...features];
      other[index] = typical;
      return { text: say(value), adds: expected - marginOf(model.time, other) };
    })
    .filter(({ adds }) => adds > 0)
    .sort((a, b) => b.adds - a.adds)
    .slice(0, most)
    .map(({ text }) => text);
}
