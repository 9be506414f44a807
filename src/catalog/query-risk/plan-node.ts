/** A plan as EXPLAIN (FORMAT JSON, VERBOSE) has it, and what the catalog says of the things named in it. */

export interface PlanNode {
  'Node Type': string;
  'Startup Cost': number;
  'Total Cost': number;
  'Plan Rows': number;
  'Plan Width': number;
  Plans?: PlanNode[];
  'Parent Relationship'?: string;
  Schema?: string;
  'Relation Name'?: string;
  'Function Name'?: string;
  Operation?: string;
  Strategy?: string;
  'Partial Mode'?: string;
  'Join Type'?: string;
  'Workers Planned'?: number;
  'Subplan Name'?: string;
  'Subplans Removed'?: number;
  'Planned Partitions'?: number;
  Output?: string[];
  'Sort Key'?: string[];
  'Group Key'?: string[];
  [key: string]: unknown;
}

export interface ExplainedPlan {
  Plan: PlanNode;
  JIT?: { Functions?: number };
}

/** A table in a plan. */
export interface RelationFacts {
  schema: string;
  name: string;
  pages: number;
  rows: number;
  toast_pages: number;
  indexes: number;
  /** Triggers for each row by event (Insert, Update, Delete): those of foreign keys that have something to look up, and others. */
  key_triggers: Record<string, number>;
  triggers: Record<string, number>;
  /** Statements in the bodies of the latter. */
  trigger_queries: Record<string, number>;
  /** Rows in the tables that refer to it and have no index for that: a delete reads them all for each row. */
  unindexed_references: number;
  /** Mean bytes of the columns asked for that have no fixed length. */
  widths: Record<string, number>;
  /** Those of the columns asked for that are numeric. */
  numerics: readonly string[];
}

/** A function that is written in SQL or a procedural language, by what stands in its body. */
export interface FunctionFacts {
  queries: number;
  loops: number;
}

export interface PlanFacts {
  /** Bytes that a sort or a hash may take. */
  work_mem: number;
  relations: readonly RelationFacts[];
  functions: Readonly<Record<string, FunctionFacts>>;
}

/** What to ask the catalog for. */
export interface WantedFacts {
  /** Schema, name, and whether the plan changes its rows. */
  relations: [schema: string, name: string, changed: boolean][];
  /** Names in expressions: of functions, and those that may be of columns. */
  functions: string[];
  words: string[];
}

/** What a table is known by. */
export const keyOf = (schema: string | undefined, name: string): string =>
  JSON.stringify([schema ?? '', name]);

export function textOf(node: PlanNode, key: string): string {
  const value = node[key];
  return typeof value === 'string' ? value : Array.isArray(value) ? value.join(' ') : '';
}

/** Children that give rows to the node: neither subplans of its expressions nor those that run once before. */
export function inputsOf(node: PlanNode): PlanNode[] {
  return (node.Plans ?? []).filter(
    ({ 'Parent Relationship': role }) => role !== 'SubPlan' && role !== 'InitPlan',
  );
}

export const scans = {
  sequential: /^(Seq Scan|Sample Scan|Foreign Scan)$/,
  index: /^Index Scan/,
  indexOnly: /^Index Only Scan/,
  bitmap: /^Bitmap Heap Scan$/,
} as const;

export const isJoin = (node: PlanNode): boolean => /Join$|^Nested Loop$/.test(node['Node Type']);
