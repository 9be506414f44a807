/**
 * The labels of the corpus. Each line stands in the fixture itself, next to what it is about:
 *
 *     --! index.redundant app.orders_a_idx app.orders_b_idx    must be found: a finding of this kind for each object
 *     --! clean app.orders_pkey                                 must give no finding of any kind
 *     --! not index.unused app.orders_c_idx                     near-miss: must not give this kind (nor an unlabelled one)
 *     --! config features.index_cleanup.days_unused 0 [scope]   a setting for this fixture
 *     --! requires 18                                           left out on older servers
 *     --! run                                                   a maintenance run between what is above and below
 *     --! own server                                            on a server of its own, as what it shows is of a whole server
 *
 * In TypeScript the lines begin with `//!`. Names are written as SQL writes them. Indexes and materialized views are
 * schema.name, constraints schema.table.name; temporary ones are in pg_temp. Sessions are session."application name",
 * prepared transactions prepared."identifier", databases database.name, damaged catalogs catalog.name. Text after ` : ` is a remark.
 */

export interface Label {
  type: 'must' | 'clean' | 'not';
  /** Null for `clean`. */
  kind: string | null;
  /** As identity() in findings.ts writes it. */
  object: string;
  line: number;
}

export interface Configured {
  path: string;
  value: unknown;
  scope: string | null;
}

export interface Annotations {
  labels: Label[];
  configured: Configured[];
  /** Oldest major version of the server. */
  requires: number;
  /** Lines of `run`, from 0. */
  runs: number[];
  ownServer: boolean;
}

const linePattern = /^\s*(?:--|\/\/)!\s*(?<text>.*?)(?:\s+:\s.*)?$/;
const namePattern = /(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*")(?:\.(?:[\p{L}\p{N}_$]+|"(?:[^"]|"")*"))*/uy;
const kindPattern = /^[a-z_]+\.[a-z_]+$/;

/** Names as they are, their parts joined by line feeds: no label has one, so no two names look alike. */
export function identityOf(parts: readonly string[]): string {
  return parts.join('\n');
}

export function shownIdentity(identity: string): string {
  return identity.split('\n').join('.');
}

function namesIn(text: string, where: string): string[] {
  const names: string[] = [];
  let position = 0;
  while (position < text.length) {
    if (text[position] === ' ') {
      position += 1;
      continue;
    }
    namePattern.lastIndex = position;
    const found = namePattern.exec(text)?.[0];
    if (found === undefined) throw new Error(`${where}: no name at "${text.slice(position)}"`);
    position += found.length;
    const parts = found.match(/"(?:[^"]|"")*"|[^."]+/g) ?? [];
    names.push(
      identityOf(
        parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part)),
      ),
    );
  }
  if (names.length === 0) throw new Error(`${where}: no name`);
  return names;
}

function labelsIn(words: string, line: number, where: string): Label[] {
  const [first = '', ...rest] = words.split(' ');
  if (first === 'clean') {
    return namesIn(rest.join(' '), where).map((object) => ({ type: 'clean', kind: null, object, line }));
  }
  const type = first === 'not' ? 'not' : 'must';
  const kind = type === 'not' ? (rest.shift() ?? '') : first;
  if (!kindPattern.test(kind)) throw new Error(`${where}: "${kind}" is no kind of finding`);
  return namesIn(rest.join(' '), where).map((object) => ({ type, kind, object, line }));
}

export function readAnnotations(file: string, text: string): Annotations {
  const read: Annotations = { labels: [], configured: [], requires: 0, runs: [], ownServer: false };
  for (const [number, content] of text.split('\n').entries()) {
    const words = linePattern.exec(content)?.groups?.['text'];
    if (words === undefined) continue;
    const where = `${file}:${number + 1}`;
    const [verb, ...rest] = words.split(/\s+/);
    if (words === 'own server') read.ownServer = true;
    else if (verb === 'run') read.runs.push(number);
    else if (verb === 'requires') read.requires = Number(rest[0]);
    else if (verb === 'config') {
      const [path = '', value = '', scope = null] = rest;
      read.configured.push({ path, value: JSON.parse(value), scope });
    } else read.labels.push(...labelsIn(words, number + 1, where));
  }
  refuseContradictions(file, read.labels);
  return read;
}

function refuseContradictions(file: string, labels: readonly Label[]): void {
  const seen = new Map<string, Label>();
  for (const label of labels) {
    const mine = label.type === 'clean' ? '*' : (label.kind ?? '');
    const others = labels.filter(({ object }) => object === label.object);
    const contradicted =
      seen.has(`${mine} ${label.object}`) ||
      (label.type === 'clean' && others.some(({ type }) => type === 'must'));
    if (contradicted) {
      throw new Error(`${file}:${label.line}: ${shownIdentity(label.object)} is labelled twice`);
    }
    seen.set(`${mine} ${label.object}`, label);
  }
}
