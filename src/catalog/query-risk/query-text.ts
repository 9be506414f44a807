/**
 * Reads a statement's text token by token, as the server's scanner does (scan.l) with standard_conforming_strings on:
 * enough to know that it is one statement, which kind, and to put parameters in the place of its constants, as
 * pg_stat_statements does. The server parses the result, and refuses what was not understood here.
 */

/** Statements the server can plan without running anything. */
const plannable: ReadonlySet<string> = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'with',
  'values',
  'table',
]);

/** Longer texts are generated; to plan one takes longer than to say that it is unknown. */
export const longestText = 200_000;

/** As many as a message of the protocol may carry. */
const mostParameters = 65_535;

export type TextProblem =
  'empty' | 'too_long' | 'several_statements' | 'not_plannable' | 'not_understood' | 'too_many_parameters';

export interface QueryText {
  /** The one statement, without its semicolon. */
  statement: string;
  /** The highest $n in it. */
  parameters: number;
  /** The same with a parameter for each constant, and their highest number. */
  general: string;
  generalParameters: number;
}

type Kind = 'space' | 'word' | 'quoted_identifier' | 'string' | 'number' | 'parameter' | 'other';

interface Token {
  kind: Kind;
  text: string;
}

/** Types whose name before a constant makes it theirs: `interval '1 day'`. pg_stat_statements leaves `interval $1`. */
const typeBeforeConstant: ReadonlySet<string> = new Set([
  'interval',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'timetz',
  'numeric',
  'uuid',
  'jsonb',
  'json',
  'inet',
]);

const space = /[ \t\n\r\f\v]+/y;
const lineComment = /--[^\n\r]*/y;
// With NUL and control characters left out: the server takes every byte above 127 as a letter.
const word = /[A-Za-z_\u0080-\u{10ffff}][A-Za-z_0-9$\u0080-\u{10ffff}]*/uy;
const number =
  /(?:0[xX][0-9A-Fa-f_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)/y;
const parameter = /\$[0-9]+/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\u{10ffff}][A-Za-z_0-9\u0080-\u{10ffff}]*)?\$/uy;

/** Where a match of a sticky pattern from `at` ends, or -1. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

/** The end of a comment that may hold others, or -1. */
function endOfComment(text: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  while (depth > 0) {
    const open = text.indexOf('/*', at);
    const close = text.indexOf('*/', at);
    if (close < 0) return -1;
    if (open >= 0 && open < close) {
      depth += 1;
      at = open + 2;
    } else {
      depth -= 1;
      at = close + 2;
    }
  }
  return at;
}

/** The end of something between quotes, in which the quote doubled stands for itself; or -1. */
function endOfQuoted(text: string, start: number, quote: string, backslashes: boolean): number {
  for (let at = start; at < text.length; at += 1) {
    if (backslashes && text[at] === '\\') at += 1;
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return -1;
}

/** Letters that stand before a string and change what it means. */
const stringPrefix = 'eEbBxXnN';

/** Where the quote of a string or identifier stands that begins here, maybe after a prefix; or -1. */
function quoteFrom(text: string, at: number): number {
  const here = text[at] ?? '';
  if (here === "'" || here === '"') return at;
  const next = text[at + 1];
  if (next === "'" && stringPrefix.includes(here)) return at + 1;
  if (next !== '&' || (here !== 'u' && here !== 'U')) return -1;
  const quote = text[at + 2];
  return quote === "'" || quote === '"' ? at + 2 : -1;
}

/** The kind of the token that begins here, and where it ends; null where it has no end. */
function tokenAt(text: string, at: number): [Kind, end: number] | null {
  const here = text[at] ?? '';
  const ended = (kind: Kind, end: number): [Kind, number] | null => (end < 0 ? null : [kind, end]);
  const blank = endOf(space, text, at);
  if (blank >= 0) return ['space', blank];
  if (here === '-' && text[at + 1] === '-') return ['space', endOf(lineComment, text, at)];
  if (here === '/' && text[at + 1] === '*') return ended('space', endOfComment(text, at));
  const quoteAt = quoteFrom(text, at);
  if (quoteAt >= 0 && text[quoteAt] === "'") {
    const backslashes = quoteAt > at && (here === 'e' || here === 'E');
    return ended('string', endOfQuoted(text, quoteAt + 1, "'", backslashes));
  }
  if (quoteAt >= 0) return ended('quoted_identifier', endOfQuoted(text, quoteAt + 1, '"', false));
  if (here === '$') {
    const numbered = endOf(parameter, text, at);
    if (numbered >= 0) return ['parameter', numbered];
    const tagged = endOf(dollarTag, text, at);
    if (tagged < 0) return ['other', at + 1];
    const close = text.indexOf(text.slice(at, tagged), tagged);
    return ended('string', close < 0 ? -1 : close + tagged - at);
  }
  const named = endOf(word, text, at);
  if (named >= 0) return ['word', named];
  const counted = endOf(number, text, at);
  return counted >= 0 ? ['number', counted] : ['other', at + 1];
}

/** The tokens, or null where something has no end. */
function tokensOf(text: string): Token[] | null {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const token = tokenAt(text, at);
    if (token === null) return null;
    const [kind, end] = token;
    tokens.push({ kind, text: text.slice(at, end) });
    at = end;
  }
  return tokens;
}

const lower = (token: Token | undefined): string => (token?.kind === 'word' ? token.text.toLowerCase() : '');

/** Words after which an expression begins, so that a minus is a sign. */
const beforeExpression: ReadonlySet<string> = new Set([
  'and',
  'between',
  'by',
  'else',
  'limit',
  'not',
  'offset',
  'or',
  'return',
  'returning',
  'select',
  'then',
  'values',
  'when',
  'where',
]);

function isSign(significant: readonly Token[], index: number): boolean {
  if (significant[index]?.text !== '-') return false;
  const before = significant[index - 1];
  if (before?.kind === 'word') return beforeExpression.has(lower(before));
  return before?.kind === 'other' && ![')', ']'].includes(before.text);
}

/** Words within a list of columns to group or order by. */
const directions: ReadonlySet<string> = new Set(['asc', 'desc', 'nulls', 'first', 'last']);

/** What stands before the list that a number is in. Followed token by token: to look back from each would take the square of a long list. */
class ListBefore {
  readonly #significant: readonly Token[];
  /** Of the last token that is neither a number nor a comma; nor a direction. */
  #numbers = -1;
  #columns = -1;

  constructor(significant: readonly Token[]) {
    this.#significant = significant;
  }

  /** To be told every token in its order, after it was asked about. */
  pass(index: number): void {
    const token = this.#significant[index];
    if (token?.kind === 'number' || token?.text === ',') return;
    this.#numbers = index;
    if (!directions.has(lower(token))) this.#columns = index;
  }

  /** Where the next number is a column's position, a length or a type's modifier, and no constant of the query. */
  isStructural(): boolean {
    // `order by 1, 2` and `group by 1`: back over numbers, commas and directions to the BY.
    if (lower(this.#significant[this.#columns]) === 'by') return true;
    // `numeric(10, 2)`, `varchar(20)`: a type after :: or AS.
    const at = this.#numbers;
    if (this.#significant[at]?.text !== '(' || this.#significant[at - 1]?.kind !== 'word') return false;
    return this.#significant[at - 2]?.text === ':' || lower(this.#significant[at - 2]) === 'as';
  }
}

/**
 * What has to be written for a constant or a parameter where a type's name stands before it, as a function of the
 * parameter's number; null where none does.
 */
function typeBefore(significant: readonly Token[], index: number): string | null {
  const name = lower(significant[index - 1]);
  if (!typeBeforeConstant.has(name)) return null;
  // A column may be called date: only where no operator or dot makes a name of it.
  return significant[index - 2]?.text === '.' ? null : name;
}

/** Never throws; the answer depends on the text alone. */
export function readQuery(text: string): QueryText | { problem: TextProblem } {
  if (text.length > longestText) return { problem: 'too_long' };
  if (text.includes('\0')) return { problem: 'not_understood' };
  const tokens = tokensOf(text);
  if (tokens === null) return { problem: 'not_understood' };
  while (tokens.length > 0 && (tokens.at(-1)?.kind === 'space' || tokens.at(-1)?.text === ';')) tokens.pop();
  if (!tokens.some(({ kind }) => kind !== 'space')) return { problem: 'empty' };
  if (tokens.some((token) => token.kind === 'other' && token.text === ';'))
    return { problem: 'several_statements' };
  const first = tokens.find((token) => token.kind !== 'space' && token.text !== '(');
  if (!plannable.has(lower(first))) return { problem: 'not_plannable' };
  const numbers = tokens
    .filter(({ kind }) => kind === 'parameter')
    .map((token) => Number(token.text.slice(1)));
  const parameters = numbers.reduce((most, each) => Math.max(most, each), 0);
  const { general, count } = generalise(tokens, parameters);
  if (count > mostParameters || numbers.includes(0)) return { problem: 'too_many_parameters' };
  return {
    statement: tokens.map((token) => token.text).join(''),
    parameters,
    general,
    generalParameters: count,
  };
}

function generalise(tokens: readonly Token[], parameters: number): { general: string; count: number } {
  const significant = tokens.filter(({ kind }) => kind !== 'space');
  const pieces: string[] = [];
  let count = parameters;
  let index = -1;
  let dropped = -1;
  const before = new ListBefore(significant);
  for (const token of tokens) {
    if (token.kind === 'space') {
      pieces.push(' ');
      continue;
    }
    index += 1;
    const constant = token.kind === 'string' || (token.kind === 'number' && !before.isStructural());
    before.pass(index);
    // The server makes one constant of a sign and a number.
    if (constant && isSign(significant, index - 1)) pieces[pieces.lastIndexOf('-')] = ' ';
    if (!constant && token.kind !== 'parameter') {
      pieces.push(token.text);
      continue;
    }
    if (constant) count += 1;
    const name = constant ? `$${count}` : token.text;
    const type = typeBefore(significant, index);
    if (type === null || dropped === index - 1) pieces.push(`${name} `);
    else {
      // The type's name was written already: take it back.
      let at = pieces.length - 1;
      while (at > 0 && pieces[at]?.toLowerCase() !== type) at -= 1;
      pieces.splice(at, 1);
      pieces.push(`cast(${name} as ${type})`);
      dropped = index;
    }
  }
  return { general: pieces.join(''), count };
}

/** The same statement with NULL for each parameter: for the server to count statements in, not to plan. */
export function asNull(text: string): string {
  return (tokensOf(text) ?? []).map((token) => (token.kind === 'parameter' ? ' NULL ' : token.text)).join('');
}
