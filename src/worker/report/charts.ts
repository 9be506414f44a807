/** Charts as SVG, drawn here and not in the browser. Colours are names of CSS, so that one drawing is light and dark. */
import type { EChartsOption } from 'echarts';
import { bytes, count, Html, html } from './html.ts';
import type { ReportIndex, SafeguardDay, ReportData, ReportAction, Workload } from './data.ts';

// Loaded with this file, and not when the command starts: it is large.
const { init } = await import('echarts');

/** What echarts is told -> what the page makes of it. Any colours will do, as long as nothing else has them. */
const colours = {
  ink: ['#0a0b01', '--ink'],
  faint: ['#0a0b02', '--line'],
  one: ['#0a0b03', '--chart-1'],
  two: ['#0a0b04', '--chart-2'],
  three: ['#0a0b05', '--chart-3'],
  four: ['#0a0b06', '--chart-4'],
  five: ['#0a0b07', '--chart-5'],
  critical: ['#0a0b08', '--critical'],
  warning: ['#0a0b09', '--warning'],
  info: ['#0a0b0a', '--info'],
  good: ['#0a0b0b', '--good'],
} as const;

type Colour = keyof typeof colours;

const c = (name: Colour): string => colours[name][0];

/** A drawing keeps its letters' size: it is drawn for a wide and for a narrow page, and the page shows one. */
const sizes = {
  full: { width: 1180, height: 280 },
  half: { width: 560, height: 260 },
  narrow: { width: 330, height: 230 },
} as const;

type Size = keyof typeof sizes;

/** Whether the figure has the page's width or shares it with another. */
export type Span = 'full' | 'half';

const letters = 'system-ui, sans-serif';

function draw(option: EChartsOption, size: Size): Html {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...sizes[size] });
  try {
    chart.setOption({
      useUTC: true,
      animation: false,
      backgroundColor: 'transparent',
      textStyle: { fontFamily: letters, color: c('ink') },
      grid: { left: 8, right: 16, top: 34, bottom: 4, containLabel: true },
      legend: {
        top: 0,
        left: 0,
        itemGap: 22,
        icon: 'roundRect',
        itemWidth: 12,
        itemHeight: 8,
        textStyle: { color: c('ink') },
      },
      ...option,
    });
    let svg = chart.renderToSVGString();
    for (const [written, name] of Object.values(colours)) svg = svg.replaceAll(written, `var(${name})`);
    // The size is the page's; the description is the figure's.
    return new Html(
      svg.replace(
        /^<svg width="\d+" height="\d+"/,
        `<svg class="${size === 'narrow' ? 'narrow' : 'wide'}" aria-hidden="true" focusable="false"`,
      ),
    );
  } finally {
    // Otherwise the process would stay alive.
    chart.dispose();
  }
}

/** A figure with its title, what it shows in words, and the numbers as a table for whoever can't see it. */
export function figure(
  title: string,
  says: string,
  option: EChartsOption,
  table: { head: readonly string[]; rows: readonly (readonly string[])[] },
  span: Span = 'full',
): Html {
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div class="chart" role="img" aria-label="${`${title}. ${says}`}">
      ${draw(option, span)}${draw(option, 'narrow')}
    </div>
    <p class="says">${says}</p>
    <details>
      <summary>The numbers</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="${`${title}, numbers`}">
        <table>
          <thead>
            <tr>
              ${table.head.map((each) => html`<th scope="col">${each}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${table.rows.map(
              (row) =>
                html`<tr>
                  ${row.map((cell) => html`<td>${cell}</td>`)}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  </figure>`;
}

const axisLabel = { color: c('ink'), hideOverlap: true, fontFamily: letters, fontSize: 12 };
const timeAxis = {
  type: 'time' as const,
  splitNumber: 6,
  axisLabel: {
    ...axisLabel,
    formatter: { year: '{yyyy}', month: '{MMM}', day: '{d} {MMM}', hour: '{HH}:{mm}' },
  },
  axisLine: { lineStyle: { color: c('faint') } },
  axisTick: { lineStyle: { color: c('faint') } },
};

/** Ticks at round numbers of the units that people read: of 1024, not of 1000. */
function byteAxis(most: number, more: object = {}) {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log2(Math.max(most, 1)) / 10));
  const step =
    [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 25, 50, 100, 200, 250].find((each) => most <= each * unit * 4) ??
    500;
  return valueAxis(bytes, {
    interval: step * unit,
    min: 0,
    max: Math.max(1, Math.ceil(most / (step * unit))) * step * unit,
    ...more,
  });
}

function valueAxis(format: (value: number) => string, more: object = {}) {
  return {
    type: 'value' as const,
    axisLabel: { ...axisLabel, formatter: format },
    splitLine: { lineStyle: { color: c('faint') } },
    splitNumber: 4,
    ...more,
  };
}

const quiet = { silent: true, emphasis: { disabled: true } };

/** Open findings over the last days, stacked, the worst at the bottom. */
export function trendChart(trend: ReportData['trend']): Html {
  const last = trend.at(-1);
  const worst = ['critical', 'warning', 'info'] as const;
  return figure(
    'Open findings by day',
    last === undefined
      ? 'No day is known.'
      : `Today ${last.critical} critical, ${last.warning} warning and ${last.info} info are open.`,
    {
      xAxis: timeAxis,
      yAxis: valueAxis(count, { minInterval: 1 }),
      series: worst.map((severity) => ({
        ...quiet,
        name: severity,
        type: 'bar' as const,
        stack: 'all',
        barMaxWidth: 18,
        itemStyle: { color: c(severity) },
        data: trend.map((each) => [each.day, each[severity]]),
      })),
    },
    {
      head: ['day', ...worst],
      rows: trend.map((each) => [each.day, ...worst.map((severity) => String(each[severity]))]),
    },
  );
}

type Point = [string, number];

/** A band between two lines, as echarts does it: the lower one unseen, the difference stacked upon it. */
function band(name: string, low: Point[], high: Point[], colour: Colour, opacity: number) {
  const shared = {
    ...quiet,
    type: 'line' as const,
    stack: name,
    symbol: 'none',
    lineStyle: { opacity: 0 },
    tooltip: { show: false },
  };
  return [
    { ...shared, name: `${name} low`, data: low },
    {
      ...shared,
      name,
      itemStyle: { color: c(colour), opacity },
      areaStyle: { color: c(colour), opacity },
      data: high.map(([at, value], index): Point => [at, value - (low[index]?.[1] ?? 0)]),
    },
  ];
}

function percent(value: number): string {
  return `${Math.round(value)} %`;
}

/** One index: bloat with its interval, what is expected of it, and its size. */
export function indexChart(index: ReportIndex): Html {
  const measured = index.history.filter((each) => each.bloat !== null);
  const line = measured.map(({ at, bloat }): Point => [at, bloat ?? 0]);
  const bounded = measured.filter(({ low, high }) => low !== null && high !== null);
  const { forecast } = index;
  const last = line.at(-1);
  const expected: Point[] = [
    ...(last === undefined ? [] : [last]),
    ...forecast.map(({ at, bloat }): Point => [at, bloat]),
  ];
  const says =
    index.bloat_percent === null
      ? `Its bloat is not known: ${index.why}`
      : `${percent(index.bloat_percent)} bloat of ${bytes(index.size_bytes)}, ${bytes(index.wasted_bytes ?? 0)} to be had back. ${index.why}`;
  return figure(
    index.name,
    says,
    {
      legend: {
        top: 0,
        left: 0,
        icon: 'roundRect',
        itemGap: 22,
        itemWidth: 12,
        itemHeight: 8,
        textStyle: { color: c('ink') },
        data: [
          'bloat',
          ...(bounded.length > 0 ? ['19 of 20 cases'] : []),
          ...(forecast.length > 0 ? ['expected', 'expected range'] : []),
          'size',
        ],
      },
      xAxis: timeAxis,
      yAxis: [
        valueAxis(percent, { min: 0, max: 100, interval: 25 }),
        byteAxis(Math.max(...index.history.map(({ size }) => size), index.size_bytes), {
          splitLine: { show: false },
        }),
      ],
      series: [
        ...band(
          '19 of 20 cases',
          bounded.map(({ at, low }): Point => [at, low ?? 0]),
          bounded.map(({ at, high }): Point => [at, high ?? 0]),
          'one',
          0.22,
        ),
        ...(forecast.length === 0
          ? []
          : band(
              'expected range',
              forecast.map(({ at, low }): Point => [at, low]),
              forecast.map(({ at, high }): Point => [at, high]),
              'two',
              0.22,
            )),
        {
          ...quiet,
          name: 'bloat',
          type: 'line' as const,
          symbol: line.length < 20 ? 'circle' : 'none',
          symbolSize: 5,
          lineStyle: { color: c('one'), width: 2 },
          itemStyle: { color: c('one') },
          data: line,
        },
        ...(forecast.length === 0
          ? []
          : [
              {
                ...quiet,
                name: 'expected',
                type: 'line' as const,
                symbol: 'none',
                lineStyle: { color: c('two'), type: 'dashed' as const, width: 2 },
                itemStyle: { color: c('two') },
                data: expected,
              },
            ]),
        {
          ...quiet,
          name: 'size',
          type: 'line' as const,
          yAxisIndex: 1,
          step: 'end' as const,
          symbol: 'none',
          lineStyle: { color: c('five'), width: 1.5 },
          itemStyle: { color: c('five') },
          data: index.history.map(({ at, size }): Point => [at, size]),
        },
      ],
    },
    {
      head: ['when', 'size', 'bloat', 'from', 'to'],
      rows: [
        ...index.history.map(({ at, size, bloat, low, high }) => [
          at.slice(0, 16).replace('T', ' '),
          bytes(size),
          ...[bloat, low, high].map((each) => (each === null ? 'not measured' : percent(each))),
        ]),
        ...forecast.map(({ at, bloat, low, high }) => [
          `${at.slice(0, 10)} (expected)`,
          '',
          percent(bloat),
          percent(low),
          percent(high),
        ]),
      ],
    },
    'half',
  );
}

/** Bytes given back, added up over time. */
export function savedChart(actions: readonly ReportAction[]): Html | null {
  const saving = actions.filter(({ saved }) => saved !== 0).toReversed();
  if (saving.length === 0) return null;
  let sum = 0;
  const points = saving.map(({ at, saved }): Point => [at, (sum += saved)]);
  return figure(
    'Given back to the file system',
    `${bytes(sum)} in all, by dropping and rebuilding indexes.`,
    {
      xAxis: timeAxis,
      yAxis: byteAxis(sum),
      series: [
        {
          ...quiet,
          name: 'bytes given back',
          type: 'line' as const,
          step: 'end' as const,
          symbolSize: 6,
          lineStyle: { color: c('good'), width: 2 },
          itemStyle: { color: c('good') },
          areaStyle: { color: c('good'), opacity: 0.18 },
          data: points,
        },
      ],
    },
    {
      head: ['when', 'action', 'given back'],
      rows: saving.map(({ at, action_id: id, saved }) => [
        at.slice(0, 16).replace('T', ' '),
        String(id),
        bytes(saved),
      ]),
    },
  );
}

const verbColours: readonly Colour[] = ['one', 'two', 'three', 'four', 'five', 'info'];

/** Calls by the hour and by what they do. */
export function workloadChart(rows: readonly Workload[]): Html {
  const verbs = [...new Set(rows.map(({ verb }) => verb))].sort(
    (a, b) => total(rows, b) - total(rows, a) || a.localeCompare(b),
  );
  // A stack needs a value of each at every place.
  const hours = [...new Set(rows.map(({ hour }) => hour))];
  const calls = rows.reduce((sum, each) => sum + each.calls, 0);
  const seconds = rows.reduce((sum, each) => sum + each.ms, 0) / 1000;
  return figure(
    'Statements by the hour',
    `${count(calls)} calls in 7 days took ${count(seconds)} seconds of execution; most are ${verbs[0] ?? 'none'}.`,
    {
      xAxis: timeAxis,
      yAxis: valueAxis(count),
      series: verbs.map((verb, index) => ({
        ...quiet,
        name: verb,
        type: 'bar' as const,
        stack: 'all',
        barMaxWidth: 14,
        itemStyle: { color: c(verbColours[index % verbColours.length] ?? 'one') },
        data: hours.map((hour) => [
          hour,
          rows.find((each) => each.hour === hour && each.verb === verb)?.calls ?? 0,
        ]),
      })),
    },
    {
      head: ['hour', 'what', 'calls', 'ms'],
      rows: rows.map(({ hour, verb, calls: times, ms }) => [
        hour.slice(0, 16).replace('T', ' '),
        verb,
        count(times),
        count(ms),
      ]),
    },
  );
}

function total(rows: readonly Workload[], verb: string): number {
  return rows.filter((each) => each.verb === verb).reduce((sum, each) => sum + each.calls, 0);
}

const events: readonly (readonly [string, string, Colour])[] = [
  ['success', 'succeeded', 'good'],
  ['failure', 'failed', 'critical'],
  ['lock_timeout', 'lock not to be had', 'warning'],
  ['refused', 'held back', 'info'],
];

/** What came of the actions, by the day. */
export function safeguardChart(rows: readonly SafeguardDay[]): Html {
  const days = [...new Set(rows.map(({ day }) => day))];
  const sum = (event: string): number =>
    rows.filter((each) => each.event === event).reduce((all, each) => all + each.times, 0);
  return figure(
    'Tries of actions by the day',
    `In 30 days ${events.map(([event, name]) => `${count(sum(event))} ${name}`).join(', ')}.`,
    {
      xAxis: timeAxis,
      yAxis: valueAxis(count, { minInterval: 1 }),
      series: events.map(([event, name, colour]) => ({
        ...quiet,
        name,
        type: 'bar' as const,
        stack: 'all',
        barMaxWidth: 18,
        itemStyle: { color: c(colour) },
        data: days.map((day) => [
          day,
          rows.find((each) => each.day === day && each.event === event)?.times ?? 0,
        ]),
      })),
    },
    {
      head: ['day', 'what', 'times'],
      rows: rows.map(({ day, event, times }) => [day, event, String(times)]),
    },
  );
}
