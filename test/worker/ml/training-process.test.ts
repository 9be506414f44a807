import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { outDirectory } from '../../../build/paths.ts';
import { ProcessFailed } from '../../../src/worker/child-process.ts';
import type { Answer } from '../../../src/worker/child-process.ts';
import type { TrainingOutcome } from '../../../src/worker/ml/training.ts';
import { train } from '../../../src/worker/ml/training-process.ts';
import { featureNames } from '../../../src/catalog/query-risk/feature-names.ts';
import type { Sample } from '../../../src/worker/ml/train-query-risk.ts';
import { Random, seedOfRun } from '../../property/random.ts';

/** Statements that read rows, and take longer for each where they return many bytes: what no price of work says. */
function samples(count: number): Sample[] {
  const random = new Random(seedOfRun());
  return Array.from({ length: count }, (_, index) => {
    const features = featureNames.map(() => 0);
    const set = (name: (typeof featureNames)[number], value: number): void => {
      features[featureNames.indexOf(name)] = value;
    };
    const rows = random.next() * 20;
    const bytes = random.next() * 10;
    set('work_scanned_row', rows);
    set('output_bytes', bytes);
    return {
      group: `g${index % 40}`,
      features,
      cost: 2 ** rows,
      mean_ms: 2 ** rows * 1e-4 * (bytes > 5 ? 4 : 1),
    };
  });
}

const job = (count: number) => ({
  kind: 'query_risk' as const,
  training: samples(count),
  held: samples(count),
  settings: { slow_ms: 30, threshold: 0.5, seed: 1 },
  inUse: null,
});

const never = new AbortController().signal;

test('trains in a process of its own, and the same samples give the same model', async (t) => {
  const wanted = job(300);
  const first = await train<'query_risk'>(wanted, { timeoutSeconds: 120, signal: never });
  const second = await train<'query_risk'>(wanted, { timeoutSeconds: 120, signal: never });
  t.deepEqual(first.trained.model, second.trained.model);
  t.true(first.trained.metrics.auc > 0.95);
  t.true(first.trained.model.weight > 0.5);
  t.is(first.trained.metrics.samples, 300);
});

test('one that takes too long is killed; one that is not wanted any more too', async (t) => {
  await t.throwsAsync(train<'query_risk'>(job(3000), { timeoutSeconds: 0.2, signal: never }), {
    instanceOf: ProcessFailed,
    message: /longer than 0.2 s/,
  });
  const controller = new AbortController();
  setTimeout(() => {
    controller.abort();
  }, 200);
  await t.throwsAsync(train<'query_risk'>(job(3000), { timeoutSeconds: 100, signal: controller.signal }), {
    message: /the worker is stopping/,
  });
});

test('what goes wrong in it is said', async (t) => {
  const broken = { ...job(10), training: [{ group: 'a', features: [1], cost: 1, mean_ms: NaN }] };
  await t.throwsAsync(train<'query_risk'>(broken, { timeoutSeconds: 60, signal: never }), {
    instanceOf: ProcessFailed,
    message: /finite/,
  });
});

test('the program that is shipped answers a forecast, with danfojs within it', async (t) => {
  const child = fork(join(outDirectory, 'worker/training.js'), {
    stdio: 'ignore',
    serialization: 'advanced',
  });
  t.teardown(() => child.kill('SIGKILL'));
  const growing = (offset: number) =>
    Array.from({ length: 60 }, (_, day) => ({
      day,
      bloat: offset + day * 0.3 + Math.sin(day),
      rebuilt: false,
    }));
  child.send({
    kind: 'forecast',
    input: {
      today: 60,
      indexes: [0, 1, 2].map((id) => ({ index_id: id, threshold: 25, points: growing(id) })),
    },
  });
  const [message] = (await once(child, 'message')) as [Answer<TrainingOutcome>];
  t.true(message.ok);
  if (!message.ok || message.outcome.kind !== 'forecast') return;
  t.is(message.outcome.outcome.forecasts.length, 3);
  t.true(message.outcome.outcome.errors.length > 0);
});
