/** XGBoost by ml-xgboost (WebAssembly): trains, and reads the trees out of what it saves. */
import { createRequire } from 'node:module';
import type { Forest, Tree } from '../../catalog/query-risk/trees.ts';

/** What of ml-xgboost is used; it has no types of its own. */
interface Booster {
  train(rows: readonly (readonly number[])[], labels: readonly number[]): void;
  predict(rows: readonly (readonly number[])[]): number[];
  toJSON(): { model: number[] };
  free(): void;
}

type BoosterClass = new (options: Record<string, string | number>) => Booster;

export interface TrainOptions {
  objective: 'binary:logistic' | 'reg:linear';
  /** Boosting rounds. */
  rounds: number;
  max_depth: number;
  eta: number;
  min_child_weight: number;
  subsample: number;
  colsample_bytree: number;
  lambda: number;
  gamma?: number;
  seed: number;
  base_score?: number;
  /** `(0,1,-1,…)`, one for each feature: 1 where more of it must never give less. */
  monotone_constraints?: string;
}

export interface Trained {
  forest: Forest;
  /** Gain of each feature summed over all splits, as a share of the whole; by position. */
  importance: number[];
  /** The trainer's own prediction. */
  predict(rows: readonly (readonly number[])[]): number[];
  /** Gives back the memory of WebAssembly, which nobody collects. */
  free(): void;
}

/** The rows are copied over the stack of WebAssembly, which has 5 MB. */
export const mostValues = 1_000_000;

let loaded: Promise<BoosterClass> | undefined;

function load(): Promise<BoosterClass> {
  // Its loader would fetch its file from the disk by this, fail, and say so on the console before it reads the file.
  loaded ??= (async () => {
    const webAssembly = Reflect.get(globalThis, 'WebAssembly') as { instantiateStreaming: unknown };
    const { instantiateStreaming } = webAssembly;
    Reflect.deleteProperty(webAssembly, 'instantiateStreaming');
    try {
      return await (createRequire(import.meta.url)('ml-xgboost') as Promise<BoosterClass>);
    } finally {
      Object.assign(webAssembly, { instantiateStreaming });
    }
  })();
  return loaded;
}

/** Trains on rows of equal length without NaN or infinity; `missing` (-1) is a missing value. Throws on bad input. */
export async function trainForest(
  rows: readonly (readonly number[])[],
  labels: readonly number[],
  { rounds, ...options }: TrainOptions,
): Promise<Trained> {
  const width = rows[0]?.length ?? 0;
  if (width === 0 || rows.length !== labels.length)
    throw new Error('as many labels as rows are needed, and some');
  if (rows.length * width > mostValues) throw new Error(`more than ${mostValues} values at once`);
  if (rows.some((row) => row.length !== width || !row.every(Number.isFinite)))
    throw new Error('every row must have the same number of finite values');
  if (!labels.every(Number.isFinite)) throw new Error('every label must be a finite number');
  const Booster = await load();
  const booster = new Booster({ booster: 'gbtree', silent: 1, nthread: 1, ...options, iterations: rounds });
  booster.train(rows, labels);
  const { forest, gains } = readModel(
    Uint8Array.from(booster.toJSON().model, (byte) => byte & 255),
    width,
  );
  const whole = gains.reduce((sum, gain) => sum + gain, 0);
  return {
    forest,
    importance: gains.map((gain) => (whole > 0 ? gain / whole : 0)),
    predict: (wanted) => (wanted.length === 0 ? [] : booster.predict(wanted)),
    free: () => {
      booster.free();
    },
  };
}

class Reader {
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  int(): number {
    this.at += 4;
    return this.#view.getInt32(this.at - 4, true);
  }
  float(): number {
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }
  text(): string {
    const length = this.int();
    this.skip(4);
    const codes = Array.from({ length }, (_, index) => this.#view.getUint8(this.at + index));
    this.skip(length);
    return String.fromCharCode(...codes);
  }
  skip(bytes: number): void {
    this.at += bytes;
  }
  get left(): number {
    return this.#view.byteLength - this.at;
  }
}

/** Sizes of the structs that XGBoost 0.7 writes, without the fields read one by one (learner.cc, gbtree_model.h, tree_model.h). */
const learnerReserved = 4 * 32;
const modelReserved = 4 * 32;
const treeReserved = 4 * 31;

/**
 * Reads the binary model of XGBoost 0.7: learner parameters, the names of objective and booster, and the trees.
 * Throws where anything is not as that version writes it.
 */
export function readModel(bytes: Uint8Array, width: number): { forest: Forest; gains: number[] } {
  const reader = new Reader(bytes);
  // What was given as base_score, as a margin already.
  const baseMargin = reader.float();
  if (reader.int() !== width) throw new Error('the model has another number of features than its rows');
  reader.skip(learnerReserved);
  reader.text();
  const booster = reader.text();
  if (booster !== 'gbtree') throw new Error(`the booster is ${booster}, not gbtree`);
  const count = reader.int();
  reader.skip(4 * 3 + 8);
  if (reader.int() !== 1 || reader.int() !== 0) throw new Error('the trees have more than one output');
  reader.skip(modelReserved);
  const gains = Array.from({ length: width }, () => 0);
  const trees = Array.from({ length: count }, () => readTree(reader, gains));
  if (trees.some(({ feature }) => feature.some((index) => index >= width)) || reader.left < 4 * count)
    throw new Error('the model is not as XGBoost 0.7 writes it');
  return { forest: { baseMargin, trees }, gains };
}

function readTree(reader: Reader, gains: number[]): Tree {
  reader.skip(4);
  const nodes = reader.int();
  reader.skip(4 * 4 + treeReserved);
  if (nodes < 1 || nodes * 36 > reader.left) throw new Error('the model ends within a tree');
  const feature: number[] = [];
  const threshold: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const missingLeft: boolean[] = [];
  for (let node = 0; node < nodes; node += 1) {
    reader.skip(4);
    const childLeft = reader.int();
    const childRight = reader.int();
    const split = reader.int();
    const isLeaf = childLeft === -1;
    feature.push(isLeaf ? -1 : split & 0x7fff_ffff);
    left.push(childLeft);
    right.push(childRight);
    missingLeft.push(!isLeaf && split < 0);
    threshold.push(reader.float());
  }
  for (let node = 0; node < nodes; node += 1) {
    const gain = reader.float();
    const index = feature[node] ?? -1;
    if (index >= 0) gains[index] = (gains[index] ?? 0) + gain;
    reader.skip(12);
  }
  return { feature, threshold, left, right, missingLeft };
}
