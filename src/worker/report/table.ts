/** A table of the report. */
import { html } from './html.ts';
import type { Html } from './html.ts';

export interface Column<Row> {
  head: string;
  cell(row: Row): Html | string | number;
  kind?: 'number' | 'fixed';
}

/** A table that becomes a list of cards where the page is narrow. */
export function table<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  return html`<table class="stack" aria-label="${caption}">
    <thead>
      <tr>
        ${columns.map(({ head, kind = '' }) => html`<th scope="col" class="${kind}">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row) =>
          html`<tr>
            ${columns.map(
              ({ head, cell, kind = '' }) => html`<td class="${kind}" data-label="${head}">${cell(row)}</td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`;
}
