/**
 * Generates what documentation and code would otherwise both say: the head of each step's page, the list of settings and
 * the README's table of steps. `npm run docs` writes; a test fails while something is stale.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { steps } from '../src/steps/index.ts';
import { alertPrefix, alertSettings } from '../src/steps/alert-settings.ts';
import { operationalPrefix, operationalSettings } from '../src/steps/operational.ts';
import { safeguardPrefix, safeguardSettings } from '../src/steps/safeguard-settings.ts';
import { workerPrefix, workerSettings } from '../src/steps/worker-settings.ts';
import type { Json, Setting, Step } from '../src/steps/step.ts';
import { repository } from './paths.ts';

const opening = '<!-- generated: npm run docs -->';
const closing = '<!-- end of generated part -->';

/** Stem of a step's files: src/steps/STEM.ts, test/steps/STEM.test.ts, docs/steps/STEM.md. */
export function stemOf(step: Pick<Step, 'number' | 'name'>): string {
  return `${String(step.number).padStart(2, '0')}-${step.name.replaceAll('_', '-')}`;
}

/** Text for a cell of a Markdown table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function rangeOf(setting: Setting): string {
  if (setting.type === 'integer' || setting.type === 'number')
    return `${setting.minimum} to ${setting.maximum}`;
  if ('choices' in setting) return setting.choices.join(', ');
  return '';
}

function settingRow(path: string, setting: Setting): string[] {
  const type = [setting.type, setting.unit].filter((part) => part !== undefined).join(', ');
  const doc =
    setting.scoped === true ? `${setting.doc} Can be narrowed to a schema, table or index.` : setting.doc;
  return [`\`${path}\``, type, `\`${JSON.stringify(setting.default)}\``, rangeOf(setting), doc];
}

const settingHead = ['key', 'type', 'default', 'allowed', 'meaning'];

function settingRows(step: Step): string[][] {
  return Object.entries(step.config).map(([key, setting]) =>
    settingRow(`${String(step.feature)}.${key}`, setting),
  );
}

/** The keys of a result, dotted: an object's keys below its own. */
function keysOf(value: Json, prefix: string): string[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) =>
    keysOf(inner, prefix === '' ? key : `${prefix}.${key}`),
  );
}

function resultKeys(step: Step): string[] {
  const counted = Object.keys(step.actionCounts ?? {}).flatMap((key) => [
    `cleanup.${key}`,
    `cleanup.${key}_queued`,
  ]);
  return [...new Set([...keysOf(step.unexamined, ''), ...counted])].sort();
}

function stepHead(step: Step): string {
  const lines = [
    `# Step ${step.number}: ${step.title}`,
    '',
    `Name \`${step.name}\`: \`select maint.run(force => true, "only" => '{${step.name}}');\``,
    '',
    `In the result: ${resultKeys(step)
      .map((key) => `\`${key}\``)
      .join(', ')}.`,
  ];
  if (step.feature !== null) lines.push('', table(settingHead, settingRows(step)));
  return lines.join('\n');
}

function configurationPage(): string {
  const operational = Object.entries(operationalSettings).map(([key, setting]) =>
    settingRow(`${operationalPrefix}.${key}`, setting),
  );
  const safeguards = Object.entries(safeguardSettings).map(([key, setting]) =>
    settingRow(`${safeguardPrefix}.${key}`, setting),
  );
  const worker = Object.entries(workerSettings).map(([key, setting]) =>
    settingRow(`${workerPrefix}.${key}`, setting),
  );
  const alerts = Object.entries(alertSettings).map(([key, setting]) =>
    settingRow(`${alertPrefix}.${key}`, setting),
  );
  return [
    '# Settings',
    '',
    table(settingHead, [...operational, ...worker, ...alerts, ...safeguards, ...steps.flatMap(settingRows)]),
  ].join('\n');
}

function stepTable(): string {
  return table(
    ['', 'step', 'what it does'],
    steps.map((step) => [
      String(step.number),
      `[\`${step.name}\`](docs/steps/${stemOf(step)}.md)`,
      step.title,
    ]),
  );
}

/** `text` with `generated` between its markers; a new text where there is none yet. */
function fill(text: string, generated: string, path: string): string {
  const part = `${opening}\n\n${generated}\n\n${closing}`;
  if (text === '') return `${part}\n`;
  const start = text.indexOf(opening);
  const end = text.indexOf(closing);
  if (start === -1 || end < start) throw new Error(`${path} lacks the lines "${opening}" and "${closing}"`);
  return text.slice(0, start) + part + text.slice(end + closing.length);
}

export interface Page {
  /** From the repository's root. */
  path: string;
  current: string;
  wanted: string;
}

/** Every page with a generated part, as it is and as it should be. */
export function pages(): Page[] {
  const parts: [string, string][] = [
    ['README.md', stepTable()],
    ['docs/configuration.md', configurationPage()],
    ...steps.map((step): [string, string] => [`docs/steps/${stemOf(step)}.md`, stepHead(step)]),
  ];
  return parts.map(([path, generated]) => {
    const file = join(repository, path);
    const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
    return { path, current, wanted: fill(current, generated, path) };
  });
}

if (import.meta.main) {
  for (const { path, current, wanted } of pages()) {
    if (current === wanted) continue;
    writeFileSync(join(repository, path), wanted);
    process.stdout.write(`wrote ${relative(process.cwd(), join(repository, path))}\n`);
  }
}
