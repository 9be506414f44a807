/** A plan as EXPLAIN (FORMAT JSON, VERBOSE) has it, and what the catalog says of the things named in it. */
import { NameMap } from './name-map.ts';

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
  /** Mean bytes of the columns that have no fixed length, and were analyzed. */
  widths: Record<string, number>;
  /** Those of them that are numeric have no width here. */
  numerics: readonly string[];
}

/** A function that is written in SQL or a procedural language, by what stands in its body. */
export interface FunctionFacts {
  queries: number;
  loops: number;
}

/** Of maint.plan_facts. */
export interface CatalogFacts {
  relations: readonly RelationFacts[];
  functions: Readonly<Record<string, FunctionFacts>>;
}

export interface PlanFacts {
  /** Bytes that a sort or a hash may take. */
  work_mem: number;
  relations: readonly RelationFacts[];
  functions: ReadonlyMap<string, FunctionFacts>;
}

/** What to ask the catalog for. */
export interface WantedFacts {
  /** Schema, name, and whether the plan changes its rows. */
  relations: [schema: string, name: string, changed: boolean][];
  /** Names of functions in expressions. */
  functions: string[];
}

export function byName(relations: readonly RelationFacts[]): NameMap<RelationFacts> {
  const named = new NameMap<RelationFacts>();
  for (const each of relations) named.set(each.schema, each.name, each);
  return named;
}

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
