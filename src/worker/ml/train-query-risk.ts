/** Trains the query-risk model on some samples and judges it on others that came later. Knows no database. */
import { confidenceOf, distance, scaled } from '../../catalog/query-risk/known-region.ts';
import type { KnownRegion } from '../../catalog/query-risk/known-region.ts';
import { assess, logCostOf, logTimeOf } from '../../catalog/query-risk/model.ts';
import type { QueryRiskModel } from '../../catalog/query-risk/model.ts';
import { featureNames, featureVersion, log2 } from '../../catalog/query-risk/feature-names.ts';
import type { FittedCost } from '../../catalog/query-risk/fitted-cost.ts';
import { marginOf, sigmoid } from '../../catalog/query-risk/trees.ts';
import { fitCost, floorOf } from './fit-cost.ts';
import { areaUnderCurve, brierScore, calibrationBins, calibrationError, decisionsAt } from './metrics.ts';
import type { CalibrationBin, Decisions } from './metrics.ts';
import { fitLogistic } from './logistic.ts';
import { weightOf } from './tree-weight.ts';
import type { Parts } from './tree-weight.ts';
import { mostValues, trainForest } from './xgboost.ts';
import type { Trained, TrainOptions } from './xgboost.ts';

/** What one statement did in one span of time, with its features as they were before. */
export interface Sample {
  /** Statements of one shape: never split between what is fitted and what is calibrated. */
  group: string;
  features: readonly number[];
  /** The planner's total cost. */
  cost: number;
  mean_ms: number;
}

export interface TrainingSettings {
  /** Slow is what takes longer, in milliseconds. */
  slow_ms: number;
  /** From this risk on a statement is called slow where precision and recall are told. */
  threshold: number;
  seed: number;
}

export interface Evaluation extends Decisions {
  samples: number;
  slow: number;
  auc: number;
  brier: number;
  calibration_error: number;
  calibration: CalibrationBin[];
}

export interface Metrics extends Evaluation {
  /** Median of |log10(expected / measured)|: 0.3 is a factor of two. */
  time_error: number;
  baselines: {
    /** The more frequent class for all, with its share as chance. */
    majority: Pick<Evaluation, 'accuracy' | 'brier'> & Lead;
    /** Logistic regression on the logarithm of the planner's cost, fitted on the same training samples. */
    cost: Pick<Evaluation, 'accuracy' | 'auc' | 'brier' | 'calibration_error'> & Lead;
  };
}

interface Lead {
  /**
   * By how many standard errors the model's risks are nearer to what happened than the baseline's. Samples of one group
   * count as one: a statement that is seen ten times is no ten witnesses.
   */
  lead: number;
}

export interface TrainedQueryRisk {
  model: QueryRiskModel;
  metrics: Metrics;
  /** Feature -> share of the gain, the largest first. */
  importance: Record<string, number>;
  training_samples: number;
}

/** Below this in either class, what a tree learns is chance; the seed asks for 50 samples. */
export const fewestOfEachClass = 50;

/** What the trees may add to the logarithm of the fitted cost, or take from it: what is further off waited, or did nothing. */
const mostMissed = 1.5;

/** Trees small and many, each seeing some of the features: what `npm run bench:risk` found no better than others near it. */
const forestOptions = {
  objective: 'reg:linear',
  rounds: 60,
  max_depth: 4,
  eta: 0.1,
  min_child_weight: 30,
  subsample: 0.6,
  colsample_bytree: 0.1,
  lambda: 3,
} as const satisfies Partial<TrainOptions>;

/** Parts of the training samples for calibration: each is scored by trees that saw none of its groups. */
const folds = 3;

/** The prices of work need no more samples than this, and their fit takes time. */
const fittedSamples = 1000;

/** Samples whose nearest neighbours say how far apart neighbours are. */
const measuredSamples = 1000;

/** Points that tell where the model has been. More cost time at each call of maint.query_risk. */
const regionPoints = 200;

/** The newest ones that fit into the trainer. */
export const mostSamples = Math.floor(mostValues / featureNames.length);

export function labelsOf(samples: readonly Sample[], slowMs: number): number[] {
  return samples.map((sample) => (sample.mean_ms > slowMs ? 1 : 0));
}

/** The number of a group in 0 … folds - 1, whatever the order of the samples: FNV-1a. */
function foldOf(group: string, seed: number): number {
  let hash = (0x811c_9dc5 ^ seed) >>> 0;
  for (const character of group) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x0100_0193) >>> 0;
  return (hash >>> 8) % folds;
}

/** What the fitted cost missed of a sample, as a logarithm; next to nothing where both are too short to matter. */
function missedBy(logCost: number, sample: Sample, slowMs: number): number {
  const floor = floorOf(slowMs);
  const missed = Math.log10((sample.mean_ms + floor) / (10 ** logCost + floor));
  return Math.max(-mostMissed, Math.min(mostMissed, missed));
}

async function trainTime(
  samples: readonly Sample[],
  slowMs: number,
  seed: number,
): Promise<{ cost: FittedCost; trained: Trained }> {
  const cost = fitCost(samples.slice(-fittedSamples), slowMs);
  const missed = samples.map((sample) => missedBy(logCostOf(cost, sample.features), sample, slowMs));
  const trained = await trainForest(
    samples.map(({ features }) => features),
    missed,
    { ...forestOptions, base_score: missed.reduce((sum, each) => sum + each, 0) / missed.length, seed },
  );
  return { cost, trained };
}

/** The expected times of the training samples by models that saw none of their groups; null where there is no other group. */
async function outsideTimes(
  samples: readonly Sample[],
  slowMs: number,
  seed: number,
): Promise<(Parts | null)[]> {
  const parts: (Parts | null)[] = samples.map(() => null);
  for (let fold = 0; fold < folds; fold += 1) {
    const inside = samples.filter(({ group }) => foldOf(group, seed) !== fold);
    if (inside.length === 0 || inside.length === samples.length) continue;
    const { cost, trained } = await trainTime(inside, slowMs, seed + fold);
    samples.forEach(({ group, features }, index) => {
      if (foldOf(group, seed) === fold)
        parts[index] = { cost: logCostOf(cost, features), trees: marginOf(trained.forest, features) };
    });
    trained.free();
  }
  return parts;
}

function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** What differs by less than this is the same: a factor of 1.2 in an amount, or a quarter of a small count. */
const leastScale = 0.25;

function regionOf(samples: readonly Sample[]): KnownRegion {
  const scale = featureNames.map((_, index) =>
    Math.max(leastScale, spread(samples.map(({ features }) => features[index] ?? 0))),
  );
  // One of each group first, then more of those that have more: evenly through the groups.
  const byGroup = new Map<string, Sample[]>();
  for (const sample of samples) byGroup.set(sample.group, [...(byGroup.get(sample.group) ?? []), sample]);
  const chosen: { group: string; point: number[] }[] = [];
  for (let round = 0; chosen.length < Math.min(regionPoints, samples.length); round += 1) {
    for (const [group, members] of byGroup) {
      const sample = members[round];
      if (sample && chosen.length < regionPoints)
        chosen.push({ group, point: scaled(sample.features, scale) });
    }
  }
  const every = Math.ceil(samples.length / measuredSamples);
  const nearest = samples
    .filter((_, index) => index % every === 0)
    .map(({ group, features }) => {
      const place = scaled(features, scale);
      return chosen.reduce(
        (least, other) => (other.group === group ? least : Math.min(least, distance(place, other.point))),
        Infinity,
      );
    })
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const at = (share: number): number => nearest[Math.floor(share * (nearest.length - 1))] ?? 0;
  const near = at(0.5);
  return {
    scale: scale.map(Math.fround),
    points: chosen.map(({ point }) => point.map((value) => Math.round(value * 1000) / 1000)),
    near,
    far: Math.max(at(0.95), near * 1.5, 0.1),
  };
}

export function evaluate(risks: readonly number[], labels: readonly number[], threshold: number): Evaluation {
  return {
    samples: labels.length,
    slow: labels.filter((label) => label === 1).length,
    ...decisionsAt(threshold, risks, labels),
    auc: areaUnderCurve(risks, labels),
    brier: brierScore(risks, labels),
    calibration_error: calibrationError(risks, labels),
    calibration: calibrationBins(risks, labels),
  };
}

function leadOver(
  baseline: readonly number[],
  risks: readonly number[],
  held: readonly Sample[],
  labels: readonly number[],
): number {
  const gains = new Map<string, number>();
  held.forEach(({ group }, index) => {
    const label = labels[index] ?? 0;
    const gain = ((baseline[index] ?? 0) - label) ** 2 - ((risks[index] ?? 0) - label) ** 2;
    gains.set(group, (gains.get(group) ?? 0) + gain);
  });
  const each = [...gains.values()];
  const error = spread(each) * Math.sqrt(each.length);
  const sum = each.reduce((total, gain) => total + gain, 0);
  return error > 0 ? sum / error : 0;
}

function baselines(
  training: readonly Sample[],
  held: readonly Sample[],
  risks: readonly number[],
  settings: TrainingSettings,
): Metrics['baselines'] {
  const trainingLabels = labelsOf(training, settings.slow_ms);
  const labels = labelsOf(held, settings.slow_ms);
  const share = trainingLabels.filter((label) => label === 1).length / training.length;
  const { slope, offset } = fitLogistic(
    training.map(({ cost }) => log2(cost)),
    trainingLabels,
  );
  const byCost = held.map(({ cost }) => sigmoid(slope * log2(cost) + offset));
  const majority = held.map(() => share);
  const cost = evaluate(byCost, labels, 0.5);
  return {
    majority: {
      accuracy: decisionsAt(0.5, majority, labels).accuracy,
      brier: brierScore(majority, labels),
      lead: leadOver(majority, risks, held, labels),
    },
    cost: {
      accuracy: cost.accuracy,
      auc: cost.auc,
      brier: cost.brier,
      calibration_error: cost.calibration_error,
      lead: leadOver(byCost, risks, held, labels),
    },
  };
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

export function metricsOf(
  model: QueryRiskModel,
  training: readonly Sample[],
  held: readonly Sample[],
  settings: TrainingSettings,
): Metrics {
  const assessed = held.map(({ features }) => assess(model, features));
  const risks = assessed.map(({ risk }) => risk);
  return {
    ...evaluate(risks, labelsOf(held, settings.slow_ms), settings.threshold),
    time_error: medianOf(
      assessed.map(({ expected_ms }, index) =>
        Math.abs(Math.log10(expected_ms / Math.max(held[index]?.mean_ms ?? 0, 0.001))),
      ),
    ),
    baselines: baselines(training, held, risks, settings),
  };
}

/** Throws where a class is missing altogether; the caller says `insufficient_data` long before. */
export async function trainQueryRisk(
  training: readonly Sample[],
  held: readonly Sample[],
  settings: TrainingSettings,
): Promise<TrainedQueryRisk> {
  const samples = training.slice(-mostSamples);
  const labels = labelsOf(samples, settings.slow_ms);
  const { seed, slow_ms: slowMs } = settings;
  const { cost, trained } = await trainTime(samples, slowMs, seed);
  const outside = await outsideTimes(samples, slowMs, seed);
  const forest = { cost, time: trained.forest, weight: weightOf(outside, labels) };
  // A group that is all there is has no other to be seen from: what is left is how well the model remembers.
  const times = outside.map((parts, index) =>
    parts ? parts.cost + forest.weight * parts.trees : logTimeOf(forest, samples[index]?.features ?? []),
  );
  const calibration = fitLogistic(times, labels);
  const model: QueryRiskModel = {
    feature_version: featureVersion,
    ...forest,
    calibration: { slope: Math.fround(calibration.slope), offset: Math.fround(calibration.offset) },
    region: regionOf(samples),
    typical: featureNames.map((_, index) =>
      Math.fround(medianOf(samples.map(({ features }) => features[index] ?? 0))),
    ),
  };
  const importance = Object.fromEntries(
    featureNames
      .map((name, index) => [name, trained.importance[index] ?? 0] as const)
      .filter(([, share]) => share > 0)
      .sort((a, b) => b[1] - a[1]),
  );
  trained.free();
  return {
    model,
    metrics: metricsOf(model, samples, held, settings),
    importance,
    training_samples: samples.length,
  };
}

/**
 * A lead below this many standard errors is chance: of models that tell nothing 2.3 % pass two of them and 0.13 % three (the
 * tail of the normal distribution), and there is one every day. A useless model in use costs more than a good one some
 * days later.
 */
const leastLead = 3;

/** Why a model is not to be used, or null where it is clearly better than both baselines and no worse than the one in use. */
export function whyNotBetter(metrics: Metrics, inUse: Evaluation | null): string | null {
  const { auc, brier, baselines: base } = metrics;
  const said = (value: number): string => value.toFixed(3);
  if (auc <= base.cost.auc)
    return `it tells slow from fast no better than the planner's cost alone (AUC ${said(auc)} against ${said(base.cost.auc)})`;
  if (base.cost.lead < leastLead)
    return `its risks are not clearly nearer to what happened than those from the planner's cost alone (Brier score ${said(brier)} against ${said(base.cost.brier)})`;
  if (base.majority.lead < leastLead)
    return `its risks are not clearly nearer to what happened than the share of slow statements (Brier score ${said(brier)} against ${said(base.majority.brier)})`;
  if (inUse && brier > inUse.brier)
    return `the model in use is nearer to what happened in the same held-out time (Brier score ${said(inUse.brier)} against ${said(brier)})`;
  return null;
}

/** Of the features that moved most, so many are told. */
const shiftsTold = 5;

/** How the model in use does on the held-out samples, and how far the statements of now are from what it knew. */
export function compareWithModelInUse(
  model: QueryRiskModel | null,
  all: readonly Sample[],
  held: readonly Sample[],
  settings: TrainingSettings,
): {
  inUse: Evaluation | null;
  drift: { unknown_share: number; shifted: { feature: string; shift: number }[] } | null;
} {
  if (model?.feature_version !== featureVersion) return { inUse: null, drift: null };
  const risks = held.map(({ features }) => assess(model, features).risk);
  const unknown = all.filter(({ features }) => confidenceOf(model.region, features) < 0.5).length;
  const shifted = featureNames
    .map((feature, index) => ({
      feature,
      // In units of the spread that it had in training.
      shift:
        Math.abs(medianOf(all.map(({ features }) => features[index] ?? 0)) - (model.typical[index] ?? 0)) /
        (model.region.scale[index] ?? 1),
    }))
    .sort((a, b) => b.shift - a.shift)
    .slice(0, shiftsTold);
  return {
    inUse: evaluate(risks, labelsOf(held, settings.slow_ms), settings.threshold),
    drift: { unknown_share: unknown / all.length, shifted },
  };
}
