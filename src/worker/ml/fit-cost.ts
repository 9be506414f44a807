/** Fits what each kind of work takes on this server to the times measured. */
import { amountsOf } from '../../catalog/query-risk/fitted-cost.ts';
import type { FittedCost } from '../../catalog/query-risk/fitted-cost.ts';
import { priorMicroseconds, workKinds } from '../../catalog/query-risk/feature-names.ts';

const rounds = 250;
const rate = 0.05;
/** How strongly a price is held near to where it began, in samples: with few, the prior stands. */
const priorWeight = 3;

/**
 * Prices that make the sum of squared differences of log(predicted) and log(measured) least, by gradient descent (Adam) on
 * their logarithms, so that none becomes negative. Samples of 1 ms weigh as much as those of 1 s.
 */
export function fitCost(samples: readonly { features: readonly number[]; mean_ms: number }[]): FittedCost {
  const amounts = samples.map(({ features }) => amountsOf(features));
  const wanted = samples.map(({ mean_ms: ms }) => Math.log(Math.max(ms * 1000, 1)));
  const prior = workKinds.map((kind) => Math.log(priorMicroseconds[kind]));
  const logs = [...prior];
  const first = prior.map(() => 0);
  const second = prior.map(() => 0);
  for (let round = 1; round <= rounds; round += 1) {
    const prices = logs.map(Math.exp);
    const gradient = logs.map((log, index) => (priorWeight * (log - (prior[index] ?? 0))) / samples.length);
    amounts.forEach((amount, row) => {
      const sum = amount.reduce((total, each, index) => total + each * (prices[index] ?? 0), 0);
      const difference = Math.log(Math.max(sum, 1)) - (wanted[row] ?? 0);
      // Huber: one statement that waited for a lock must not bend all prices.
      const pull = Math.max(-1.5, Math.min(1.5, difference)) / samples.length;
      amount.forEach((each, index) => {
        gradient[index] = (gradient[index] ?? 0) + (pull * each * (prices[index] ?? 0)) / Math.max(sum, 1);
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
