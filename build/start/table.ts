/** The table of `npm start`: each trouble as it was before, and what it is now. */
import Table from 'cli-table3';
import { printable, printableSql } from '../../src/worker/printable.ts';
import { painter } from '../../src/worker/render.ts';
import type { Outcome } from './outcome.ts';

const groups = [
  'cleaned',
  'no longer found',
  'under way',
  'waits for your word',
  'for you to do',
  'for you to know',
] as const;
type Group = (typeof groups)[number];

function groupOf({ resolved, action, appliable, remedy }: Outcome): Group {
  // Gone because of what was done, or for a reason of its own: a pattern that got another name once its text was parsed.
  if (resolved) return action?.status === 'succeeded' ? 'cleaned' : 'no longer found';
  if (action !== null && ['queued', 'running'].includes(action.status)) return 'under way';
  if (appliable) return 'waits for your word';
  return remedy === null ? 'for you to know' : 'for you to do';
}

/** What does well is many lines that say nothing to do: they are counted. */
const isFastPattern = ({ kind }: Outcome): boolean => kind === 'query.fast_pattern';

function size(bytes: number | null): string {
  if (bytes === null || bytes <= 0) return '';
  return bytes < 1024 * 1024
    ? `, ${Math.round(bytes / 1024)} kB freed`
    : `, ${Math.round(bytes / 1024 / 1024)} MB freed`;
}

/** What it is now, with what there is to say. */
function now(outcome: Outcome): string {
  const { action, freed, finding_id: id, remedy } = outcome;
  switch (groupOf(outcome)) {
    case 'cleaned':
      if (action?.statement == null) return 'gone';
      return `gone: ${printableSql(action.statement)}${size(freed)}`;
    case 'no longer found':
      return 'gone by itself';
    case 'under way':
      return `${action?.status ?? ''}: ${printable(action?.outcome ?? 'not begun yet')}`;
    case 'waits for your word':
      return `select maint.apply(${id});`;
    case 'for you to do':
      return printableSql(remedy ?? '');
    case 'for you to know':
      return '';
  }
}

export function renderOutcomes(outcomes: readonly Outcome[], options: { colour: boolean }): string {
  if (outcomes.length === 0) return 'nothing was found\n';
  const paint = painter(options);
  const table = new Table({
    head: ['before', 'now'],
    style: { head: options.colour ? ['bold'] : [], border: [] },
    colWidths: [58, 58],
    wordWrap: true,
  });
  const counts: string[] = [];
  for (const group of groups) {
    const members = outcomes.filter((outcome) => groupOf(outcome) === group);
    if (members.length === 0) continue;
    counts.push(`${members.length} ${members.length === 1 ? group : group.replace(/^waits/, 'wait')}`);
    table.push([{ colSpan: 2, content: paint(group === 'cleaned' ? 'green' : 'bold', group) }]);
    const [fast, others] = [members.filter(isFastPattern), members.filter((each) => !isFastPattern(each))];
    for (const outcome of others) table.push([printable(outcome.summary), now(outcome)]);
    if (fast.length > 0)
      table.push([`${fast.length} fast query ${fast.length === 1 ? 'pattern' : 'patterns'}`, '']);
  }
  return `${table.toString()}\n${counts.join(', ')}\n`;
}
