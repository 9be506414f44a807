/**
 * What the query-risk model knows of a statement: numbers from its generic plan (EXPLAIN (FORMAT JSON, VERBOSE)) and from
 * the catalog's figures of what is named in it. The one place where they are made, for training and for scoring alike.
 * All are 0 or more, amounts as log2(1 + amount); `missing` (-1) where there is nothing to tell.
 */
import { featureNames, log2 } from './feature-names.ts';
import type { FeatureName } from './feature-names.ts';
import { NameMap } from './name-map.ts';
import { computedOf, filtersOf } from './plan-expressions.ts';
import type { ExplainedPlan, PlanFacts, PlanNode, WantedFacts } from './plan-node.ts';
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

const isPlain = featureNames.map((name) => plain.has(name));

/** What the catalog has to be asked for, for the features of a plan. */
export function wantedFacts(plan: ExplainedPlan): WantedFacts {
  const relations: WantedFacts['relations'] = [];
  const known = new NameMap<WantedFacts['relations'][number]>();
  const functions = new Set<string>();
  const want = (schema: string, name: string, changed: boolean): void => {
    const before = known.get(schema, name);
    if (before) before[2] ||= changed;
    else {
      const wanted: WantedFacts['relations'][number] = [schema, name, changed];
      known.set(schema, name, wanted);
      relations.push(wanted);
    }
  };
  const visit = (node: PlanNode): void => {
    const name = node['Relation Name'];
    if (name !== undefined) want(node.Schema ?? '', name, node['Node Type'] === 'ModifyTable');
    if (node['Function Name'] !== undefined) functions.add(node['Function Name']);
    for (const { functions: called } of filtersOf(node)) for (const each of called) functions.add(each);
    for (const { functions: called } of computedOf(node)) for (const each of called) functions.add(each);
    if (node.Plans) for (const child of node.Plans) visit(child);
  };
  visit(plan.Plan);
  return { relations, functions: [...functions] };
}

/** The features of a plan, in the order of featureNames. */
export function planFeatures(plan: ExplainedPlan, facts: PlanFacts): number[] {
  const root = plan.Plan;
  const work = new PlanWork(facts);
  work.visit(root, 1, 1, 1);
  const cost = root['Total Cost'];
  const resultBytes = root['Plan Rows'] * root['Plan Width'];
  work.add('total_cost', cost);
  work.add('startup_cost', root['Startup Cost']);
  work.add('startup_share', cost > 0 ? root['Startup Cost'] / cost : 0);
  work.add('result_rows', root['Plan Rows']);
  work.add('result_bytes', resultBytes);
  work.work(1, 'statement');
  work.work(resultBytes, 'result_byte');
  work.add('jit', plan.JIT === undefined ? 0 : 1);
  work.work(plan.JIT?.Functions ?? 0, 'jit_function');
  work.add('tables', work.tables.size);
  for (const table of work.tables) {
    work.most('largest_table_rows', table.rows);
    work.most('largest_table_pages', table.pages);
    work.add('toast_pages', table.toast_pages);
  }
  work.add('rows_per_cost', work.amount('work_rows') / Math.max(cost, 0.01));
  return featureNames.map((_, index) => {
    const amount = work.amounts[index] ?? 0;
    const feature = isPlain[index] ? amount : log2(amount);
    // A model's memory is float32, and what overflows there is unknown.
    return Number.isFinite(feature) ? Math.fround(feature) : missing;
  });
}
