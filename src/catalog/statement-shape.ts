/**
 * Which columns a statement compares, read from its tokens. No parser of the server's grammar runs inside the
 * database, so only what is plain is understood: one SELECT, UPDATE or DELETE without a subquery, whose conditions are
 * all joined by AND. Anything else gives null: an index suggested on a wrong reading costs every write, one that is
 * not suggested costs nothing new.
 */

export interface RelationUse {
  schema: string | null;
  name: string;
  /** What columns are qualified with. */
  label: string;
}

export interface ColumnUse {
  qualifier: string | null;
  column: string;
}

export interface Comparison {
  left: ColumnUse;
  kind: 'equal' | 'range';
  /** The column on the other side of a join; null for a value. */
  right: ColumnUse | null;
}

export interface StatementShape {
  relations: RelationUse[];
  comparisons: Comparison[];
}

interface Token {
  kind: 'word' | 'name' | 'value' | 'operator' | 'mark';
  text: string;
}

/** Sticky: one token, blank or comment at a time. The lookaheads keep a comment from being read as an operator. */
const tokenPattern =
  /(?<blank>\s+|--[^\n]*|\/\*[^*]*\*\/)|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|"(?<name>(?:[^"]|"")*)"|(?<value>\$\d+|\d[\w.]*|'(?:[^']|'')*')|(?<mark>::|[().,;[\]:])|(?<operator>(?:(?!--|\/\*)[-+*/<>=~!@#%^&|`?])+)/y;

/** The server folds ASCII letters only, in UTF-8 as in most encodings. */
function folded(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Null where something cannot be read for sure: strings with backslashes, dollar quotes, nested comments. */
function tokenize(text: string): Token[] | null {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const groups = tokenPattern.exec(text)?.groups;
    if (!groups) return null;
    const { word, name, value, mark, operator } = groups;
    if (word !== undefined) tokens.push({ kind: 'word', text: folded(word) });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name.replaceAll('""', '"') });
    else if (value !== undefined) {
      if (value.includes('\\')) return null;
      tokens.push({ kind: 'value', text: value });
    } else if (mark !== undefined) tokens.push({ kind: 'mark', text: mark });
    else if (operator !== undefined) tokens.push({ kind: 'operator', text: operator });
  }
  return tokens;
}

const notAnAlias = new Set(
  'where on using join inner left right full cross natural group order having limit offset fetch for window set returning tablesample union as'.split(
    ' ',
  ),
);
const endsConditions = new Set(
  'group order having limit offset fetch for window returning join inner left right full cross natural where from'.split(
    ' ',
  ),
);
const notUnderstood = new Set('union intersect except or with lateral exists case'.split(' '));
const comparisonKinds = new Map<string, Comparison['kind']>([
  ['=', 'equal'],
  ['<', 'range'],
  ['<=', 'range'],
  ['>', 'range'],
  ['>=', 'range'],
]);

class Reader {
  readonly tokens: readonly Token[];
  position = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  at(offset = 0): Token | undefined {
    return this.tokens[this.position + offset];
  }

  isWord(text: string, offset = 0): boolean {
    const token = this.at(offset);
    return token?.kind === 'word' && token.text === text;
  }

  isMark(text: string, offset = 0): boolean {
    const token = this.at(offset);
    return token?.kind === 'mark' && token.text === text;
  }

  /** A name in up to three parts, such as schema.table.column; empty where there is none. */
  dottedName(): string[] {
    const parts: string[] = [];
    for (;;) {
      const token = this.at();
      if (token?.kind !== 'word' && token?.kind !== 'name') return parts;
      parts.push(token.text);
      this.position += 1;
      if (!this.isMark('.')) return parts;
      this.position += 1;
    }
  }
}

/** The relation at the reader; null for anything but a plain name with or without an alias. */
function readRelation(reader: Reader): RelationUse | null {
  if (reader.isWord('only')) reader.position += 1;
  const parts = reader.dottedName();
  const name = parts.at(-1);
  if (name === undefined || parts.length > 2 || reader.isMark('(')) return null;
  if (reader.at()?.kind === 'operator' && reader.at()?.text === '*') reader.position += 1;
  let label = name;
  if (reader.isWord('as')) reader.position += 1;
  const next = reader.at();
  if (next?.kind === 'name' || (next?.kind === 'word' && !notAnAlias.has(next.text))) {
    label = next.text;
    reader.position += 1;
    if (reader.isMark('(')) return null;
  }
  return { schema: parts.length === 2 ? (parts[0] ?? null) : null, name, label };
}

function columnOf(parts: readonly string[]): ColumnUse | null {
  const column = parts.at(-1);
  if (column === undefined || parts.length > 2) return null;
  return { qualifier: parts.length === 2 ? (parts[0] ?? null) : null, column };
}

/** Whether a condition starts at the token: after WHERE, ON or AND, with any opening brackets that are no call's. */
function startsCondition(tokens: readonly Token[], position: number): boolean {
  let before = position - 1;
  while (tokens[before]?.kind === 'mark' && tokens[before]?.text === '(') before -= 1;
  const token = tokens[before];
  return token?.kind === 'word' && (token.text === 'where' || token.text === 'on' || token.text === 'and');
}

/** Whether what follows a value or column ends the comparison, so that nothing else is computed from it. */
function endsComparison(reader: Reader): boolean {
  while (reader.isMark('::')) {
    reader.position += 1;
    reader.dottedName();
    if (reader.isMark('[')) reader.position += 2;
  }
  const token = reader.at();
  if (token === undefined || (token.kind === 'mark' && (token.text === ')' || token.text === ';')))
    return true;
  return token.kind === 'word' && (token.text === 'and' || endsConditions.has(token.text));
}

/** The comparison whose left column begins at the reader; null where there is none that an index could serve. */
function readComparison(reader: Reader): Comparison | null {
  const left = columnOf(reader.dottedName());
  if (!left) return null;
  if (reader.isWord('between')) return { left, kind: 'range', right: null };
  if (reader.isWord('in') && reader.isMark('(', 1)) return { left, kind: 'equal', right: null };
  const operator = reader.at();
  const kind = operator?.kind === 'operator' ? comparisonKinds.get(operator.text) : undefined;
  if (!kind) return null;
  reader.position += 1;
  if (kind === 'equal' && reader.isWord('any') && reader.isMark('(', 1)) return { left, kind, right: null };
  if (reader.at()?.kind === 'value') {
    reader.position += 1;
    return endsComparison(reader) ? { left, kind, right: null } : null;
  }
  const right = columnOf(reader.dottedName());
  return right && kind === 'equal' && endsComparison(reader) ? { left, kind, right } : null;
}

export function shapeOf(text: string): StatementShape | null {
  const tokens = tokenize(text);
  const verb = tokens?.[0];
  if (!tokens || verb?.kind !== 'word' || !['select', 'update', 'delete'].includes(verb.text)) return null;
  for (const [position, token] of tokens.entries()) {
    if (token.kind !== 'word') continue;
    if (notUnderstood.has(token.text) || (token.text === 'select' && position > 0)) return null;
    // A negated condition; IS NOT NULL is none.
    if (token.text === 'not' && tokens[position - 1]?.text !== 'is') return null;
  }
  const reader = new Reader(tokens);
  const shape: StatementShape = { relations: [], comparisons: [] };
  let depth = 0;
  let inConditions = false;
  while (reader.at()) {
    const token = reader.at();
    if (token?.kind === 'mark' && (token.text === '(' || token.text === ')'))
      depth += token.text === '(' ? 1 : -1;
    // Inside brackets FROM belongs to a function's own syntax: extract(… from …).
    const introduces =
      token?.kind === 'word' &&
      ((token.text === 'from' && depth === 0) ||
        token.text === 'join' ||
        (token.text === 'update' && reader.position === 0));
    if (introduces) {
      inConditions = false;
      do {
        reader.position += 1;
        const relation = readRelation(reader);
        if (!relation) return null;
        shape.relations.push(relation);
      } while (token.text === 'from' && reader.isMark(','));
      continue;
    }
    if (token?.kind === 'word' && endsConditions.has(token.text) && token.text !== 'where')
      inConditions = false;
    if (token?.kind === 'word' && (token.text === 'where' || token.text === 'on')) inConditions = true;
    const isName = token?.kind === 'name' || token?.kind === 'word';
    if (inConditions && isName && startsCondition(tokens, reader.position)) {
      const start = reader.position;
      const comparison = readComparison(reader);
      reader.position = start;
      if (comparison) shape.comparisons.push(comparison);
    }
    reader.position += 1;
  }
  return shape;
}

/** Whether a column as used in the statement is one of this relation, the only candidate. */
export function isColumnOf(shape: StatementShape, use: ColumnUse, relation: RelationUse): boolean {
  if (use.qualifier === null) return shape.relations.length === 1;
  return (
    use.qualifier === relation.label &&
    shape.relations.filter(({ label }) => label === relation.label).length === 1
  );
}

/** The uses of a relation in a statement; an unqualified name counts only where it can mean nothing else. */
export function usesOf(
  shape: StatementShape,
  relation: { schema: string; name: string; nameIsUnique: boolean },
): RelationUse[] {
  return shape.relations.filter(
    ({ schema, name }) =>
      name === relation.name && (schema === relation.schema || (schema === null && relation.nameIsUnique)),
  );
}
