/** What is not examined, as text for a terminal. */
import type pg from 'pg';
import type { Json, JsonObject } from '../steps/step.ts';
import { printable } from './printable.ts';

export interface Gap {
  /** Null in a dry run. */
  gap_id: number | null;
  step: string;
  state: 'open' | 'accepted' | 'not_yet' | 'chosen';
  what: string;
  reason: string;
  detail: string | null;
  remedy: string | null;
}

/** All that is not examined, as each step said last: open gaps first. */
export async function listGaps(client: pg.ClientBase): Promise<Gap[]> {
  const { rows } = await client.query<{ gaps: Gap[] }>(`
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(g)), '[]') as gaps
    from (
      select v.gap_id, v.step_name as step, v.state, v.what, v.reason, v.detail, v.remedy from maint.gaps as v
    ) as g`);
  return rows[0]?.gaps ?? [];
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const word = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);

/** What one run did not examine, from its dictionary. Steps that did not run are left to its table of steps. */
export function gapsOfRun(result: JsonObject): Gap[] {
  const steps = result['steps'];
  if (!isObject(steps)) return [];
  const number = ([, step]: [string, Json]): number => (isObject(step) ? Number(step['number']) : 0);
  const inOrder = Object.entries(steps).sort((a, b) => number(a) - number(b));
  const gaps = inOrder.flatMap(([step, value]) => {
    const coverage = isObject(value) && value['status'] !== 'skipped' ? value['coverage'] : undefined;
    const unexamined = isObject(coverage) ? coverage['unexamined'] : undefined;
    return (Array.isArray(unexamined) ? unexamined.filter(isObject) : []).map((each): Gap => ({
      gap_id: null,
      step,
      state: stateOf(word(each['standing'])),
      what: word(each['what']) ?? '',
      reason: word(each['reason']) ?? '',
      detail: word(each['detail']),
      remedy: word(each['remedy']),
    }));
  });
  const order = ['open', 'accepted', 'not_yet', 'chosen'];
  return gaps.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

function stateOf(standing: string | null): Gap['state'] {
  return standing === 'accepted' || standing === 'not_yet' || standing === 'chosen' ? standing : 'open';
}

const labels = { open: 'gap', accepted: 'accepted', not_yet: 'not yet', chosen: 'chosen' } as const;

function lineOf(gap: Gap): string[] {
  const detail = gap.detail === null || gap.detail === '' ? '' : `: ${gap.detail}`;
  const number = gap.gap_id === null ? '' : ` #${gap.gap_id}`;
  return [
    printable(`${labels[gap.state].padEnd(8)}${number}  ${gap.step}: ${gap.what} (${gap.reason})${detail}`),
    ...(gap.remedy === null || gap.state === 'accepted' ? [] : [`    ${printable(gap.remedy)}`]),
  ];
}

export const openGaps = (gaps: readonly Gap[]): Gap[] => gaps.filter(({ state }) => state === 'open');

/** Lines below a heading of the caller's; empty where all was examined. */
export function renderGaps(gaps: readonly Gap[]): string[] {
  const accept =
    openGaps(gaps).length === 0
      ? []
      : [
          'To accept one: select maint.accept_gap(gap_id, reason, until); the numbers are in maint.gaps_brief.',
        ];
  return [...gaps.flatMap(lineOf), ...accept];
}

/** How a heading counts them: "2 things not examined, 1 accepted, 3 not known yet". */
export function countGaps(gaps: readonly Gap[]): string {
  const count = (state: Gap['state']): number => gaps.filter((gap) => gap.state === state).length;
  const open = count('open');
  return [
    ...(open > 0 ? [`${open} ${open === 1 ? 'thing' : 'things'} not examined`] : []),
    ...(count('accepted') > 0 ? [`${count('accepted')} accepted as not examined`] : []),
    ...(count('not_yet') > 0 ? [`${count('not_yet')} not known yet`] : []),
    ...(count('chosen') > 0 ? [`${count('chosen')} switched off`] : []),
  ].join(', ');
}
