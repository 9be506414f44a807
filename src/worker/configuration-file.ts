/** The configuration as YAML: the nested form of the documentation, with units and meanings as comments. */
import type pg from 'pg';
import { Document, isMap, isScalar, LineCounter, parseDocument, visit, YAMLMap, YAMLSeq } from 'yaml';
import type { Node, Pair } from 'yaml';
import type { Json } from '../steps/step.ts';
import { inTransaction, queryRow } from './connection.ts';
import { sqlstateOf } from './errors.ts';
import { printable } from './printable.ts';

interface SettingRow {
  path: string;
  value: Json;
  default_value: Json;
  scope: string;
  unit: string | null;
  doc: string | null;
  ignored: string | null;
}

async function settings(client: pg.ClientBase): Promise<SettingRow[]> {
  const { rows } = await client.query<SettingRow>(
    `select path, value, default_value, scope, unit, doc, ignored from maint.config_effective
     order by starts_with(path, 'operational.') desc, regexp_replace(path, '[^.]*$', ''), path not like '%.enabled', path,
       scope`,
  );
  return rows;
}

/** A map at the place of all parts of a path but the last, made where it is missing. */
function parentOf(root: YAMLMap, parts: readonly string[]): YAMLMap {
  let map = root;
  for (const part of parts.slice(0, -1)) {
    let next = map.get(part, true) as unknown;
    if (!isMap(next)) {
      next = new YAMLMap();
      map.set(part, next);
    }
    map = next as YAMLMap;
  }
  return map;
}

function put(document: Document, root: YAMLMap, row: SettingRow, comment: string | null): void {
  const parts = row.path.split('.');
  const key = document.createNode(parts.at(-1));
  const flow = Array.isArray(row.value);
  const pair = document.createPair(key, document.createNode(row.value, { flow }));
  if (comment !== null) pair.key.commentBefore = comment.replaceAll(/^/gm, ' ');
  parentOf(root, parts).add(pair);
}

function comment(row: SettingRow): string {
  const facts = [row.unit, `default ${JSON.stringify(row.default_value)}`].filter(Boolean).join(', ');
  return `${printable(row.doc ?? '')} (${facts})`;
}

/** Every setting in force, defaults included; `applyConfiguration` takes it back and then changes nothing. */
export async function showConfiguration(client: pg.ClientBase): Promise<string> {
  const rows = await settings(client);
  const document = new Document(new YAMLMap(), { version: '1.2', schema: 'core' });
  const root = document.contents as YAMLMap;
  for (const row of rows) {
    if (row.scope === 'database' && row.doc !== null) put(document, root, row, comment(row));
  }
  const used = rows.filter((row) => row.scope !== 'database' && row.ignored === null);
  const scopes = new YAMLSeq();
  for (const scope of new Set(used.map((row) => row.scope))) {
    const item = new YAMLMap();
    item.set('scope', scope);
    for (const row of used.filter((each) => each.scope === scope)) put(document, item, row, null);
    scopes.add(item);
  }
  document.set('scopes', scopes);
  const key = root.items.at(-1)?.key as string;
  (root.items.at(-1) as Pair).key = document.createNode(key);
  ((root.items.at(-1) as Pair).key as Node).commentBefore =
    ' Narrower scopes: schema:NAME, table:SCHEMA.NAME, index:SCHEMA.NAME; the narrowest wins.';
  const ignored = rows.filter((row) => row.ignored !== null);
  if (ignored.length > 0) {
    const lines = ignored.map((row) => ` ${row.path} (${row.scope}): ${String(row.ignored)}`);
    document.comment = [' Stored, but not used:', ...lines.map(printable)].join('\n');
  }
  return document.toString({ lineWidth: 0, indentSeq: true });
}

export interface ConfigurationProblem {
  /** From 1; null where the file as a whole is meant. */
  line: number | null;
  column: number | null;
  message: string;
  hint: string | null;
}

/** All that is wrong with a file; nothing of it was applied. The message has a line for each problem. */
export class ConfigurationError extends Error {
  readonly problems: readonly ConfigurationProblem[];

  constructor(file: string, problems: readonly ConfigurationProblem[]) {
    super(
      problems
        .map(({ line, column, message, hint }) => {
          const place = line === null ? file : `${file}:${line}:${String(column)}`;
          return `${place}: ${message}${hint === null ? '' : `\n  ${hint}`}`;
        })
        .join('\n'),
    );
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}

/** One value of a file, with where it stands. */
interface Entry {
  path: string;
  scope: string;
  value: Json;
  /** Offsets: of the value, of the first key that no setting begins with, of the scope. */
  valueAt: number;
  keyAt: number;
  scopeAt: number;
}

const largestFile = 1_000_000;
const mostProblems = 20;
const tooDeep = 'the file is nested too deeply';

class Reader {
  readonly problems: ConfigurationProblem[] = [];
  readonly entries: Entry[] = [];
  readonly #lines = new LineCounter();
  readonly #known: ReadonlySet<string>;
  readonly #seen = new Set<string>();

  constructor(known: ReadonlySet<string>) {
    this.#known = known;
  }

  report(offset: number | null, message: string, hint: string | null = null): void {
    if (this.problems.length >= mostProblems) return;
    const place = offset === null ? null : this.#lines.linePos(offset);
    this.problems.push({
      line: place?.line ?? null,
      column: place?.col ?? null,
      message: printable(message),
      hint: hint === null ? null : printable(hint),
    });
  }

  read(source: string): void {
    if (source.length > largestFile) {
      this.report(null, `the file is larger than ${largestFile} characters`);
      return;
    }
    let document;
    try {
      document = parseDocument(source, {
        lineCounter: this.#lines,
        version: '1.2',
        schema: 'core',
        strict: true,
        uniqueKeys: true,
        prettyErrors: false,
      });
    } catch (error) {
      // The parser goes one call deeper with each level.
      if (!(error instanceof RangeError)) throw error;
      this.report(null, tooDeep);
      return;
    }
    const [first] = document.errors;
    if (first !== undefined && /call stack/.test(first.message)) {
      this.report(null, tooDeep);
      return;
    }
    // After the first break in the syntax the parser guesses, and its guesses would hide what is wrong.
    const broken = document.errors.filter(({ code }) => code !== 'DUPLICATE_KEY').slice(0, 1);
    const duplicates = document.errors.filter(({ code }) => code === 'DUPLICATE_KEY');
    const faults = broken.length > 0 ? broken : [...duplicates, ...document.warnings];
    for (const { pos, message } of faults) this.report(pos[0], message);
    if (this.problems.length > 0) return;
    visit(document, {
      Alias: (_key, node) => {
        this.report(offsetOf(node), 'aliases are not allowed here', 'Write the value again.');
        return visit.SKIP;
      },
      Value: (_key, node) => {
        if (node.anchor !== undefined) this.report(offsetOf(node), 'anchors are not allowed here');
        if (node.tag !== undefined) this.report(offsetOf(node), 'tags are not allowed here');
      },
    });
    const root = document.contents;
    if (root === null || (isScalar(root) && root.value === null) || this.problems.length > 0) return;
    if (!isMap(root)) {
      this.report(offsetOf(root), 'expected keys such as "features:"');
      return;
    }
    for (const pair of root.items) {
      if (isScalar(pair.key) && pair.key.value === 'scopes') this.#readScopes(pair.value);
      else this.#readPair(pair, '', { scope: 'database', scopeAt: 0 }, null);
    }
  }

  #readScopes(node: Node | null): void {
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (!(node instanceof YAMLSeq)) {
      this.report(
        offsetOf(node),
        'scopes must be a list',
        'Expected items such as "- scope: table:app.orders".',
      );
      return;
    }
    for (const item of node.items as Node[]) {
      const scope = isMap(item) ? (item.get('scope', true) as unknown) : undefined;
      if (!isMap(item) || !isScalar(scope) || typeof scope.value !== 'string') {
        this.report(
          offsetOf(item),
          'a scope is missing',
          'Expected "scope: table:app.orders" beside the settings.',
        );
        continue;
      }
      const at = { scope: scope.value, scopeAt: offsetOf(scope) };
      for (const pair of item.items as Pair<Node, Node | null>[]) {
        if (!(isScalar(pair.key) && pair.key.value === 'scope')) this.#readPair(pair, '', at, null);
      }
    }
  }

  #readPair(
    { key, value }: Pair<Node, Node | null>,
    prefix: string,
    at: { scope: string; scopeAt: number },
    unknownAt: number | null,
  ): void {
    if (!isScalar(key) || key.value === null || typeof key.value === 'object') {
      this.report(offsetOf(key), 'expected the name of a setting');
      return;
    }
    const path = `${prefix}${key.value as string | number | boolean}`;
    const known = this.#known.has(path);
    const group = [...this.#known].some((each) => each.startsWith(`${path}.`));
    const keyAt = unknownAt ?? offsetOf(key);
    const place = known || group ? null : keyAt;
    if (isMap(value) && !known) {
      for (const pair of value.items) this.#readPair(pair as Pair<Node, Node | null>, `${path}.`, at, place);
      return;
    }
    if (group && (value === null || (isScalar(value) && value.value === null))) return;
    this.#addEntry(path, value, keyAt, at);
  }

  #addEntry(path: string, node: Node | null, keyAt: number, at: { scope: string; scopeAt: number }): void {
    const valueAt = node === null ? keyAt : offsetOf(node);
    const value: unknown = node === null ? null : node.toJS(new Document());
    if (containsNonFinite(value)) {
      this.report(valueAt, `${path} can't be ${String(value)}: it is not a number`);
      return;
    }
    const identity = `${at.scope}\0${path}`;
    if (this.#seen.has(identity)) this.report(keyAt, `${path} is given twice`);
    this.#seen.add(identity);
    this.entries.push({ path, value: value as Json, valueAt, keyAt, ...at });
  }
}

function containsNonFinite(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return Array.isArray(value) && value.some(containsNonFinite);
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

export interface ConfigurationChange {
  path: string;
  scope: string;
  value: Json;
}

/**
 * Applies a file: all of it or nothing. What is not in it stays as it is; a value that is in force already stays
 * untouched, and for the database the default is not stored, so that a later version's default can take its place.
 * Returns what changed. Throws ConfigurationError with every problem found and its line.
 */
export async function applyConfiguration(
  client: pg.ClientBase,
  source: string,
  file = 'configuration',
): Promise<ConfigurationChange[]> {
  return await inTransaction(client, async () => {
    const rows = await settings(client);
    const reader = new Reader(new Set(rows.filter(({ doc }) => doc !== null).map(({ path }) => path)));
    reader.read(source);
    const changes: ConfigurationChange[] = [];
    const entries = reader.problems.length === 0 ? reader.entries : [];
    for (const entry of entries) {
      const change = await applyEntry(client, entry, rows, reader);
      if (change !== null) changes.push(change);
    }
    if (reader.problems.length > 0) throw new ConfigurationError(file, reader.problems);
    return changes;
  });
}

async function applyEntry(
  client: pg.ClientBase,
  entry: Entry,
  rows: readonly SettingRow[],
  reader: Reader,
): Promise<ConfigurationChange | null> {
  const { path, scope, value } = entry;
  const row = rows.find((each) => each.path === path && each.scope === scope && each.ignored === null);
  if (row !== undefined && sameJson(row.value, value)) return null;
  if (scope === 'database' && row !== undefined && sameJson(row.default_value, value)) {
    await client.query('select maint.reset($1, $2)', [path, scope]);
    return { path, scope, value };
  }
  await client.query('savepoint entry');
  try {
    const { done } = await queryRow<{ done: { scope: string; value: Json; previous: Json } }>(
      client,
      'select maint.configure($1, $2::jsonb, $3) as done',
      [path, JSON.stringify(value), scope],
    );
    await client.query('release savepoint entry');
    // Another spelling of the same scope may have had the value already.
    return sameJson(done.previous, done.value) ? null : { path, scope: done.scope, value: done.value };
  } catch (error) {
    // Class 22: what was given is wrong. Anything else is not the file's fault.
    if (sqlstateOf(error)?.startsWith('22') !== true) throw error;
    await client.query('rollback to savepoint entry; release savepoint entry');
    reportRefusal(error as pg.DatabaseError, entry, rows, reader);
    return null;
  }
}

function reportRefusal(
  error: pg.DatabaseError,
  { path, keyAt, valueAt, scopeAt }: Entry,
  rows: readonly SettingRow[],
  reader: Reader,
): void {
  const aboutScope = error.message.startsWith('there is no scope');
  const known = rows.some((row) => row.path === path && row.doc !== null);
  reader.report(aboutScope ? scopeAt : known ? valueAt : keyAt, error.message, error.hint ?? null);
}

function sameJson(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
