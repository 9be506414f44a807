/**
 * A cost model fitted to the server: microseconds = sum of the amounts of work times what one of each takes. It knows what
 * trees can't: that twice the rows take twice the time, also beyond what was in the training data.
 */
import { featureNames, workKinds } from './feature-names.ts';
import type { WorkKind } from './feature-names.ts';

/** Microseconds of one of each kind of work, in the order of workKinds. */
export type FittedCost = readonly number[];

const positions = workKinds.map((kind: WorkKind) => featureNames.indexOf(`work_${kind}`));

/** The amounts of work of a statement, in the order of workKinds. */
export function amountsOf(features: readonly number[]): number[] {
  return positions.map((position) => 2 ** Math.max(0, features[position] ?? 0) - 1);
}

export function microsecondsOf(cost: FittedCost, features: readonly number[]): number {
  return amountsOf(features).reduce((sum, amount, index) => sum + amount * (cost[index] ?? 0), 0);
}
