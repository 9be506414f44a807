/** How good the models are: against what needs no model, and against what happened. */
import type { Json, JsonObject } from '../../steps/step.ts';
import type { ReportModel } from './data.ts';
import { c, figure, legend, percent, quiet, timeAxis, valueAxis } from './figure.ts';
import type { Point } from './figure.ts';
import { html, time } from './html.ts';
import type { Html } from './html.ts';

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(3);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const words = (key: string): string => key.replaceAll('_', ' ');

/** Figures of an object, those below others by a dotted name; lists are left out. */
function figures(value: JsonObject, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, each]): [string, string][] => {
    const name = `${prefix}${words(key)}`;
    if (each !== null && typeof each === 'object' && !Array.isArray(each)) return figures(each, `${name}, `);
    return Array.isArray(each) ? [] : [[name, textOf(each)]];
  });
}

const shareAxis = valueAxis((value) => value.toFixed(2), { min: 0, max: 1, interval: 0.25 });

/** The chances it gave, in groups, and the shares that were slow: a perfect model lies on the diagonal. */
function calibrationChart({ metrics }: ReportModel): Html | null {
  const bins = metrics.calibration ?? [];
  if (bins.length === 0) return null;
  const share = (value: number): number => Math.round(value * 1000) / 10;
  const most = Math.max(...bins.map(({ count }) => count));
  const percentAxis = valueAxis(percent, { min: 0, max: 100, interval: 25 });
  const name = {
    nameLocation: 'middle' as const,
    nameTextStyle: { color: c('ink') },
  };
  return figure(
    'What it foretold, and what happened',
    `Statements it had not seen, in groups by the risk it gave them; on the dashed line the risk is right. ${
      metrics.calibration_error === undefined
        ? ''
        : `On average it is ${(metrics.calibration_error * 100).toFixed(1)} points off.`
    }`,
    {
      legend: { show: false },
      grid: { left: 26, right: 26, top: 12, bottom: 26, containLabel: true },
      xAxis: { ...percentAxis, ...name, name: 'risk it gave', nameGap: 28 },
      yAxis: { ...percentAxis, ...name, name: 'were slow', nameGap: 44 },
      series: [
        {
          ...quiet,
          type: 'line' as const,
          symbol: 'none',
          lineStyle: { color: c('five'), type: 'dashed' as const, width: 1.5 },
          data: [
            [0, 0],
            [100, 100],
          ],
        },
        {
          ...quiet,
          type: 'line' as const,
          symbol: 'circle',
          symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) =>
            6 + 6 * Math.sqrt((bins[dataIndex]?.count ?? 0) / most),
          lineStyle: { color: c('one'), width: 2 },
          itemStyle: { color: c('one') },
          data: bins.map(({ predicted, observed }) => [share(predicted), share(observed)]),
        },
      ],
    },
    {
      head: ['statements', 'risk it gave', 'were slow'],
      rows: bins.map(({ count, predicted, observed }) => [
        String(count),
        `${share(predicted)} %`,
        `${share(observed)} %`,
      ]),
    },
    'half',
  );
}

/** Guessing finds the slow one of two in half of all cases: that is no figure of the training. */
const aucOfGuessing = 0.5;

/** The model beside two that need no training worth the name. */
function baselineChart({ metrics }: ReportModel): Html | null {
  const { auc, brier, baselines } = metrics;
  if (auc === undefined || brier === undefined || baselines === undefined) return null;
  const rivals = [
    { name: 'model', colour: 'one', auc, brier },
    { name: 'planner’s cost', colour: 'two', auc: baselines.cost.auc, brier: baselines.cost.brier },
    {
      name: 'always same',
      colour: 'five',
      auc: aucOfGuessing,
      brier: baselines.majority.brier,
    },
  ] as const;
  return figure(
    'Beside what needs no model',
    `Of a slow and a fast statement it gives the slow one the higher risk in ${percent(auc * 100)} of all cases, the planner’s cost alone in ${percent(
      baselines.cost.auc * 100,
    )}. Its mean squared error is ${brier.toFixed(3)}, that of the cost ${baselines.cost.brier.toFixed(3)}.`,
    {
      // Three names in one line of the narrow page, and the number of a full bar below them.
      legend: { ...legend, itemGap: 12 },
      grid: { left: 8, right: 16, top: 48, bottom: 4, containLabel: true },
      xAxis: {
        type: 'category' as const,
        data: ['tells slow from fast\n(more is better)', 'squared error\n(less is better)'],
        axisLabel: { color: c('ink'), fontSize: 12, interval: 0 },
        axisLine: { lineStyle: { color: c('faint') } },
        axisTick: { show: false },
      },
      yAxis: shareAxis,
      series: rivals.map((rival) => ({
        ...quiet,
        name: rival.name,
        type: 'bar' as const,
        barMaxWidth: 40,
        itemStyle: { color: c(rival.colour) },
        label: {
          show: true,
          position: 'top' as const,
          color: c('ink'),
          fontSize: 11,
          formatter: ({ value }: { value: unknown }) => Number(value).toFixed(2),
        },
        data: [rival.auc, rival.brier],
      })),
    },
    {
      head: ['', 'tells slow from fast (AUC)', 'squared error (Brier)'],
      rows: rivals.map((rival) => [rival.name, rival.auc.toFixed(3), rival.brier.toFixed(3)]),
    },
    'half',
  );
}

/** As many as have a say that can be seen. */
const shownFeatures = 8;

function importanceChart({ importance }: ReportModel): Html | null {
  const all = Object.entries(importance).sort((a, b) => b[1] - a[1]);
  if (all.length === 0) return null;
  const shown = all.slice(0, shownFeatures);
  return figure(
    'What it goes by',
    `Most by ${words(shown[0]?.[0] ?? '')}: ${percent((shown[0]?.[1] ?? 0) * 100)} of all that it gains from its features.`,
    {
      legend: { show: false },
      grid: { left: 28, right: 30, top: 12, bottom: 4, containLabel: true },
      xAxis: { ...valueAxis(percent, { min: 0 }), splitNumber: 3 },
      yAxis: {
        type: 'category' as const,
        inverse: true,
        data: shown.map(([name]) => words(name)),
        axisLabel: { color: c('ink'), fontSize: 12, width: 130, overflow: 'truncate' as const },
        axisLine: { lineStyle: { color: c('faint') } },
        axisTick: { show: false },
      },
      series: [
        {
          ...quiet,
          type: 'bar' as const,
          barMaxWidth: 16,
          itemStyle: { color: c('three') },
          data: shown.map(([, share]) => Math.round(share * 1000) / 10),
        },
      ],
    },
    {
      head: ['feature', 'share of the gain'],
      rows: all.map(([name, share]) => [words(name), `${(share * 100).toFixed(1)} %`]),
    },
    'half',
  );
}

/** One training after the other, against the planner's cost on the same statements. */
function trainingsChart(rows: readonly ReportModel[]): Html | null {
  const judged = rows.filter(({ metrics }) => metrics.auc !== undefined).toReversed();
  if (judged.length < 2) return null;
  const line = (
    name: string,
    colour: 'one' | 'two',
    of: (row: ReportModel) => number | undefined,
  ): object => ({
    ...quiet,
    name,
    type: 'line' as const,
    symbol: 'circle',
    symbolSize: 6,
    lineStyle: { color: c(colour), width: 2 },
    itemStyle: { color: c(colour) },
    data: judged.flatMap((row): Point[] => {
      const value = of(row);
      return value === undefined ? [] : [[row.trained_at, value]];
    }),
  });
  return figure(
    'From training to training',
    `How well it tells slow from fast, in ${judged.length} trainings; 0.5 is guessing.`,
    {
      xAxis: { ...timeAxis, splitNumber: 4 },
      yAxis: valueAxis((value) => value.toFixed(2), { min: 0.5, max: 1, interval: 0.1 }),
      series: [
        line('model', 'one', ({ metrics }) => metrics.auc),
        line('planner’s cost', 'two', ({ metrics }) => metrics.baselines?.cost.auc),
      ],
    },
    {
      head: ['trained', 'model', 'planner’s cost', 'in use'],
      rows: judged.map(({ trained_at: at, metrics, active }) => [
        at.slice(0, 16).replace('T', ' '),
        (metrics.auc ?? 0).toFixed(3),
        metrics.baselines?.cost.auc.toFixed(3) ?? '',
        active ? 'yes' : '',
      ]),
    },
    'half',
  );
}

function verdict({ active, kind, trained_at: at, reason }: ReportModel): Html {
  return html`<p>
    <strong class="${active ? 'good' : 'warning'}">${active ? 'in use' : 'not in use'}</strong>
    · ${kind} · trained ${time(at)} · ${reason}
  </p>`;
}

function allFigures({ metrics }: ReportModel): Html {
  return html`<details>
    <summary>All figures</summary>
    <table class="stack" aria-label="figures of the model">
      <tbody>
        ${figures(metrics as unknown as JsonObject).map(
          ([name, value]) =>
            html`<tr>
              <td data-label="figure">${name}</td>
              <td class="number" data-label="value">${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </details>`;
}

/** The model in use, or the newest where none is: what a reader wants to know of is the one that answers. */
export function modelSection(rows: readonly ReportModel[]): Html {
  const shown = rows.find(({ active }) => active) ?? rows[0];
  if (shown === undefined) return html``;
  const others = rows.filter((row) => row !== shown);
  return html`${verdict(shown)}
    <div class="charts">
      ${[baselineChart(shown), calibrationChart(shown), importanceChart(shown), trainingsChart(rows)].map(
        (chart) => chart ?? '',
      )}
    </div>
    ${allFigures(shown)}
    ${
      others.length === 0
        ? ''
        : html`<details>
            <summary>${others.length} ${others.length === 1 ? 'other' : 'others'}</summary>
            ${others.map((row) => html`${verdict(row)}${allFigures(row)}`)}
          </details>`
    }`;
}
