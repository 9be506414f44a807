/** Fits what each kind of work takes on this server to the times measured. */
import { mean } from 'simple-statistics';
import { amountsOf } from '../../catalog/query-risk/fitted-cost.ts';
import type { FittedCost } from '../../catalog/query-risk/fitted-cost.ts';
import { priorMicroseconds, workKinds } from '../../catalog/query-risk/feature-names.ts';

const rounds = 250;
const rate = 0.05;
/**
 * How strongly a price is held near to where it began, in samples: with few, the prior stands. Too much, and a server that
 * is unlike the one the prior comes from is not learned; too little, and what a few statements do becomes the price of
 * a kind of work. In `npm run bench:risk`, 10 to 100 are alike and 3 is worse. All prices together are not held: how fast the
 * machine is comes from the samples alone.
 */
const priorWeight = 20;

/** Below this share of what is called slow, how long a statement takes does not matter: no price is bent for it. */
const floorShare = 0.1;

/** Milliseconds that are added to what is expected and to what was measured, where the two are compared. */
export const floorOf = (slowMs: number): number => floorShare * slowMs;

/**
 * Prices that make the sum of squared differences of log(predicted) and log(measured) least, by gradient descent (Adam) on
 * their logarithms, so that none becomes negative. Samples of 1 ms more than the floor weigh as much as those of 1 s.
 */
export function fitCost(
  samples: readonly { features: readonly number[]; mean_ms: number }[],
  slowMs: number,
): FittedCost {
  const floor = floorOf(slowMs) * 1000;
  const amounts = samples.map(({ features }) => amountsOf(features));
  const wanted = samples.map(({ mean_ms: ms }) => Math.log(ms * 1000 + floor));
  const prior = workKinds.map((kind) => Math.log(priorMicroseconds[kind]));
  const logs = [...prior];
  const first = prior.map(() => 0);
  const second = prior.map(() => 0);
  for (let round = 1; round <= rounds; round += 1) {
    const prices = logs.map(Math.exp);
    const moved = logs.map((log, index) => log - (prior[index] ?? 0));
    const speed = mean(moved);
    const gradient = moved.map((by) => (priorWeight * (by - speed)) / samples.length);
    amounts.forEach((amount, row) => {
      const sum = amount.reduce((total, each, index) => total + each * (prices[index] ?? 0), floor);
      // Huber: one statement that waited for a lock must not bend all prices.
      const difference = Math.max(-1.5, Math.min(1.5, Math.log(sum) - (wanted[row] ?? 0)));
      const pull = difference / sum / samples.length;
      amount.forEach((each, index) => {
        gradient[index] = (gradient[index] ?? 0) + pull * each * (prices[index] ?? 0);
      });
    });
    gradient.forEach((slope, index) => {
      first[index] = 0.9 * (first[index] ?? 0) + 0.1 * slope;
      second[index] = 0.999 * (second[index] ?? 0) + 0.001 * slope * slope;
      const step = (first[index] ?? 0) / (1 - 0.9 ** round);
      const size = Math.sqrt((second[index] ?? 0) / (1 - 0.999 ** round));
      logs[index] = (logs[index] ?? 0) - (rate * step) / (size + 1e-8);
    });
  }
  return logs.map((log) => Math.fround(Math.exp(log)));
}
