/** The charts of the report. */
import type { IndexForecast, ReportAction, ReportData, ReportIndex, SafeguardDay, Workload } from './data.ts';
import { band, byteAxis, c, figure, legend, percent, quiet, timeAxis, valueAxis } from './figure.ts';
import type { Colour, Point } from './figure.ts';
import { bytes, count, day } from './html.ts';
import type { Html } from './html.ts';

/** Open findings over the last days, stacked, the worst at the bottom. */
export function trendChart(trend: ReportData['trend']): Html {
  const last = trend.at(-1);
  const worst = ['critical', 'warning', 'info'] as const;
  return figure(
    'Open findings by day',
    last === undefined
      ? 'No day is known.'
      : `Today ${last.critical} critical, ${last.warning} warning and ${last.info} info are open, muted ones among them.`,
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

function inDays(iso: string, days: number): string {
  return new Date(Date.parse(iso) + days * 86_400_000).toISOString();
}

/** What another part says, as it stands between others. */
function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function forecastSentence(forecast: IndexForecast): string {
  const { status, reason, threshold, crosses_at: at, crosses_from: from, crosses_to: to } = forecast;
  if (status !== 'forecast') return reason === null ? '' : sentence(`Nothing is foreseen: ${reason}`);
  if (at === null) return `It does not pass ${percent(threshold)} within 14 days.`;
  const range = `${from === null ? '' : `from ${day(from)} `}${to === null ? 'on' : `to ${day(to)}`}`;
  return `It is expected to pass ${percent(threshold)} on ${day(at)} (${range}, in 8 of 10 cases).`;
}

/** From when to when it is expected to pass the threshold. */
function crossing(forecast: IndexForecast | null): [{ xAxis: string }, { xAxis: string }][] {
  if (forecast?.crosses_from == null) return [];
  return [[{ xAxis: forecast.crosses_from }, { xAxis: forecast.crosses_to ?? forecast.horizon }]];
}

/** One index: bloat with its interval, what is expected of it, and its size. */
export function indexChart(index: ReportIndex): Html {
  const measured = index.history.filter((each) => each.bloat !== null);
  const line = measured.map(({ at, bloat }): Point => [at, bloat ?? 0]);
  const bounded = measured.filter(({ low, high }) => low !== null && high !== null);
  const foreseen = index.forecast?.status === 'forecast' ? index.forecast : null;
  const expected: Point[] =
    foreseen?.bloat_percent == null || foreseen.bloat_in_week === null
      ? []
      : [
          [foreseen.made_at, foreseen.bloat_percent],
          [inDays(foreseen.made_at, 7), foreseen.bloat_in_week],
        ];
  const says =
    index.bloat_percent === null
      ? sentence(`Its bloat is not known: ${index.why}`)
      : `${percent(index.bloat_percent)} bloat of ${bytes(index.size_bytes)}, ${bytes(index.wasted_bytes ?? 0)} to be had back. ${sentence(index.why)}`;
  const told = index.forecast === null ? says : `${says} ${forecastSentence(index.forecast)}`;
  return figure(
    index.name,
    told,
    {
      legend: {
        ...legend,
        data: [
          ...(line.length > 0 ? ['bloat'] : []),
          ...(bounded.length > 0 ? ['19 of 20 cases'] : []),
          ...(expected.length > 0 ? ['expected'] : []),
          'size',
        ],
      },
      xAxis: foreseen === null ? timeAxis : { ...timeAxis, max: foreseen.crosses_to ?? foreseen.horizon },
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
        ...(expected.length === 0
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
                markLine: {
                  silent: true,
                  symbol: 'none',
                  label: { show: false },
                  lineStyle: { color: c('warning'), type: 'dotted' as const },
                  data: [{ yAxis: foreseen?.threshold ?? 0 }],
                },
                // When it passes the threshold, in 8 of 10 cases.
                markArea: {
                  silent: true,
                  itemStyle: { color: c('two'), opacity: 0.18 },
                  data: crossing(foreseen),
                },
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
        ...expected.map(([at, bloat]) => [`${at.slice(0, 10)} (expected)`, '', percent(bloat), '', '']),
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
