/** How good the models are, against what needs no model. */
import type { Json, JsonObject } from '../../steps/step.ts';
import { html, time } from './html.ts';
import type { Html } from './html.ts';

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(3);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Figures of an object, those below others by a dotted name; lists are left out. */
function figures(value: JsonObject, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, each]): [string, string][] => {
    const name = `${prefix}${key.replaceAll('_', ' ')}`;
    if (each !== null && typeof each === 'object' && !Array.isArray(each)) return figures(each, `${name}, `);
    return Array.isArray(each) ? [] : [[name, textOf(each)]];
  });
}

function model(row: JsonObject): Html {
  const metrics = row['metrics'];
  const shown =
    metrics !== null && typeof metrics === 'object' && !Array.isArray(metrics) ? figures(metrics) : [];
  const trained = row['trained_at'];
  return html`<div>
    <p>
      <strong class="${row['active'] === true ? 'good' : 'warning'}"
        >${row['active'] === true ? 'active' : 'not active'}</strong
      >
      · ${textOf(row['kind'])}${typeof trained === 'string' ? ` · trained ${time(trained)}` : ''} ·
      ${textOf(row['reason'])}
    </p>
    <table class="stack" aria-label="figures of the model">
      <tbody>
        ${shown.map(
          ([name, value]) =>
            html`<tr>
              <td data-label="figure">${name}</td>
              <td class="number" data-label="value">${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export function modelSection(rows: readonly JsonObject[]): Html {
  const [newest, ...older] = rows;
  return html`${newest === undefined ? '' : model(newest)}
  ${
    older.length === 0
      ? ''
      : html`<details>
          <summary>${older.length} older</summary>
          ${older.map(model)}
        </details>`
  }`;
}
