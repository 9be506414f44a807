/**
 * Scores gradient-boosted trees exactly as XGBoost does: float32 throughout, the same order of additions, the same
 * default direction of missing values. Runs in the database and in Node; the trainer's own prediction is the same to the
 * last bit, which a test holds it to.
 */
import { madeOnce } from '../../core/made-once.ts';

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

/** All trees one after the other, in few cache lines: scoring happens between other work that has used the caches. */
interface PackedForest {
  roots: Int32Array;
  feature: Int16Array;
  threshold: Float32Array;
  left: Int32Array;
  right: Int32Array;
  missingLeft: Uint8Array;
}

/** Throws where a tree has a node whose child is none. */
function pack({ trees }: Forest): PackedForest {
  const starts: number[] = [];
  let size = 0;
  for (const { feature } of trees) {
    starts.push(size);
    size += feature.length;
  }
  const packed: PackedForest = {
    roots: Int32Array.from(starts),
    feature: new Int16Array(size),
    threshold: new Float32Array(size),
    left: new Int32Array(size),
    right: new Int32Array(size),
    missingLeft: new Uint8Array(size),
  };
  trees.forEach((tree, index) => {
    const start = starts[index] ?? 0;
    const childOf = (child: number | undefined): number => {
      if (child === undefined || tree.feature[child] === undefined)
        throw new Error(`a tree without node ${child}`);
      return start + child;
    };
    tree.feature.forEach((feature, node) => {
      const isLeaf = feature < 0;
      packed.feature[start + node] = feature;
      packed.threshold[start + node] = tree.threshold[node] ?? NaN;
      packed.left[start + node] = isLeaf ? -1 : childOf(tree.left[node]);
      packed.right[start + node] = isLeaf ? -1 : childOf(tree.right[node]);
      packed.missingLeft[start + node] = tree.missingLeft[node] ? 1 : 0;
    });
  });
  return packed;
}

const packedOf = madeOnce(pack);

/** The sum of all trees, before any transformation. A forest is not to be changed after it was asked. */
export function marginOf(forest: Forest, row: readonly number[]): number {
  const { roots, feature, threshold, left, right, missingLeft } = packedOf(forest);
  let sum = 0;
  for (const root of roots) {
    let node = root;
    for (let asked = feature[node] ?? -1; asked >= 0; asked = feature[node] ?? -1) {
      const value = Math.fround(row[asked] ?? missing);
      const goesLeft = value === missing ? missingLeft[node] === 1 : value < (threshold[node] ?? NaN);
      node = (goesLeft ? left[node] : right[node]) ?? -1;
    }
    sum = Math.fround(sum + (threshold[node] ?? NaN));
  }
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
