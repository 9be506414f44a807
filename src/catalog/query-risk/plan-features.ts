/**
 * What the query-risk model knows of a statement: numbers from its generic plan (EXPLAIN (FORMAT JSON, VERBOSE)) and from
 * the catalog's figures of what is named in it. The one place where they are made, for training and for scoring alike.
 * All are 0 or more, amounts as log2(1 + amount); `missing` (-1) where there is nothing to tell.
 */
import { featureNames, log2 } from './feature-names.ts';
import type { FeatureName } from './feature-names.ts';
import { computedTexts, filterTexts, functionsIn, looksAtBytes, namesIn } from './plan-expressions.ts';
import type { ExplainedPlan, PlanFacts, PlanNode, WantedFacts } from './plan-node.ts';
import { keyOf } from './plan-node.ts';
import { PlanWork } from './plan-work.ts';
import { missing } from './trees.ts';

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
  'guessed_conditions',
  'ranges',
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

/** What the catalog has to be asked for, for the features of these plans. */
export function wantedFacts(plans: readonly ExplainedPlan[]): WantedFacts {
  const relations = new Map<string, [string, string, boolean]>();
  const functions = new Set<string>();
  const words = new Set<string>();
  const visit = (node: PlanNode): void => {
    const name = node['Relation Name'];
    if (name !== undefined) {
      const key = keyOf(node.Schema, name);
      const changed = node['Node Type'] === 'ModifyTable' || relations.get(key)?.[2] === true;
      relations.set(key, [node.Schema ?? '', name, changed]);
    }
    if (node['Function Name'] !== undefined) functions.add(node['Function Name']);
    for (const text of [...filterTexts(node), ...computedTexts(node)]) {
      const called = functionsIn(text);
      for (const each of called) functions.add(each);
      if (!looksAtBytes(text)) continue;
      for (const each of namesIn(text)) if (!called.includes(each)) words.add(each);
    }
    for (const text of [...(node['Sort Key'] ?? []), ...(node['Group Key'] ?? [])])
      for (const each of namesIn(text)) words.add(each);
    for (const child of node.Plans ?? []) visit(child);
  };
  for (const plan of plans) visit(plan.Plan);
  return { relations: [...relations.values()], functions: [...functions], words: [...words] };
}

/** Where a plan names nothing that the catalog has to be asked for. */
export const noFacts: PlanFacts = { work_mem: 4 * 2 ** 20, relations: [], functions: {} };

/** The features of a plan, in the order of featureNames. */
export function planFeatures(plan: ExplainedPlan, facts: PlanFacts): number[] {
  const root = plan.Plan;
  const work = new PlanWork(facts);
  work.visit(root, 1, 1, 1);
  const { sums, tables } = work;
  sums.total_cost = root['Total Cost'];
  sums.startup_cost = root['Startup Cost'];
  sums.startup_share = root['Total Cost'] > 0 ? root['Startup Cost'] / root['Total Cost'] : 0;
  sums.result_rows = root['Plan Rows'];
  sums.result_bytes = root['Plan Rows'] * root['Plan Width'];
  sums.work_statement = 1;
  sums.work_result_byte = sums.result_bytes;
  sums.jit = plan.JIT === undefined ? 0 : 1;
  sums.work_jit_function = plan.JIT?.Functions ?? 0;
  sums.tables = tables.size;
  for (const table of tables) {
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
