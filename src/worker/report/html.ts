/** HTML in which every value is text: only what `html` itself made is taken as it is. */
import { printable } from '../printable.ts';

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | null | undefined | readonly Value[];

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** Text whose line breaks are meant as such. In all other text they are shown as escapes, like what else a reader can't see. */
export function lines(text: string): Html {
  return new Html(text.split('\n').map(printable).map(escaped).join('\n'));
}

function textOf(value: Value): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined) return '';
  if (typeof value === 'string' || typeof value === 'number') return escaped(printable(String(value)));
  return value.map(textOf).join('');
}

export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.map((each, index) => each + textOf(values[index])).join(''));
}

const byteUnits = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** As pg_size_pretty: 1024 bytes are a kB. */
export function bytes(count: number): string {
  const sign = count < 0 ? '-' : '';
  let rest = Math.abs(count);
  let unit = 0;
  while (rest >= 1024 && unit < byteUnits.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${sign}${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1).replace(/\.0$/, '')} ${byteUnits[unit] ?? ''}`;
}

/** 2026-11-24 22:27 UTC */
export function time(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function day(iso: string): string {
  return new Date(iso).toISOString().slice(0, 10);
}

/** 1 234 567, with a thin space. */
export function count(number: number): string {
  return Math.round(number)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, '\u2009');
}
