import test from 'ava';
import { exponential, marginOf, missing, sigmoid } from '../../../src/catalog/query-risk/trees.ts';
import { readModel, trainForest } from '../../../src/worker/ml/xgboost.ts';
import { Random, seedOfRun } from '../../property/random.ts';

const seed = seedOfRun();
const options = {
  rounds: 40,
  max_depth: 5,
  eta: 0.3,
  min_child_weight: 1,
  subsample: 0.8,
  colsample_bytree: 0.8,
  lambda: 1,
  seed: 1,
} as const;

function data(random: Random, rows: number): { rows: number[][]; labels: number[] } {
  const all = Array.from({ length: rows }, () =>
    Array.from({ length: 12 }, () => (random.chance(0.15) ? missing : random.next() * 10 ** random.below(6))),
  );
  const labels = all.map((row) =>
    Math.log2(2 + row[0]!) + (row[1]! > 50 ? 3 : 0) + random.next() > 6 ? 1 : 0,
  );
  return { rows: all, labels };
}

for (const objective of ['binary:logistic', 'reg:linear'] as const) {
  for (const base of [0.5, 0.17]) {
    test(`${objective} from ${base}: 6,000 random rows get the trainer's own prediction to the last bit`, async (t) => {
      const random = new Random(seed);
      const { rows, labels } = data(random, 1500);
      const trained = await trainForest(rows, labels, { objective, ...options, base_score: base });
      const wanted = [...rows, ...data(random, 4500).rows];
      const theirs = trained.predict(wanted);
      const ours = wanted.map((row) => {
        const margin = marginOf(trained.forest, row);
        return objective === 'reg:linear' ? margin : sigmoid(margin);
      });
      t.true(new Set(ours).size > 500);
      t.is(
        ours.findIndex((value, index) => !Object.is(value, theirs[index])),
        -1,
        `seed ${seed}`,
      );
      trained.free();
    });
  }
}

test('the exponential is that of the C library: its ends, and within one unit of the last place', (t) => {
  t.is(exponential(0), 1);
  t.is(exponential(-200), 0);
  t.is(exponential(89), Infinity);
  t.is(sigmoid(0), 0.5);
  t.is(sigmoid(-200), 0);
  t.is(sigmoid(200), 1);
  const random = new Random(seed);
  for (let count = 0; count < 5000; count += 1) {
    const x = random.next() * 40 - 20;
    const exact = Math.exp(Math.fround(x));
    t.true(Math.abs(exponential(x) / exact - 1) < 2 ** -22, `${x}, seed ${seed}`);
  }
});

test('what is no model of that version is refused, and so is what it can’t be trained on', async (t) => {
  t.throws(() => readModel(new Uint8Array(400), 3), { message: /another number of features/ });
  t.throws(() => readModel(new Uint8Array(10), 3));
  await t.throwsAsync(trainForest([[1, NaN]], [1], { objective: 'reg:linear', ...options }), {
    message: /finite/,
  });
  await t.throwsAsync(trainForest([[1]], [1, 0], { objective: 'reg:linear', ...options }), {
    message: /as many labels as rows/,
  });
});
