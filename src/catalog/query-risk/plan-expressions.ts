/** What the expressions of a plan say, by their text: which functions and columns, and which conditions the planner only guesses. */
import type { PlanNode } from './plan-node.ts';
import { textOf } from './plan-node.ts';
import { TextMemory } from './text-memory.ts';

/** Operators whose cost depends on the length of the value, which the planner takes for the cost of comparing two integers. */
const byteOperator = /(~~|!~~| ~ |~\*|@>|<@|@@|\?\||\?&| \? |->>|#>>|->|\|\|)/;
/** Regular expressions, and LIKE that ignores case. */
const hardOperator = /(~~\*| ~ |!~|~\*)/;
const hardFunction = /\b(regexp_\w+|similar_to_escape|jsonb_path_\w+|sha\d+|initcap|upper|lower|translate)\(/;
const parsingFunction = /\b(to_tsvector|ts_headline|xpath|xmlparse)\(/;
/** On numeric, a hundred times as dear as an addition. */
const powerFunction = /\b(exp|ln|log|power|pow|sqrt|cbrt)\(/g;
/** Of those that make a value of no fixed length, or read one. */
const textCall =
  /\b(to_char|to_date|to_timestamp|date_trunc|format|concat\w*|jsonb?_\w+|to_jsonb?|row_to_json|array_\w+|string_\w+|regexp_\w+|md5|sha\d+|encode|convert_\w+|[lr]pad|replace|translate|initcap|upper|lower|timezone|split_part|strpos|substr\w*)\(| (?:->>?|#>>?|@>|<@|\?|\|\||~\*?|~~\*) |::(?:text|jsonb?)\b/g;
// From the beginning of a name only: tried from each of its letters, it would be read as often as it has letters.
const functionName = /(?<![\w$])([a-z_][\w$]*|"[^"]+")\(/gi;
const anyCall = /[a-z_0-9"]\(|::/i;
const plainName = /^[\w".]+$/;
/** An expression of a node below, which is only handed on. */
const handedOn = /^\((?:PARTIAL )?[\w."]+\(.*\)\)$/;
const name = /"[^"]+"|[A-Za-z_][\w$]*/g;

const connective = / (AND|OR) /g;
const columnInCall = /[a-z_]\([^()]*[a-z_]/i;
// From the beginning of a name only, as above.
const comparison = /(?<![\w".])([\w".]+)\)?(?:::[\w ]+?)? (<=?|>=?) (?:\(*\$\d+)/g;

const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text);

const countOf = (pattern: RegExp, text: string): number => text.match(pattern)?.length ?? 0;

/** What a text says, each thing found out when it is first asked for. */
export class Expression {
  readonly text: string;
  #isComputed: boolean | undefined;
  #functions: readonly string[] | undefined;
  #names: ReadonlySet<string> | undefined;
  #conditions: number | undefined;
  #powers: number | undefined;
  #textCalls: number | undefined;
  #looksAtBytes: boolean | undefined;
  #matchesPattern: boolean | undefined;
  #isParsed: boolean | undefined;
  #isHard: boolean | undefined;
  #isGuessed: boolean | undefined;
  #comparisons: readonly (readonly [column: string, side: number])[] | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** Neither a column nor what a node below has made. */
  get isComputed(): boolean {
    return (this.#isComputed ??= !plainName.test(this.text) && !handedOn.test(this.text));
  }

  /** Names of the functions called in it, each as often as it stands there. */
  get functions(): readonly string[] {
    return (this.#functions ??= this.text.includes('(')
      ? Array.from(this.text.matchAll(functionName), ([, found = '']) => unquoted(found))
      : []);
  }

  /** All names in it, of columns among them. */
  get names(): ReadonlySet<string> {
    return (this.#names ??= new Set(Array.from(this.text.matchAll(name), ([found]) => unquoted(found))));
  }

  /** AND and OR at any depth, and one. */
  get conditions(): number {
    return (this.#conditions ??= 1 + countOf(connective, this.text));
  }

  get powers(): number {
    return (this.#powers ??= countOf(powerFunction, this.text));
  }

  get textCalls(): number {
    return (this.#textCalls ??= countOf(textCall, this.text));
  }

  /** Whether it does more with a value than to compare it. */
  get looksAtBytes(): boolean {
    return (this.#looksAtBytes ??= this.matchesPattern || anyCall.test(this.text));
  }

  get matchesPattern(): boolean {
    return (this.#matchesPattern ??= byteOperator.test(this.text));
  }

  get isParsed(): boolean {
    return (this.#isParsed ??= parsingFunction.test(this.text));
  }

  get isHard(): boolean {
    return (this.#isHard ??= hardOperator.test(this.text) || hardFunction.test(this.text));
  }

  /** Whether the planner knows how many rows meet it only from a fixed share: patterns, JSON, and functions of columns. */
  get isGuessed(): boolean {
    return (this.#isGuessed ??= this.matchesPattern || columnInCall.test(this.text));
  }

  /** Columns that are compared with a parameter, and on which side: 1 from below, 2 from above. */
  get comparisons(): readonly (readonly [column: string, side: number])[] {
    return (this.#comparisons ??= Array.from(
      this.text.matchAll(comparison),
      ([, column = '', operator = '']) => [column, operator.startsWith('<') ? 1 : 2],
    ));
  }
}

/** A few megabytes at most in a session, with what was found in them. */
const known = new TextMemory<Expression>(1_000_000);

/**
 * Remembered: a plan's expressions are asked about several times, and come again with the next statement of its shape. To
 * read them anew takes longer than all the rest that is done with a plan.
 */
export function expressionOf(text: string): Expression {
  const before = known.get(text);
  if (before) return before;
  const expression = new Expression(text);
  known.set(text, expression);
  return expression;
}

/** Conditions of a node that are tested for each row it comes across. */
const filters = ['Filter', 'Join Filter', 'One-Time Filter', 'Recheck Cond'] as const;
const conditions = ['Index Cond', 'Recheck Cond', 'Filter'] as const;

export function filtersOf(node: PlanNode): Expression[] {
  const found: Expression[] = [];
  for (const key of filters) {
    const text = textOf(node, key);
    if (text !== '') found.push(expressionOf(text));
  }
  return found;
}

/** What a node computes for each row that it gives, or takes in where it aggregates. */
export function computedOf(node: PlanNode): Expression[] {
  return (node.Output ?? []).map(expressionOf).filter((each) => each.isComputed);
}

/**
 * Columns that the node holds between two parameters. Of such a pair the planner assumes that 1 row in 200 meets it
 * (DEFAULT_RANGE_INEQ_SEL in selfuncs.h).
 */
export function rangesIn(node: PlanNode): number {
  const seen = new Map<string, number>();
  for (const key of conditions) {
    // The condition of an index is told twice where the rows are tested again.
    if (key === 'Recheck Cond' && textOf(node, 'Index Cond') !== '') continue;
    for (const [column, side] of expressionOf(textOf(node, key)).comparisons)
      seen.set(column, (seen.get(column) ?? 0) | side);
  }
  return [...seen.values()].filter((sides) => sides === 3).length;
}
