/** What a statement's own constants add to what the model says of it. */
import test from 'ava';
import { explainQuery, explainRead } from '../../../src/catalog/query-risk/explain.ts';
import type { Explained } from '../../../src/catalog/query-risk/explain.ts';
import { featureNames, featureVersion, workKinds } from '../../../src/catalog/query-risk/feature-names.ts';
import { assess } from '../../../src/catalog/query-risk/model.ts';
import type { QueryRiskModel } from '../../../src/catalog/query-risk/model.ts';
import { readQuery } from '../../../src/catalog/query-risk/query-text.ts';
import { runAsync } from '../../../src/core/drivers.ts';
import { connectionHost } from '../../../src/worker/host.ts';
import { createDatabase } from '../../support/database.ts';

type Known = Extract<Explained, { features: number[] }>;

test('a statement with constants is planned for these too; one with parameters, or of the history, is not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create table job (id int, state text);
    insert into job select n, case when n % 1000 = 0 then 'open' else 'done' end from generate_series(1, 20000) as n;
    analyze job`);
  const host = connectionHost(await database.client());
  const rowsOf = (features: number[]): number =>
    2 ** (features[featureNames.indexOf('result_rows')] ?? NaN) - 1;
  const ask = async (text: string): Promise<Known> => {
    const read = readQuery(text);
    if ('problem' in read) throw new Error(read.problem);
    const explained = await runAsync(explainRead(read), host);
    if ('problem' in explained) throw new Error(JSON.stringify(explained));
    return explained;
  };
  const rare = await ask(`select * from job where state = 'open'`);
  const frequent = await ask(`select * from job where state = 'done'`);
  t.deepEqual(rare.features, frequent.features);
  t.true(
    rowsOf(rare.own!) < 1000 && rowsOf(frequent.own!) > 15_000,
    JSON.stringify([rare.own, frequent.own]),
  );
  t.is((await ask('select * from job where state = $1')).own, null);
  t.is((await ask(`select * from job where state = $1 or id = 5`)).own, null);
  t.is((await ask('select * from job')).own, null);
  // For any values the server refuses it: there is the one plan.
  const series = await ask('select * from generate_series(1, 10)');
  t.is(series.own, null);
  t.true(rowsOf(series.features) > 0);
  const known = await runAsync(explainQuery(`select * from job where state = 'open'`), host);
  t.like(known, { own: null });
  const refused = readQuery(`select * from job where nothing = 'open'`);
  if ('problem' in refused) throw new Error(refused.problem);
  t.like(await runAsync(explainRead(refused), host), { problem: 'not_planned', sqlstate: '42703' });
});

test('the expected time is the geometric mean of both plans, and the risk is of that', (t) => {
  const features = featureNames.map(() => 0);
  const own = features.map((_, index) => (featureNames[index] === 'work_row' ? 20 : 0));
  const general = features.map((_, index) => (featureNames[index] === 'work_row' ? 12 : 0));
  const model: QueryRiskModel = {
    feature_version: featureVersion,
    cost: workKinds.map(() => 1),
    time: { baseMargin: 0, trees: [] },
    weight: 0,
    calibration: { slope: 2, offset: -1 },
    region: { scale: features.map(() => 1), points: [general], near: 0.1, far: 1 },
    typical: features,
  };
  const [one, other, both] = [assess(model, general), assess(model, own), assess(model, general, own)];
  t.true(Math.abs(both.expected_ms / Math.sqrt(one.expected_ms * other.expected_ms) - 1) < 1e-9);
  t.true(one.risk < both.risk && both.risk < other.risk);
  t.is(both.confidence, one.confidence);
});
