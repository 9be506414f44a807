/**
 * `npm run bench:risk [-- --quick]`: the query-risk model on a workload that is executed for real. What it is judged by are
 * statements of templates it has not seen, in a later span of time, on data that has changed meanwhile: the templates are
 * dealt to five parts, each part is scored by a model trained on the other four in the earlier span, and the figures are of
 * all five together. BENCH_SEED draws other statements of the same templates, BENCH_SLOW_MS says what is slow, and
 * BENCH_CLOCK=processor measures the statements by the processor's time, for a machine that has other things to do.
 */
import type pg from 'pg';
import { startCluster } from '../../build/cluster.ts';
import { assess } from '../../src/catalog/query-risk/model.ts';
import { readQuery } from '../../src/catalog/query-risk/query-text.ts';
import { areaUnderCurve, brierScore, calibrationError } from '../../src/worker/ml/metrics.ts';
import { labelsOf, trainQueryRisk, whyNotBetter } from '../../src/worker/ml/train-query-risk.ts';
import type { Metrics, Sample } from '../../src/worker/ml/train-query-risk.ts';
import { createDatabase } from '../support/database.ts';
import { aim, ratio, say, table } from '../support/print.ts';
import { processorTime } from '../support/processor.ts';
import { median } from '../support/statistics.ts';
import { runWorkload, loadSchema } from './workload.ts';
import type { Observed, WorkloadOptions } from './workload.ts';

const quick = process.argv.includes('--quick');
const seed = Number(process.env['BENCH_SEED'] ?? 1);
const clock = process.env['BENCH_CLOCK'] === 'processor' ? 'processor' : 'wall';
const options: WorkloadOptions = quick
  ? { perTemplate: 4, executions: 2, scale: 0.2, seed, clock }
  : { perTemplate: 15, executions: 3, scale: 0.6, seed, clock };
/** Templates are dealt to so many parts; each part is judged by a model that saw none of it. */
const parts = 5;
const settings = { slow_ms: Number(process.env['BENCH_SLOW_MS'] ?? 20), threshold: 0.5, seed: 1 };
const trainingSamples = 5000;

const sampleOf = (each: Observed): Sample => ({
  group: each.template,
  features: each.features,
  cost: each.cost,
  mean_ms: each.mean_ms,
});

interface Scored {
  part: number;
  control: boolean;
  risk: number;
  /** Without its constants. */
  general: number;
  withConstants: number | null;
  cost: number;
  label: number;
}

async function unseenTemplates(observed: readonly Observed[]): Promise<Scored[]> {
  const names = [...new Set(observed.map(({ template }) => template))];
  const partOf = (template: string): number => names.indexOf(template) % parts;
  const scored: Scored[] = [];
  for (let part = 0; part < parts; part += 1) {
    const training = observed.filter(({ span, template }) => span === 0 && partOf(template) !== part);
    const held = observed.filter(({ span, template }) => span === 1 && partOf(template) === part);
    const { model } = await trainQueryRisk(training.map(sampleOf), held.map(sampleOf), settings);
    const labels = labelsOf(held.map(sampleOf), settings.slow_ms);
    held.forEach((each, index) =>
      scored.push({
        part,
        control: each.control,
        risk: assess(model, each.features, each.own).risk,
        general: assess(model, each.features).risk,
        cost: each.cost,
        withConstants: each.cost_with_constants,
        label: labels[index] ?? 0,
      }),
    );
  }
  return scored;
}

/** Samples as often as it takes to make so many, each a little moved, so that trees don't meet the same rows. */
function repeated(observed: readonly Observed[], count: number): Sample[] {
  return Array.from({ length: count }, (_, index) => {
    const sample = sampleOf(observed[index % observed.length] as Observed);
    const moved = 1 + (index % 97) / 10_000;
    return { ...sample, features: sample.features.map((value) => value * moved) };
  });
}

/** So many statements are asked about, as a client sends them; each so often, with other constants each time. */
const asked = 300;
const askedRounds = 7;

/**
 * Milliseconds of query_risk, on the processor of its session's server process, and the server's own Planning Time, of the
 * same text right after it: of each statement the median.
 */
async function costOfAsking(
  client: pg.Client,
  observed: readonly Observed[],
): Promise<{ asking: number; planning: number }[]> {
  const every = Math.max(1, Math.floor(observed.length / asked));
  const statements = observed.filter((_, index) => index % every === 0);
  const times = statements.map(() => ({ asking: [] as number[], planning: [] as number[] }));
  // Once before: catalog caches, plans and the model, which a pooled session has.
  for (let round = -1; round < askedRounds; round += 1) {
    for (const [index, { withOthers }] of statements.entries()) {
      const raw = withOthers(round);
      const asking = await processorTime(client, () => client.query('select maint.query_risk($1)', [raw]));
      const plan = await client.query<{ 'QUERY PLAN': [{ 'Planning Time': number }] }>(
        `explain (format json, summary) ${raw}`,
      );
      if (round < 0) continue;
      times[index]?.asking.push(asking);
      times[index]?.planning.push(plan.rows[0]?.['QUERY PLAN'][0]['Planning Time'] ?? NaN);
    }
  }
  return times.map((each) => ({ asking: median(each.asking), planning: median(each.planning) }));
}

/** Ids in a list: texts that programs make, whose plans are too long for a session to remember; the longer is nearly the longest that is read. */
const listLengths = [6500, 26_000];

/** The square of the list would be 4. */
const mostGrowth = 1.5;

/** Milliseconds on the processor of query_risk beyond its two plans, for a list of so many ids, for each of them; the least of seven. */
async function costOfLists(client: pg.Client): Promise<number[]> {
  const costs: number[] = [];
  for (const length of listLengths) {
    const times: number[] = [];
    for (let round = 0; round < askedRounds; round += 1) {
      const ids = Array.from({ length }, (_, index) => index * 3 + round);
      const text = `select * from orders where id in (${ids.join(', ')})`;
      const read = readQuery(text);
      if ('problem' in read) throw new Error(read.problem);
      const asking = await processorTime(client, () => client.query('select maint.query_risk($1)', [text]));
      const planning = await processorTime(client, () =>
        client.query(`select length(maint.explain_generic($1, $2, '', $3)::text)`, [
          read.general,
          read.generalParameters,
          text,
        ]),
      );
      times.push(asking - planning);
    }
    costs.push(Math.min(...times) / length);
  }
  return costs;
}

async function storeModel(client: pg.Client, observed: readonly Observed[]): Promise<Metrics> {
  const training = observed.filter(({ span }) => span === 0).map(sampleOf);
  const held = observed.filter(({ span }) => span === 1).map(sampleOf);
  const trained = await trainQueryRisk(training, held, settings);
  await client.query(
    `insert into maint.model (kind, active, reason, feature_version, slow_ms, trained_from, held_out_from, held_out_to,
       training_samples, held_out_samples, metrics, importance, coverage, duration_ms, content)
     values ('query_risk', true, 'bench', $1, $2, now(), now(), now(), $3, $4, $5, $6, '{}', 0, $7)`,
    [
      trained.model.feature_version,
      settings.slow_ms,
      training.length,
      held.length,
      JSON.stringify(trained.metrics),
      JSON.stringify(trained.importance),
      JSON.stringify(trained.model),
    ],
  );
  return trained.metrics;
}

/** How it does on the templates that were written after the model. */
function sayControl(scored: readonly Scored[]): void {
  const labels = scored.map(({ label }) => label);
  const aucOf = (value: (each: Scored) => number): string =>
    areaUnderCurve(scored.map(value), labels).toFixed(3);
  say(
    `of them ${scored.length} of control templates, ${labels.filter((label) => label === 1).length} slow: AUC ${aucOf(({ risk }) => risk)}, by the planner’s cost ${aucOf(({ cost }) => cost)}, with their constants ${aucOf(({ withConstants, cost }) => withConstants ?? cost)}`,
  );
}

async function main(): Promise<void> {
  // JIT as PostgreSQL comes; the throw-away cluster of the tests has it off.
  const cluster = await startCluster({ ephemeral: true, settings: { jit: 'on' } });
  try {
    const database = await createDatabase(cluster, 'bench_risk');
    const client = await database.connect();
    await loadSchema(client, options.scale);
    const work = await runWorkload(client, options);
    const { observed } = work;
    say(
      `${work.templates} templates, ${work.statements} distinct statements, ${work.executions} executions, seed ${seed}`,
    );
    say(
      `refused by the server: ${JSON.stringify(work.refused)}; not planned: ${JSON.stringify(work.notPlanned)}`,
    );

    const scored = await unseenTemplates(observed);
    const labels = scored.map(({ label }) => label);
    const risks = scored.map(({ risk }) => risk);
    const general = scored.map((each) => each.general);
    const auc = areaUnderCurve(risks, labels);
    const byCost = areaUnderCurve(
      scored.map(({ cost }) => cost),
      labels,
    );
    const known = scored.filter((each) => each.withConstants !== null);
    const withConstants = areaUnderCurve(
      known.map((each) => each.withConstants ?? 0),
      known.map(({ label }) => label),
    );
    const best = Math.max(byCost, withConstants);
    const byPart = Array.from({ length: parts }, (_, part) => {
      const own = scored.filter((each) => each.part === part);
      return areaUnderCurve(
        own.map(({ risk }) => risk),
        own.map(({ label }) => label),
      );
    });
    const error = calibrationError(risks, labels);
    const before = new Map(
      observed.filter(({ span }) => span === 0).map((each) => [each.queryid, each.mean_ms]),
    );
    const again = observed.filter(({ span, queryid }) => span === 1 && before.has(queryid));
    const ceiling = areaUnderCurve(
      again.map(({ queryid }) => before.get(queryid) ?? 0),
      labelsOf(again.map(sampleOf), settings.slow_ms),
    );
    say();
    table(
      ['statements of unseen templates, later', 'AUC', 'Brier score', 'calibration error'],
      [
        ['query-risk model', auc.toFixed(3), brierScore(risks, labels).toFixed(3), error.toFixed(3)],
        [
          'the same without their constants',
          areaUnderCurve(general, labels).toFixed(3),
          brierScore(general, labels).toFixed(3),
          calibrationError(general, labels).toFixed(3),
        ],
        ['planner’s cost without their constants', byCost.toFixed(3), '', ''],
        ['planner’s cost with their constants', withConstants.toFixed(3), '', ''],
        ['their own time in the span before', ceiling.toFixed(3), '', ''],
      ],
    );
    say(
      `${labels.length} statements, ${labels.filter((label) => label === 1).length} of them over ${settings.slow_ms} ms`,
    );

    sayControl(scored.filter(({ control }) => control));
    say(`AUC of each of the ${parts} parts: ${byPart.map((each) => each.toFixed(3)).join(', ')}`);
    say(
      `a statement took ${ratio(median(again.map((each) => each.mean_ms / (before.get(each.queryid) ?? NaN))))} times as long in the later span, in the median (time: ${clock})`,
    );

    const many = repeated(observed, trainingSamples);
    const began = process.cpuUsage();
    await trainQueryRisk(many, many.slice(0, 500), settings);
    const { user, system } = process.cpuUsage(began);
    const training = (user + system) / 1000;

    const stored = await storeModel(client, observed);
    const { cost, majority } = stored.baselines;
    say(
      `a model of all templates, judged by the later span as a training judges: ${cost.lead.toFixed(1)} standard errors nearer to what happened than the planner’s cost, ${majority.lead.toFixed(1)} than the share of slow ones; ${whyNotBetter(stored, null) ?? 'it would be used'}`,
    );
    const times = await costOfAsking(
      client,
      observed.filter(({ span }) => span === 1),
    );
    const [short = NaN, long = NaN] = await costOfLists(client);
    const asking = median(times.map((each) => each.asking));
    const planning = median(times.map((each) => each.planning));
    const added = median(times.map((each) => each.asking - each.planning));
    say();
    say(
      `query_risk of ${times.length} statements, ${askedRounds} times each: median ${asking.toFixed(2)} ms of the processor; the server’s own planning ${planning.toFixed(2)} ms, ratio ${ratio(asking / planning)}`,
    );
    say(
      `query_risk of a list of ${listLengths.join(' and ')} ids, beyond planning: ${(short * 1000).toFixed(1)} and ${(long * 1000).toFixed(1)} µs of the processor an id, ratio ${ratio(long / short)}`,
    );
    say();
    aim(
      `at least 400 distinct statements in at least 40 templates`,
      work.statements >= 400 && work.templates >= 40,
    );
    aim(`AUC on unseen templates at least 0.90: ${auc.toFixed(3)}`, auc >= 0.9);
    aim(
      `and at least 0.05 above the planner’s cost alone, with the same constants or without: ${(auc - best).toFixed(3)}`,
      auc - best >= 0.05,
    );
    aim(`expected calibration error at most 0.08: ${error.toFixed(3)}`, error <= 0.08);
    aim(
      `training on ${trainingSamples} samples under 5 s of the processor: ${(training / 1000).toFixed(1)} s`,
      training < 5000,
    );
    aim(
      `an id of the longer list takes at most ${mostGrowth} times as long: ${ratio(long / short)}`,
      long / short <= mostGrowth,
    );
    aim(`query_risk adds under 1 ms to planning in the median: ${added.toFixed(2)} ms`, added < 1);
  } finally {
    await cluster.stop('immediate');
  }
}

await main();
