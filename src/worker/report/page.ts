/** The report as one page: no script, nothing that is fetched, and every name from the database is text. */
import { shortened } from '../../core/text.ts';
import type { JsonObject, Severity } from '../../steps/step.ts';
import { readManifest } from '../manifest.ts';
import { printableSql } from '../printable.ts';
import { indexChart, safeguardChart, savedChart, trendChart, workloadChart } from './charts.ts';
import type { Part, ReportAction, ReportData, ReportFinding, SlowPattern } from './data.ts';
import { bytes, count, day, Html, html, lines, time } from './html.ts';
import { modelSection } from './models.ts';
import { style } from './style.ts';
import { table } from './table.ts';
import { unexaminedSection } from './unexamined.ts';

function missing(reason: string): Html {
  return html`<p class="missing">${reason}</p>`;
}

function show<Row>(part: Part<Row>, render: (rows: Row[]) => Html): Html {
  return 'missing' in part ? missing(part.missing) : render(part.rows);
}

function rowsOf<Row>(part: Part<Row>): Row[] {
  return 'missing' in part ? [] : part.rows;
}

interface Tile {
  name: string;
  value: string;
  note?: string;
  tone?: Severity | 'good';
  words?: boolean;
}

function tiles(all: readonly Tile[]): Html {
  return html`<dl class="tiles">
    ${all.map(
      ({ name, value, note = '', tone = '', words = false }) =>
        html`<div class="${tone === '' ? '' : `tone-${tone}`}">
          <dt>${name}</dt>
          <dd class="${words ? 'words' : ''}">${value}${note === '' ? '' : html`<small>${note}</small>`}</dd>
        </div>`,
    )}
  </dl>`;
}

interface Verdict {
  word: string;
  tone: Severity | 'good';
  says: string;
}

/** What was not examined is not healthy. */
function verdictOf({ status, steps, gaps, findings }: ReportData): Verdict {
  const { critical, warning } = status.open_findings;
  if (status.last_run === null)
    return { word: 'unknown', tone: 'info', says: 'nothing has run yet: select maint.run(force => true);' };
  if (critical > 0) return { word: 'critical', tone: 'critical', says: plural(critical, 'critical finding') };
  if (warning > 0) return { word: 'needs attention', tone: 'warning', says: plural(warning, 'warning') };
  const unseen = rowsOf(steps).filter(
    ({ status: state, reason }) => state !== 'success' && reason !== 'disabled',
  );
  const open = rowsOf(gaps).filter(({ state }) => state === 'open');
  const names = new Set([...unseen.map(({ name }) => name), ...open.map(({ step_name: name }) => name)]);
  if (names.size > 0)
    return { word: 'unknown', tone: 'info', says: `not all was examined: ${[...names].join(', ')}` };
  const early = rowsOf(gaps).filter(({ state }) => state === 'not_yet').length;
  if (early > 0)
    return { word: 'nothing found yet', tone: 'good', says: `${count(early)} things are not known yet` };
  return {
    word: 'healthy',
    tone: 'good',
    says: rowsOf(findings).length === 0 ? 'nothing is open' : 'nothing that is open is more than an info',
  };
}

function plural(number: number, thing: string): string {
  return `${count(number)} ${thing}${number === 1 ? '' : 's'} open`;
}

function overview(data: ReportData): Html {
  const { status } = data;
  const { critical, warning, info, muted } = status.open_findings;
  const verdict = verdictOf(data);
  const saved = rowsOf(data.actions).reduce((sum, each) => sum + each.saved, 0);
  const done = rowsOf(data.actions).filter((each) => each.status === 'succeeded').length;
  const alive = status.worker?.alive ?? 0;
  const { last_run: last } = status;
  return html`<section id="overview" aria-labelledby="overview-title">
    <h2 id="overview-title">Overview</h2>
    <p class="verdict"><strong class="${verdict.tone}">${verdict.word}</strong> · ${verdict.says}</p>
    ${tiles([
      { name: 'critical', value: count(critical), tone: critical > 0 ? 'critical' : 'good' },
      { name: 'warnings', value: count(warning), tone: warning > 0 ? 'warning' : 'good' },
      { name: 'infos', value: count(info), tone: 'info', note: muted > 0 ? `${muted} more muted` : '' },
      {
        name: 'done',
        value: count(done),
        note: saved > 0 ? `${bytes(saved)} given back` : 'actions',
        tone: 'good',
      },
      {
        name: 'last run',
        value: last === null ? 'none' : last.status,
        note: last === null ? '' : time(last.started_at),
        words: true,
        tone: last?.status === 'success' ? 'good' : 'warning',
      },
      {
        name: 'next run',
        value: status.next_due_at === null ? 'none by itself' : time(status.next_due_at),
        words: true,
      },
      {
        name: 'worker',
        value: alive > 0 ? `${alive} alive` : 'none alive',
        note: status.queued_actions > 0 ? `${status.queued_actions} queued` : '',
        words: true,
        tone: alive > 0 ? 'good' : 'warning',
      },
    ])}
    ${data.trend.length > 0 ? html`<div style="margin-top:1.25rem">${trendChart(data.trend)}</div>` : ''}
  </section>`;
}

function findingItem(finding: ReportFinding): Html {
  const { finding_id: id, severity, kind, summary, remedy, applicable, mended_by: action } = finding;
  const muted = finding.muted_until === null ? '' : html`<span class="soft">muted</span> `;
  return html`<li>
    <span class="badge ${severity}">${severity}</span> ${muted}<span class="kind"
      >#${id} · ${kind} · since ${day(finding.first_seen)}</span
    >
    <p>${summary}</p>
    ${
      action !== null
        ? html`<p class="good">Mended by action ${action}; the next run resolves it.</p>`
        : remedy === null
          ? html`<p class="soft">There is no statement that mends it.</p>`
          : html`<pre tabindex="0" aria-label="${`remedy of finding ${id}`}">
${lines(printableSql(remedy))}</pre>`
    }
    ${
      applicable && action === null
        ? html`<p class="soft">or let the worker do it: <code>select maint.apply(${id});</code></p>`
        : ''
    }
  </li>`;
}

function findingsSection({ findings }: ReportData): Html {
  return show(findings, (rows) => {
    const open = rows.filter((each) => each.muted_until === null);
    const muted = rows.filter((each) => each.muted_until !== null);
    const first = open.slice(0, 12);
    const rest = open.slice(12);
    return html`<ul class="findings">
        ${first.map(findingItem)}
      </ul>
      ${
        rest.length === 0
          ? ''
          : html`<details>
              <summary>${rest.length} more</summary>
              <ul class="findings">
                ${rest.map(findingItem)}
              </ul>
            </details>`
      }
      ${
        muted.length === 0
          ? ''
          : html`<details>
              <summary>${muted.length} muted</summary>
              <ul class="findings">
                ${muted.map(findingItem)}
              </ul>
            </details>`
      }`;
  });
}

function indexSection({ indexes }: ReportData): Html {
  return show(indexes, (rows) => html`<div class="charts">${rows.map(indexChart)}</div>`);
}

const tones: Record<string, string> = { succeeded: 'good', failed: 'critical', skipped: 'warning' };

function actionTable(rows: readonly ReportAction[]): Html {
  return table(
    'actions',
    [
      { head: 'when', kind: 'fixed', cell: ({ at }) => time(at) },
      { head: 'no.', kind: 'number', cell: ({ action_id: id }) => id },
      { head: 'what', cell: ({ kind, object }) => html`<span>${kind} <code>${object}</code></span>` },
      {
        head: 'outcome',
        cell: ({ status, outcome }) =>
          html`<span><strong class="${tones[status] ?? 'info'}">${status}</strong> ${outcome ?? ''}</span>`,
      },
      { head: 'size', kind: 'fixed', cell: ({ size }) => size ?? '' },
    ],
    rows,
  );
}

/** As many as a reader takes in at a glance. */
const shownActions = 12;

function actionsSection({ actions }: ReportData): Html {
  return show(actions, (rows) => {
    const rest = rows.slice(shownActions);
    return html`${savedChart(rows) ?? ''} ${actionTable(rows.slice(0, shownActions))}
      ${
        rest.length === 0
          ? ''
          : html`<details>
              <summary>${rest.length} older</summary>
              ${actionTable(rest)}
            </details>`
      }
      <p class="soft">What succeeded can be taken back: <code>select maint.undo(action_id);</code></p>`;
  });
}

/** The words of an object whose keys a step may name as it likes. */
function words(value: JsonObject): string {
  const told = value['detail'] ?? value['reason'] ?? value['why'];
  return typeof told === 'string' ? told : JSON.stringify(value);
}

function patternItem({
  text,
  calls,
  mean_exec_ms: ms,
  share_of_time: share,
  reasons,
  suggestions,
}: SlowPattern): Html {
  return html`<li>
    <span class="kind"
      >${count(calls)} calls · ${ms < 10 ? ms.toFixed(1) : count(ms)} ms
      each${share === null ? '' : ` · ${Math.round(share * 100)} % of all time`}</span
    >
    <pre tabindex="0" aria-label="statement">${lines(shortened(text, 2000))}</pre>
    ${reasons.map((each) => html`<p>${words(each)}</p>`)}
    ${suggestions.map((each) =>
      typeof each['statement'] === 'string'
        ? html`<pre tabindex="0" aria-label="suggestion">${lines(printableSql(each['statement']))}</pre>`
        : html`<p>${words(each)}</p>`,
    )}
  </li>`;
}

function safeguardSection({ safeguards, refusals }: ReportData): Html {
  return show(
    safeguards,
    (rows) =>
      html`${safeguardChart(rows)}
      ${
        refusals.length === 0
          ? html`<p class="soft">No safeguard held anything back.</p>`
          : table(
              'what safeguards held back',
              [
                { head: 'safeguard', cell: ({ safeguard }) => safeguard },
                { head: 'why', cell: ({ reason }) => reason },
                { head: 'times', kind: 'number', cell: ({ times }) => times },
                { head: 'last', kind: 'fixed', cell: ({ last }) => time(last) },
              ],
              refusals,
            )
      }`,
  );
}

function stepsSection({ steps }: ReportData): Html {
  return show(steps, (rows) =>
    table(
      'steps',
      [
        { head: 'no.', kind: 'number', cell: ({ step }) => step },
        { head: 'step', cell: ({ title, name }) => title ?? name },
        {
          head: 'last time',
          cell: ({ status, reason, error }) =>
            html`<span
              ><strong class="${status === 'success' ? 'good' : status === 'skipped' ? 'info' : 'warning'}"
                >${status}</strong
              >
              ${[reason, error].filter(Boolean).join(': ')}</span
            >`,
        },
        { head: 'when', kind: 'fixed', cell: ({ at }) => time(at) },
        { head: 'ms', kind: 'number', cell: ({ duration_ms: ms }) => count(ms) },
      ],
      rows,
    ),
  );
}

/** Makes the page. The same data gives the same page. */
export function renderReport(data: ReportData): string {
  const sections: readonly (readonly [string, string, Html])[] = [
    ['findings', 'Findings', findingsSection(data)],
    ['indexes', 'Bloat and size of indexes', indexSection(data)],
    ['actions', 'What was done', actionsSection(data)],
    ['workload', 'Workload', show(data.workload, workloadChart)],
    [
      'patterns',
      'Slow statements',
      show(
        data.patterns,
        (rows) =>
          html`<ul class="findings">
            ${rows.map(patternItem)}
          </ul>`,
      ),
    ],
    ['safeguards', 'Safeguards', safeguardSection(data)],
    ['models', 'Models', show(data.models, modelSection)],
    ['unexamined', 'Not examined', show(data.gaps, unexaminedSection)],
    ['steps', 'What was examined', stepsSection(data)],
  ];
  const title = `Health of database ${data.database}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        />
        <meta name="referrer" content="no-referrer" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header>
          <h1>${title}</h1>
          <p class="meta">
            ${time(data.generated_at)} · ${data.server} · pg-maint ${data.status.version}, engine
            ${data.status.engine}
          </p>
          <nav aria-label="Parts of this report">
            <ul>
              <li><a href="#overview">Overview</a></li>
              ${sections.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main id="main">
          ${overview(data)}
          ${sections.map(
            ([id, name, content]) =>
              html`<section id="${id}" aria-labelledby="${id}-title">
                <h2 id="${id}-title">${name}</h2>
                ${content}
              </section>`,
          )}
        </main>
        <footer>
          <p>
            Made by pg-maint ${readManifest().version}: <code>pg-maint report -o report.html</code>. Times are
            UTC.
          </p>
        </footer>
      </body>
    </html> `.text;
}
