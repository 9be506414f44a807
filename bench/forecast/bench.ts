/**
 * `npm run bench:forecast`: forecasts of index bloat on indexes and on days that no choice was made on, against the naive
 * ones. No database: traces of churn, for which the outcome is known.
 */
import { median } from 'simple-statistics';
import { casesOn, covers, errorOf, intervalOf, matters } from '../../src/worker/forecast/backtest.ts';
import { forecastOne, learn } from '../../src/worker/forecast/forecast.ts';
import { daysUntil, methods } from '../../src/worker/forecast/methods.ts';
import { cyclesOf } from '../../src/worker/forecast/series.ts';
import { Random } from '../../test/property/random.ts';
import { aim, say, table } from '../support/print.ts';
import { kinds, makeTrace } from './traces.ts';
import type { Kind } from './traces.ts';

const quick = process.argv.includes('--quick');
const seed = Number(process.env['BENCH_SEED'] ?? 1);
const perKind = quick ? 30 : 80;
const days = 160;
/** The last day that anything is learned from; forecasts are made on the days after it. */
const learnedUntil = 100;

interface Judged {
  kind: Kind;
  error: number;
  lastValue: number;
  line: number;
  covered: boolean;
}

const random = new Random(seed);
const began = performance.now();
const traces = kinds.flatMap((kind) => Array.from({ length: perKind }, () => makeTrace(kind, days, random)));
// Every second index is held out: nothing is learned from it.
const learning = traces.filter((_, index) => index % 2 === 0);
const held = traces.filter((_, index) => index % 2 === 1);
const { choices } = learn(
  learning.map(({ points, threshold }) => ({
    cycles: cyclesOf(
      points.filter(({ day }) => day <= learnedUntil),
      learnedUntil,
    ),
    threshold,
  })),
  learnedUntil,
);

const judged: Judged[] = [];
let silent = 0;
let made = 0;
const indexOf = (name: string): number => methods.findIndex((method) => method.name === name);
for (const { kind, points, threshold } of held) {
  const cycles = cyclesOf(points, days - 1);
  for (let day = learnedUntil; day < days - 14; day += 1) {
    const [known] = casesOn(cycles, day, () => [threshold], days - 1);
    if (!known) continue;
    made += 1;
    const asOf = cycles
      .filter(({ start }) => start <= day)
      .map(({ start, values }) => ({ start, values: values.slice(0, day - start + 1) }));
    const forecast = forecastOne({ index_id: 0, threshold }, asOf, choices);
    const choice = choices.get(known.group) ?? choices.get('all');
    if (forecast.status !== 'forecast' || !choice) {
      silent += 1;
      continue;
    }
    const path = choice.method.path(asOf);
    if (path === null) continue;
    const predicted = daysUntil(path, known.now, threshold);
    const naive = (name: string): number => known.predicted[indexOf(name)] ?? Infinity;
    const any = [predicted, naive('last_value'), naive('straight_line')].some((each) =>
      matters(each, known.actual),
    );
    if (!any) continue;
    judged.push({
      kind,
      error: errorOf(predicted, known.actual),
      lastValue: errorOf(naive('last_value'), known.actual),
      line: errorOf(naive('straight_line'), known.actual),
      covered: covers(intervalOf(path, choice, known.now, known.unrest, threshold), known.actual),
    });
  }
}

const rows = [...kinds, 'all' as const].map((kind) => {
  const of = judged.filter((each) => kind === 'all' || each.kind === kind);
  if (of.length === 0) return [kind, '0', '-', '-', '-', '-'];
  const figure = (value: (each: Judged) => number): string => median(of.map(value)).toFixed(2);
  return [
    kind,
    String(of.length),
    figure((each) => each.error),
    figure((each) => each.lastValue),
    figure((each) => each.line),
    `${((100 * of.filter(({ covered }) => covered).length) / of.length).toFixed(1)} %`,
  ];
});
say(
  `${learning.length} indexes to learn from until day ${learnedUntil}, ${held.length} others forecast on the days after it; seed ${seed}`,
);
say(`forecasts in which a threshold came within 14 days, or was said to; median error in days`);
say();
table(['churn', 'forecasts', 'pg-maint', 'last value', 'straight line', 'in the 80 % interval'], rows);
say();
table(
  ['group', 'method', 'cases', 'skill'],
  [...choices].map(([group, choice]) => [
    group,
    choice?.method.name ?? '-',
    String(choice?.cases ?? 0),
    (choice?.skill ?? 0).toFixed(2),
  ]),
);
say();
const share = judged.filter(({ covered }) => covered).length / judged.length;
const all = (value: (each: Judged) => number): number => median(judged.map(value));
say(
  `${made} forecasts asked for, ${silent} without one; ${((performance.now() - began) / 1000).toFixed(1)} s`,
);
const ours = all((each) => each.error);
aim(
  `median error below the last value's: ${(ours / all((each) => each.lastValue)).toFixed(2)} of it`,
  ours < all((each) => each.lastValue),
);
aim(
  `median error below the straight line's: ${(ours / all((each) => each.line)).toFixed(2)} of it`,
  ours < all((each) => each.line),
);
aim(`the 80 % interval holds 75 to 85 %: ${(100 * share).toFixed(1)} %`, share >= 0.75 && share <= 0.85);
