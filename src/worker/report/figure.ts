/** What all charts share: SVG, drawn here and not in the browser. Colours are names of CSS, so that one drawing is light and dark. */
import type { EChartsOption } from 'echarts';
import { bytes, Html, html } from './html.ts';

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

export type Colour = keyof typeof colours;

export const c = (name: Colour): string => colours[name][0];

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

export const legend = {
  top: 0,
  left: 0,
  itemGap: 22,
  icon: 'roundRect',
  itemWidth: 12,
  itemHeight: 8,
  textStyle: { color: c('ink') },
};

function draw(option: EChartsOption, size: Size): Html {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...sizes[size] });
  try {
    chart.setOption({
      useUTC: true,
      animation: false,
      backgroundColor: 'transparent',
      textStyle: { fontFamily: letters, color: c('ink') },
      grid: { left: 8, right: 26, top: 34, bottom: 4, containLabel: true },
      legend,
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
export const timeAxis = {
  type: 'time' as const,
  splitNumber: 6,
  axisLabel: {
    ...axisLabel,
    formatter: { year: '{yyyy}', month: '{d} {MMM}', day: '{d} {MMM}', hour: '{HH}:{mm}' },
  },
  axisLine: { lineStyle: { color: c('faint') } },
  axisTick: { lineStyle: { color: c('faint') } },
};

/** Ticks at round numbers of the units that people read: of 1024, not of 1000. */
export function byteAxis(most: number, more: object = {}) {
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

export function valueAxis(format: (value: number) => string, more: object = {}) {
  return {
    type: 'value' as const,
    axisLabel: { ...axisLabel, formatter: format },
    splitLine: { lineStyle: { color: c('faint') } },
    splitNumber: 4,
    ...more,
  };
}

export const quiet = { silent: true, emphasis: { disabled: true } };

export type Point = [string, number];

/** A band between two lines, as echarts does it: the lower one unseen, the difference stacked upon it. */
export function band(name: string, low: Point[], high: Point[], colour: Colour, opacity: number) {
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

export function percent(value: number): string {
  return `${Math.round(value)} %`;
}
