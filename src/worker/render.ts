/** Results as text for a terminal or a log. Nothing from the database reaches it unescaped. */
import Table from 'cli-table3';
import type pg from 'pg';
import type { Json, JsonObject, Severity } from '../steps/step.ts';
import { countGaps, gapsOfRun, openGaps, renderGaps } from './gaps.ts';
import type { Gap } from './gaps.ts';
import { printable, printableSql } from './printable.ts';

export interface RenderOptions {
  /** Colours; off by default. */
  colour?: boolean;
}

/** A row of maint.findings, as far as it is shown. `finding_id` is null in a dry run. */
export interface ShownFinding {
  finding_id: number | null;
  step: number;
  kind: string;
  severity: Severity;
  summary: string;
  remedy: string | null;
  /** The action that has done what the finding wants since it was seen last; the next run resolves it. */
  mended_by: number | null;
}

/** The open findings that are not muted, the worst first. */
export async function listFindings(client: pg.ClientBase): Promise<ShownFinding[]> {
  const { rows } = await client.query<{ findings: ShownFinding[] }>(`
    select coalesce(jsonb_agg(to_jsonb(f)), '[]') as findings
    from (
      select v.finding_id, v.step, v.kind, v.severity, v.summary, v.remedy, (
          select max(a.action_id) from maint.actions as a
          where a.finding_id = v.finding_id and a.status = 'succeeded' and a.finished_at >= v.last_seen
            and not exists (
              select from maint.actions as u
              where u.status = 'succeeded' and u.evidence ->> 'undoes' = a.action_id::text)) as mended_by
      from maint.findings as v
      where v.resolved_at is null and v.muted_until is null
      order by array_position(array['critical', 'warning', 'info'], v.severity), v.step, v.finding_id
    ) as f`);
  return rows[0]?.findings ?? [];
}

const colours = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 } as const;

/** Paints text where colours are wanted, else gives it back. */
export function painter(options: RenderOptions) {
  return (colour: keyof typeof colours, text: string): string =>
    options.colour === true ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;
}

type Paint = ReturnType<typeof painter>;

function paintStatus(paint: Paint, status: string): string {
  if (status === 'success') return paint('green', status);
  if (status === 'skipped') return paint('dim', status);
  return paint(status === 'partial' ? 'yellow' : 'red', status);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const part = value[key];
  return isObject(part) ? part : {};
}

function text(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return printable(typeof value === 'string' ? value : JSON.stringify(value));
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

/** "Nothing found" is said only of what was examined. */
function nothingFound(step: JsonObject): string {
  const unexamined = objectAt(step, 'coverage')['unexamined'];
  const standings = (Array.isArray(unexamined) ? unexamined.filter(isObject) : []).map(
    (each) => each['standing'],
  );
  if (standings.includes('gap')) return 'nothing found in what was examined';
  return standings.includes('not_yet') ? 'nothing found yet' : 'nothing found';
}

/** What a reader wants to know first of a step that did its work. */
function mainFigure(
  name: string,
  step: JsonObject,
  result: JsonObject,
  findings: readonly ShownFinding[],
): string {
  const own = findings.filter((finding) => finding.step === step['number']).length;
  const found = own === 0 ? nothingFound(step) : counted(own, 'open finding');
  if (name === 'bypass_status') {
    const { active } = objectAt(result, 'bypass_status');
    const count = Array.isArray(active) ? active.length : 0;
    return count === 0 ? 'nothing bypassed' : counted(count, 'bypass').replace(/bypasss$/, 'bypasses');
  }
  if (name === 'integrity_check') {
    const check = objectAt(result, 'integrity_check');
    const issues = Number(check['issue_count'] ?? (check['issues'] as Json[] | undefined)?.length ?? 0);
    const unknown = Object.entries(objectAt(check, 'checks'))
      .filter(([, each]) => isObject(each) && each['status'] === 'unknown')
      .map(([key, each]) => `${key} ${text((each as JsonObject)['reason'] ?? 'not complete')}`);
    return [text(check['status']), counted(issues, 'issue'), ...unknown].join(', ');
  }
  const queued = Object.entries(objectAt(result, 'cleanup'))
    .filter(([key]) => key === `${name}_queued`)
    .map(([, value]) => Number(value))[0];
  return [found, queued ? `${counted(queued, 'action')} queued` : ''].filter(Boolean).join(', ');
}

function remark(
  name: string,
  step: JsonObject,
  result: JsonObject,
  findings: readonly ShownFinding[],
): string {
  const figure = mainFigure(name, step, result, findings);
  if (step['status'] === 'success') return step['reason'] ? `${figure}; ${text(step['reason'])}` : figure;
  const reason = [text(step['reason']), text(objectAt(step, 'error')['message'])].filter(Boolean).join(': ');
  return step['status'] === 'partial' ? [figure, reason].filter(Boolean).join('; ') : reason;
}

const borders =
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid';
const noBorders = {
  chars: {
    ...Object.fromEntries(`${borders} right right-mid`.split(' ').map((place) => [place, ''] as const)),
    middle: '  ',
  },
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
};

const remarkWidth = 76;

function stepTable(result: JsonObject, findings: readonly ShownFinding[], paint: Paint): string {
  const table = new Table({
    ...noBorders,
    head: ['step', 'name', 'status', 'ms', ''].map((title) => paint('bold', title)),
    colAligns: ['right', 'left', 'left', 'right', 'left'],
    colWidths: [null, null, null, null, remarkWidth],
    wordWrap: true,
  });
  const entries = Object.entries(objectAt(result, 'steps'))
    .filter((entry): entry is [string, JsonObject] => isObject(entry[1]))
    .sort(([, a], [, b]) => Number(a['number']) - Number(b['number']));
  for (const [name, step] of entries) {
    table.push([
      text(step['number']),
      printable(name),
      paintStatus(paint, text(step['status'])),
      text(step['duration_ms']),
      remark(name, step, result, findings),
    ]);
  }
  return trimLines(table.toString());
}

function trimLines(lines: string): string {
  return lines.replace(/[ \t]+$/gm, '');
}

const severityColour = { critical: 'red', warning: 'yellow', info: 'dim' } as const;

function renderFinding(finding: ShownFinding, paint: Paint): string {
  const number = finding.finding_id === null ? '' : ` #${finding.finding_id}`;
  const head = `${paint(severityColour[finding.severity], finding.severity)}  ${finding.kind}${number}`;
  const remedy =
    finding.remedy === null
      ? []
      : printableSql(finding.remedy)
          .split('\n')
          .map((line) => `    ${line}`);
  if (finding.mended_by !== null)
    return `${head}  ${paint('green', `mended by action ${finding.mended_by}`)}\n  ${printable(finding.summary)}`;
  return [head, `  ${printable(finding.summary)}`, ...remedy].join('\n');
}

/** Findings with their remedies, one below the other. Ends with a newline. */
export function renderFindings(
  findings: readonly ShownFinding[],
  options: RenderOptions = {},
  gaps: readonly Gap[] = [],
): string {
  const paint = painter(options);
  const none = openGaps(gaps).length > 0 ? 'No open findings in what was examined' : 'No open findings';
  const title = findings.length === 0 ? none : counted(findings.length, 'open finding');
  return `${[paint('bold', title), ...findings.map((each) => renderFinding(each, paint))].join('\n')}\n`;
}

/** What is not examined, with a heading. Empty where that is nothing; else ends with a newline. */
export function renderUnexamined(gaps: readonly Gap[], options: RenderOptions = {}): string {
  if (gaps.length === 0) return '';
  const paint = painter(options);
  const lines = renderGaps(gaps);
  return `${[`${paint('bold', 'Not examined')}: ${countGaps(gaps)}`, ...lines].join('\n')}\n`;
}

/** The result dictionary of a run (or why it was skipped) and the open findings, for people. Ends with a newline. */
export function renderRun(
  result: JsonObject,
  findings: readonly ShownFinding[],
  options: RenderOptions = {},
): string {
  const paint = painter(options);
  const status = text(result['status']);
  if (status === 'skipped') {
    return `Maintenance was skipped (${text(result['reason'])}): ${text(result['detail'])}\n`;
  }
  const dryRun = result['dry_run'] === true;
  const shown = dryRun ? (result['would_report'] as unknown as ShownFinding[]).map(ofDryRun) : findings;
  const title = dryRun ? 'Dry run' : `Run ${text(result['run_id'])}`;
  const lines = [
    `${paint('bold', title)}: ${paintStatus(paint, status)}, ${text(result['duration_ms'])} ms, engine ${text(result['engine'])}`,
  ];
  if (isObject(result['error'])) lines.push(`  ${text(result['error']['message'])}`);
  if (isObject(result['steps'])) lines.push('', stepTable(result, shown, paint));
  const alerts = Array.isArray(result['alerts']) ? result['alerts'].filter(isObject) : [];
  if (alerts.length > 0) {
    lines.push('', paint('bold', 'Alerts'));
    lines.push(...alerts.map((alert) => `${text(alert['severity'])}  ${text(alert['message'])}`));
  }
  const gaps = gapsOfRun(result);
  const unexamined = renderUnexamined(gaps, options).trimEnd();
  if (unexamined !== '') lines.push('', unexamined);
  lines.push('', renderFindings(shown, options, gaps).trimEnd());
  return `${lines.join('\n')}\n`;
}

function ofDryRun(finding: ShownFinding): ShownFinding {
  return { ...finding, finding_id: null, mended_by: null };
}

/** Rows of name and value, nothing else: for status and reports. */
export function renderPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs
    .map(
      ([name, value]) => `${name.padEnd(width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}\n`,
    )
    .join('');
}
