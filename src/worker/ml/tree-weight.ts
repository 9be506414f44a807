/** How much of what the trees say is added to the fitted cost. */
import { fitLogistic } from './logistic.ts';

/** The two parts of an expected time, as logarithms: what the fitted cost says, and what the trees add. */
export interface Parts {
  cost: number;
  trees: number;
}

/** Weights of the trees that are tried. */
const weights = Array.from({ length: 11 }, (_, index) => index / 10);

/** How unlikely the labels are by Platt's scaling of these times: the negative logarithm of their likelihood. */
function unlikelihood(times: readonly number[], labels: readonly number[]): number {
  const { slope, offset } = fitLogistic(times, labels);
  return times.reduce((sum, time, index) => {
    const margin = slope * time + offset;
    // log(1 + exp(-margin)) of a slow one, without overflow.
    return (
      sum +
      Math.max(0, -margin) +
      Math.log1p(Math.exp(-Math.abs(margin))) +
      (labels[index] === 1 ? 0 : margin)
    );
  }, 0);
}

/**
 * How much of what the trees say is to be added: what makes slow and fast likeliest on shapes that they had not seen. Trees
 * remember shapes; with few of them they know little of others.
 */
export function weightOf(outside: readonly (Parts | null)[], labels: readonly number[]): number {
  const seen = outside.flatMap((parts, index) => (parts ? [{ ...parts, label: labels[index] ?? 0 }] : []));
  if (seen.length === 0) return 1;
  const known = seen.map(({ label }) => label);
  const tried = weights.map((weight) => ({
    weight,
    loss: unlikelihood(
      seen.map(({ cost, trees }) => cost + weight * trees),
      known,
    ),
  }));
  return Math.fround(tried.reduce((best, each) => (each.loss < best.loss ? each : best)).weight);
}
