/**
 * Scores gradient-boosted trees exactly as XGBoost does: float32 throughout, the same order of additions, the same
 * default direction of missing values. Runs in the database and in Node; the trainer's own prediction is the same to the
 * last bit, which a test holds it to.
 */

/**
 * One tree as parallel lists, node 0 is the root. An inner node goes left where `value < threshold`; `feature` is -1 at a
 * leaf, whose weight stands in `threshold`. `missingLeft` says where a missing value goes.
 */
export interface Tree {
  feature: readonly number[];
  threshold: readonly number[];
  left: readonly number[];
  right: readonly number[];
  missingLeft: readonly boolean[];
}

export interface Forest {
  /** The margin that all trees add to: what XGBoost makes of its base_score. */
  baseMargin: number;
  trees: readonly Tree[];
}

/** What stands for a missing value. XGBoost as we have it knows no other; features are never below 0 otherwise. */
export const missing = -1;

function leafOf(tree: Tree, row: readonly number[]): number {
  let node = 0;
  for (;;) {
    const feature = tree.feature[node];
    const threshold = tree.threshold[node];
    if (feature === undefined || threshold === undefined) throw new Error(`a tree without node ${node}`);
    if (feature < 0) return threshold;
    const value = Math.fround(row[feature] ?? missing);
    const goesLeft = value === missing ? tree.missingLeft[node] : value < threshold;
    node = (goesLeft ? tree.left[node] : tree.right[node]) ?? -1;
  }
}

/** The sum of all trees, before any transformation. */
export function marginOf(forest: Forest, row: readonly number[]): number {
  let sum = 0;
  for (const tree of forest.trees) sum = Math.fround(sum + leafOf(tree, row));
  return Math.fround(Math.fround(forest.baseMargin) + sum);
}

const float = Math.fround;

/** ln 2 in two parts whose sum is exact enough, its inverse, and the polynomial, as float32. */
const ln2High = float(6.9314575195e-1);
const ln2Low = float(1.4286067653e-6);
const inverseLn2 = float(1.4426950216);
const p1 = float(1.666662544e-1);
const p2 = float(-2.7667332906e-3);

/**
 * expf of the C library that XGBoost was compiled with, to the last bit: argument reduction to |r| <= ln2 / 2, then the
 * rational approximation of FreeBSD's msun (e_expf.c), which Math.exp rounded to float32 differs from in a twentieth of cases.
 */
export function exponential(x: number): number {
  const argument = float(x);
  const size = Math.abs(argument);
  if (Number.isNaN(argument)) return argument;
  if (argument >= 88.722839) return Infinity;
  if (argument <= -103.972084) return 0;
  if (size <= 2 ** -14) return float(1 + argument);
  let k = 0;
  let high = argument;
  let low = 0;
  if (size > 0.34657359) {
    if (size > 1.0397207) k = Math.trunc(float(float(inverseLn2 * argument) + (argument < 0 ? -0.5 : 0.5)));
    else k = argument < 0 ? -1 : 1;
    high = float(argument - float(k * ln2High));
    low = float(k * ln2Low);
  }
  const rest = float(high - low);
  const square = float(rest * rest);
  const c = float(rest - float(square * float(p1 + float(square * p2))));
  const y = float(1 + float(float(float(float(rest * c) / float(2 - c)) - low) + high));
  return k === 0 ? y : float(y * 2 ** k);
}

/** XGBoost's sigmoid: 1 / (1 + expf(-x)), each operation in float32. */
export function sigmoid(margin: number): number {
  return float(1 / float(1 + exponential(-margin)));
}
