/** What is not examined, why, and what would let it be. */
import { printableSql } from '../printable.ts';
import type { ReportGap } from './data.ts';
import { day, html, lines } from './html.ts';
import type { Html } from './html.ts';
import { table } from './table.ts';

const words: Record<string, string> = {
  open: 'gap',
  accepted: 'accepted',
  not_yet: 'not known yet',
  chosen: 'switched off',
};

function remedyCell({
  state,
  remedy,
  accepted_by: by,
  accepted_reason: why,
  accepted_until: until,
}: ReportGap): Html {
  if (state === 'accepted') {
    const end = until === null || until === 'infinity' ? '' : ` until ${day(until)}`;
    return html`<span>accepted by ${by ?? ''}${end}: ${why ?? ''}</span>`;
  }
  return remedy === null ? html`<span></span>` : html`<code>${lines(printableSql(remedy))}</code>`;
}

export function unexaminedSection(rows: readonly ReportGap[]): Html {
  const open = rows.some(({ state }) => state === 'open');
  return html`${table(
    'not examined',
    [
      { head: 'no.', kind: 'number', cell: ({ gap_id: id }) => id },
      { head: 'step', cell: ({ step_name: name }) => name },
      {
        head: 'what',
        cell: ({ state, what, reason, detail }) =>
          html`<span
            ><strong class="${state === 'open' ? 'warning' : 'info'}">${words[state] ?? state}</strong>
            ${what}: ${reason}${detail === null ? '' : ` (${detail})`}</span
          >`,
      },
      { head: 'what would let it be', cell: remedyCell },
      { head: 'since', kind: 'fixed', cell: ({ first_seen: since }) => day(since) },
    ],
    rows,
  )}
  ${
    open
      ? html`<p class="soft">
          A gap makes each run partial until it is closed, or accepted:
          <code>select maint.accept_gap(number, reason, until);</code>
        </p>`
      : ''
  }`;
}
