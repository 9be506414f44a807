/**
 * What the query-risk model knows of a statement: numbers from its generic plan (EXPLAIN (FORMAT JSON, VERBOSE)) and from
 * the catalog's figures of the relations in it. The one place where they are made, for training and for scoring alike.
 * All are 0 or more, amounts as log2(1 + amount); `missing` (-1) where there is nothing to tell.
 */
import { featureNames, log2 } from './feature-names.ts';
import type { FeatureName, WorkKind } from './feature-names.ts';
import { missing } from './trees.ts';

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
  Operation?: string;
  Strategy?: string;
  'Partial Mode'?: string;
  'Join Type'?: string;
  'Workers Planned'?: number;
  'Subplan Name'?: string;
  Output?: string[];
  'Sort Key'?: string[];
  'Group Key'?: string[];
  [key: string]: unknown;
}

export interface ExplainedPlan {
  Plan: PlanNode;
  JIT?: object;
}

/** A table in a plan, as the catalog has it. */
export interface RelationFacts {
  schema: string;
  name: string;
  pages: number;
  rows: number;
  /** Bytes that its TOAST table has. */
  toast_pages: number;
  indexes: number;
  /** Triggers for each row, those of foreign keys included. */
  row_triggers: number;
}

const scans = {
  sequential: /^(Seq Scan|Sample Scan|Foreign Scan)$/,
  index: /^Index Scan/,
  indexOnly: /^Index Only Scan/,
  bitmap: /^Bitmap Heap Scan$/,
} as const;

/** Operators whose cost depends on the length of the text, which the planner takes for the cost of comparing two integers. */
const patternOperator = /(~~|!~~| ~ |~\*|@>|<@|@@|similar_to|\?\||\?&|->>|#>>)/;
/** Regular expressions, and LIKE that ignores case. */
const hardPattern = /(~~\*| ~ |!~|~\*|similar_to)/;
const functionCall = /[a-z0-9_"]\(/gi;
const plainOutput = /^[\w".]+$/;

/** Conditions of a node, whichever way it applies them to rows one by one. */
const filters = ['Filter', 'Join Filter', 'One-Time Filter', 'Recheck Cond'] as const;

function textOf(node: PlanNode, key: string): string {
  const value = node[key];
  return typeof value === 'string' ? value : Array.isArray(value) ? value.join(' ') : '';
}

/** AND and OR at any depth, and one. */
function conditionsIn(filter: string): number {
  return filter === '' ? 0 : 1 + (filter.match(/ (AND|OR) /g)?.length ?? 0);
}

function callsIn(texts: readonly string[]): number {
  return texts.reduce(
    (sum, text) => (plainOutput.test(text) ? sum : sum + (text.match(functionCall)?.length ?? 0)),
    0,
  );
}

/** How often a child runs for one run of its parent. */
function loopsOf(parent: PlanNode, child: PlanNode): number {
  if (child['Parent Relationship'] === 'SubPlan') {
    // For each row its parent reads; a hashed one runs once.
    return textOf(parent, 'Filter').includes('hashed ') ? 1 : Math.max(1, inputRows(parent));
  }
  if (parent['Node Type'] !== 'Nested Loop' || child['Parent Relationship'] !== 'Inner') return 1;
  if (child['Node Type'] === 'Materialize') return 1;
  const outer = parent.Plans?.find((other) => other['Parent Relationship'] === 'Outer');
  return Math.max(1, outer?.['Plan Rows'] ?? 1);
}

/** Nodes that read all of their input before they give a row, even below a LIMIT. */
const blocking = /^(Sort|Aggregate|Hash|Materialize|ModifyTable|CTE|SetOp|HashSetOp|Gather Merge)$/;

/** The part of its input that a LIMIT reads. */
function shareOf(limit: PlanNode, child: PlanNode): number {
  return child['Plan Rows'] > 0 ? Math.min(1, limit['Plan Rows'] / child['Plan Rows']) : 1;
}

function inputRows(node: PlanNode): number {
  const outer = (node.Plans ?? []).filter((child) => child['Parent Relationship'] === 'Outer');
  return outer.length === 0 ? node['Plan Rows'] : outer.reduce((sum, child) => sum + child['Plan Rows'], 0);
}

type Sums = Record<FeatureName, number>;

class Reading {
  readonly #relations: ReadonlyMap<string, RelationFacts>;
  /** Amounts, before the logarithm. */
  readonly sums = Object.fromEntries(featureNames.map((name) => [name, 0])) as Sums;
  readonly tables = new Map<string, RelationFacts>();

  constructor(relations: ReadonlyMap<string, RelationFacts>) {
    this.#relations = relations;
  }

  add(name: FeatureName, amount: number): void {
    this.sums[name] += amount;
  }

  most(name: FeatureName, amount: number): void {
    this.sums[name] = Math.max(this.sums[name], amount);
  }

  /** `loops` counts runs, and parts of one where a LIMIT ends it early; `limited` is true below such a LIMIT. */
  visit(node: PlanNode, loops: number, depth: number, limited: boolean): void {
    const rows = node['Plan Rows'] * loops;
    this.add('nodes', 1);
    this.most('depth', depth);
    this.most('loops', loops);
    this.most('most_rows', rows);
    this.add('work_rows', rows);
    this.#work(rows, 'row');
    const table = this.#tableOf(node);
    this.#scan(node, table, rows, loops, limited);
    this.#filter(node, table, loops);
    this.#operation(node, rows, loops, limited);
    this.#modify(node, table);
    const below = limited && !blocking.test(node['Node Type']);
    for (const child of node.Plans ?? []) {
      const times = Math.max(loops, limited && !below ? 1 : 0) * loopsOf(node, child);
      if (node['Node Type'] !== 'Limit') this.visit(child, times, depth + 1, below);
      else this.visit(child, loops * shareOf(node, child), depth + 1, true);
    }
  }

  #work(amount: number, kind: WorkKind): void {
    this.add(`work_${kind}`, amount);
  }

  #tableOf(node: PlanNode): RelationFacts | null {
    const name = node['Relation Name'];
    if (name === undefined) return null;
    const key = JSON.stringify([node.Schema ?? '', name]);
    const facts = this.#relations.get(key) ?? null;
    if (facts) this.tables.set(key, facts);
    return facts;
  }

  #scan(node: PlanNode, table: RelationFacts | null, rows: number, loops: number, limited: boolean): void {
    const type = node['Node Type'];
    const tableRows = Math.max(table?.rows ?? 0, node['Plan Rows']);
    if (scans.sequential.test(type)) {
      this.add('sequential_rows', tableRows * loops);
      this.#work(tableRows * loops, 'scanned_row');
      this.add('sequential_pages', (table?.pages ?? 0) * loops);
      this.#work((table?.pages ?? 0) * loops, 'page');
      this.add('scanned_pages', (table?.pages ?? 0) * loops);
      this.most('sequential_selectivity', tableRows > 0 ? node['Plan Rows'] / tableRows : 0);
    } else if (scans.indexOnly.test(type)) {
      this.add('index_only_rows', rows);
      this.#work(rows, 'index_row');
      this.#work(loops, 'index_scan');
      this.add('index_scans', loops);
    } else if (scans.index.test(type)) {
      this.add('index_rows', rows);
      this.#work(rows, 'index_row');
      this.#work(loops, 'index_scan');
      this.add('index_scans', loops);
      this.add('random_fetches', Math.min(node['Plan Rows'], table?.pages ?? Infinity) * loops);
      this.#work(Math.min(node['Plan Rows'], table?.pages ?? Infinity) * loops, 'scattered_page');
      this.add('scanned_pages', Math.min(node['Plan Rows'], table?.pages ?? Infinity) * loops);
    } else if (scans.bitmap.test(type)) {
      this.add('bitmap_rows', rows);
      this.#work(rows, 'index_row');
      this.add('index_scans', loops);
      this.add('scanned_pages', Math.min(node['Plan Rows'], table?.pages ?? Infinity) * loops);
    } else if (type === 'Function Scan' || type === 'Table Function Scan') {
      this.add('function_scans', 1);
      this.add('set_rows', rows);
    }
    // What a LIMIT over a condition reads where few rows meet it: all of them.
    if (limited && textOf(node, 'Filter') !== '') this.add('limited_rows', tableRows);
  }

  #filter(node: PlanNode, table: RelationFacts | null, loops: number): void {
    const conditions = filters.map((key) => textOf(node, key)).filter((text) => text !== '');
    if (conditions.length === 0) return;
    const isScan = table !== null && scans.sequential.test(node['Node Type']);
    const rows = (isScan ? Math.max(table.rows, node['Plan Rows']) : inputRows(node)) * loops;
    const count = conditions.reduce((sum, text) => sum + conditionsIn(text), 0);
    this.add('filter_conditions', count);
    this.add('filter_rows', rows * count);
    const calls = callsIn(conditions);
    const bytes = rows * bytesOf(table);
    this.#work(rows * count, 'condition');
    this.#work(rows * calls, 'call');
    this.add('filter_bytes', bytes);
    this.add('function_calls', calls * rows);
    if (conditions.some((text) => patternOperator.test(text))) {
      this.add('pattern_rows', rows);
      this.add('pattern_bytes', bytes);
      this.#work(bytes, 'byte');
      if (hardPattern.test(conditions.join(' '))) this.#work(bytes, 'hard_byte');
    } else if (calls > 0) this.#work(bytes, 'byte');
  }

  #operation(node: PlanNode, rows: number, loops: number, limited: boolean): void {
    const type = node['Node Type'];
    const input = inputRows(node) * loops;
    const inputBytes = (node.Plans ?? []).reduce(
      (sum, child) => sum + child['Plan Rows'] * child['Plan Width'] * loops,
      0,
    );
    if (/Join$|^Nested Loop$/.test(type)) {
      this.add('joins', 1);
      this.add('join_rows', rows);
      this.add(
        type === 'Nested Loop' ? 'nested_loops' : type === 'Hash Join' ? 'hash_joins' : 'merge_joins',
        1,
      );
      if (node['Join Type'] !== 'Inner') this.add('outer_joins', 1);
    } else if (/Sort$/.test(type)) {
      if (limited) this.add('top_rows', input);
      else {
        this.add('sort_rows', rows);
        this.add('sort_bytes', rows * node['Plan Width']);
      }
      // A LIMIT keeps the first rows only: one comparison for each of the others.
      this.#work(input * (limited ? 1.5 : log2(input)), 'comparison');
      this.#work(inputBytes, 'sorted_byte');
      this.most('sort_first_share', node['Total Cost'] > 0 ? node['Startup Cost'] / node['Total Cost'] : 0);
    } else if (type === 'Hash') {
      this.add('hash_rows', rows);
      this.add('hash_bytes', rows * node['Plan Width']);
      this.#work(rows, 'hashed_row');
    } else if (/Aggregate$|^Group$|^Unique$|^SetOp$|^HashSetOp$/.test(type)) {
      this.add('aggregate_rows', input);
      this.add('aggregate_groups', rows);
      const calls = input * callsIn(node.Output ?? []);
      this.add('aggregate_calls', calls);
      this.#work(input, node.Strategy === 'Hashed' ? 'hashed_row' : 'aggregated_row');
      this.#work(calls, 'call');
      // count(DISTINCT x) and percentiles sort within the node, which no plan shows.
      if (/\((DISTINCT|ORDER BY) |WITHIN GROUP/.test((node.Output ?? []).join(' '))) {
        this.#work(input * log2(input), 'comparison');
        this.#work(inputBytes, 'sorted_byte');
      }
      if (node.Strategy === 'Hashed') this.add('hash_bytes', rows * node['Plan Width']);
    } else if (type === 'WindowAgg') {
      this.add('window_rows', input);
      this.#work(input, 'window_row');
    } else if (type === 'Limit') this.#limit(node);
    else if (type === 'Recursive Union') this.add('recursive', 1);
    else if (type === 'CTE Scan' || type === 'WorkTable Scan') this.add('common_tables', 1);
    else if (type === 'ProjectSet') this.add('set_rows', rows);
    if (node['Subplan Name'] !== undefined) {
      this.add('subplans', 1);
      this.add('subplan_loops', loops);
    }
    if (!/Aggregate$/.test(type)) {
      const calls = callsIn(node.Output ?? []) * rows;
      this.add('function_calls', calls);
      this.#work(calls, 'call');
    }
    this.most('output_bytes', Math.max(rows * node['Plan Width'], inputBytes));
    this.most('workers', node['Workers Planned'] ?? 0);
  }

  #limit(node: PlanNode): void {
    const [below] = node.Plans ?? [];
    if (!below) return;
    const share = below['Plan Rows'] > 0 ? node['Plan Rows'] / below['Plan Rows'] : 1;
    this.most('limit_share', 1 - Math.min(1, share));
    this.most('limited_cost', below['Total Cost']);
  }

  #modify(node: PlanNode, table: RelationFacts | null): void {
    if (node['Node Type'] !== 'ModifyTable') return;
    const rows = inputRows(node);
    this.sums.writes = 1;
    const entries = rows * (node.Operation === 'Delete' ? 0 : (table?.indexes ?? 0));
    const triggers = rows * (table?.row_triggers ?? 0);
    this.add('modified_rows', rows);
    this.add('modified_index_entries', entries);
    this.add('modified_triggers', triggers);
    this.#work(rows, 'changed_row');
    this.#work(entries, 'index_entry');
    this.#work(triggers, 'trigger');
  }
}

/** Of a row of the table. */
function bytesOf(table: RelationFacts | null): number {
  return table && table.rows > 0 ? ((table.pages + table.toast_pages) * 8192) / table.rows : 32;
}

/** Which amounts stay as they are: counts that are small, and shares. */
const plain: ReadonlySet<FeatureName> = new Set([
  'startup_share',
  'nodes',
  'depth',
  'joins',
  'nested_loops',
  'hash_joins',
  'merge_joins',
  'outer_joins',
  'sequential_selectivity',
  'filter_conditions',
  'sort_first_share',
  'limit_share',
  'subplans',
  'recursive',
  'common_tables',
  'function_scans',
  'workers',
  'jit',
  'writes',
  'tables',
]);

/** The relations in a plan, as [schema, name], each once. */
export function relationsIn(plan: ExplainedPlan): [string, string][] {
  const found = new Map<string, [string, string]>();
  const visit = (node: PlanNode): void => {
    const name = node['Relation Name'];
    if (name !== undefined) found.set(JSON.stringify([node.Schema ?? '', name]), [node.Schema ?? '', name]);
    for (const child of node.Plans ?? []) visit(child);
  };
  visit(plan.Plan);
  return [...found.values()];
}

/** The features of a plan, in the order of featureNames. */
export function planFeatures(plan: ExplainedPlan, facts: readonly RelationFacts[]): number[] {
  const root = plan.Plan;
  const reading = new Reading(new Map(facts.map((each) => [JSON.stringify([each.schema, each.name]), each])));
  reading.visit(root, 1, 1, false);
  const { sums, tables } = reading;
  sums.total_cost = root['Total Cost'];
  sums.startup_cost = root['Startup Cost'];
  sums.startup_share = root['Total Cost'] > 0 ? root['Startup Cost'] / root['Total Cost'] : 0;
  sums.result_rows = root['Plan Rows'];
  sums.result_bytes = root['Plan Rows'] * root['Plan Width'];
  sums.work_statement = 1;
  sums.work_result_byte = sums.result_bytes;
  sums.jit = plan.JIT === undefined ? 0 : 1;
  sums.tables = tables.size;
  for (const table of tables.values()) {
    sums.largest_table_rows = Math.max(sums.largest_table_rows, table.rows);
    sums.largest_table_pages = Math.max(sums.largest_table_pages, table.pages);
    sums.toast_pages += table.toast_pages;
  }
  sums.rows_per_cost = sums.work_rows / Math.max(root['Total Cost'], 0.01);
  return featureNames.map((name) => {
    const amount = plain.has(name) ? sums[name] : log2(sums[name]);
    // A model's memory is float32, and what overflows there is unknown.
    return Number.isFinite(amount) ? Math.fround(amount) : missing;
  });
}
