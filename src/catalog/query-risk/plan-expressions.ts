/** What the expressions of a plan say, by their text: which functions and columns, and which conditions the planner only guesses. */
import type { PlanNode } from './plan-node.ts';
import { textOf } from './plan-node.ts';

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
const functionName = /([a-z_][\w$]*|"[^"]+")\(/gi;
const anyCall = /[a-z_0-9"]\(|::/i;
const plainName = /^[\w".]+$/;
/** An expression of a node below, which is only handed on. */
const handedOn = /^\((?:PARTIAL )?[\w."]+\(.*\)\)$/;
const name = /"[^"]+"|[A-Za-z_][\w$]*/g;

/** Conditions of a node that are tested for each row it comes across. */
const filters = ['Filter', 'Join Filter', 'One-Time Filter', 'Recheck Cond'] as const;
const conditions = ['Index Cond', 'Recheck Cond', 'Filter'] as const;

export const filterTexts = (node: PlanNode): string[] =>
  filters.map((key) => textOf(node, key)).filter((text) => text !== '');

/** What a node computes for each row that it gives, or takes in where it aggregates. */
export function computedTexts(node: PlanNode): string[] {
  return (node.Output ?? []).filter((text) => !plainName.test(text) && !handedOn.test(text));
}

/** AND and OR at any depth, and one. */
export function conditionsIn(filter: string): number {
  return 1 + (filter.match(/ (AND|OR) /g)?.length ?? 0);
}

const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : text);

/** Names of the functions called in it, each as often as it stands there. */
export function functionsIn(text: string): string[] {
  return Array.from(text.matchAll(functionName), ([, found = '']) => unquoted(found));
}

/** All names in it, of columns among them. */
export function namesIn(text: string): string[] {
  return Array.from(text.matchAll(name), ([found]) => unquoted(found));
}

export const powersIn = (text: string): number => text.match(powerFunction)?.length ?? 0;
export const textCallsIn = (text: string): number => text.match(textCall)?.length ?? 0;
/** Whether it does more with a value than to compare it. */
export const looksAtBytes = (text: string): boolean => byteOperator.test(text) || anyCall.test(text);
export const matchesPattern = (text: string): boolean => byteOperator.test(text);
export const isParsed = (text: string): boolean => parsingFunction.test(text);
export const isHard = (text: string): boolean => hardOperator.test(text) || hardFunction.test(text);

/** Whether the planner knows how many rows meet it only from a fixed share: patterns, JSON, and functions of columns. */
export const isGuessed = (text: string): boolean =>
  byteOperator.test(text) || /[a-z_]\([^()]*[a-z_]/i.test(text);

const comparison = /([\w".]+)\)?(?:::[\w ]+?)? (<=?|>=?) (?:\(*\$\d+)/g;

/**
 * Columns that the node holds between two parameters. Of such a pair the planner assumes that 1 row in 200 meets it
 * (DEFAULT_RANGE_INEQ_SEL in selfuncs.h).
 */
export function rangesIn(node: PlanNode): number {
  const seen = new Map<string, number>();
  for (const key of conditions) {
    // The condition of an index is told twice where the rows are tested again.
    if (key === 'Recheck Cond' && textOf(node, 'Index Cond') !== '') continue;
    for (const [, column = '', operator = ''] of textOf(node, key).matchAll(comparison))
      seen.set(column, (seen.get(column) ?? 0) | (operator.startsWith('<') ? 1 : 2));
  }
  return [...seen.values()].filter((sides) => sides === 3).length;
}
