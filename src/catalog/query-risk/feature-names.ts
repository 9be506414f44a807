/** The numbers that the query-risk model knows of a statement, by name and position; plan-features.ts makes them. */

/**
 * Kinds of work that a plan does, with what one of each takes in microseconds, about, when everything is in memory. The
 * planner's own costs take pages for read from a disk and all operators for equal. Training fits these to the server
 * (fitted-cost.ts); here is where it begins, and what it stays near to where it saw little.
 */
export const priorMicroseconds = {
  statement: 40,
  row: 0.015,
  scanned_row: 0.035,
  page: 2,
  scattered_page: 1,
  index_row: 0.15,
  index_scan: 2,
  condition: 0.03,
  /** A byte that LIKE, a JSON operator or a function looks at. */
  byte: 0.0008,
  /** A byte that a regular expression or ILIKE looks at. */
  hard_byte: 0.007,
  /** A byte that text search takes apart. */
  parsed_byte: 0.3,
  /** A byte that has to be fetched from TOAST, and decompressed. */
  toast_byte: 0.0015,
  call: 0.02,
  /** Of a function or operator that takes texts or JSON apart, or makes them. */
  text_call: 0.25,
  /** Arithmetic on numeric; and exp, ln and the like there. */
  numeric_call: 0.05,
  power_call: 9,
  /** Of a function in SQL or a procedural language; a statement in its body; a loop there. */
  procedure: 1,
  procedure_query: 25,
  procedure_loop: 4,
  set_row: 0.07,
  /** One comparison of a sort; of texts. */
  comparison: 0.007,
  text_comparison: 0.025,
  sorted_byte: 0.0015,
  /** A byte of a sort or hash that does not fit into work_mem. */
  spilled_byte: 0.0018,
  /** A key of a row that is hashed; of a text. */
  hashed_row: 0.05,
  hashed_text: 0.075,
  /** A group that is made. */
  group: 0.2,
  aggregated_row: 0.02,
  window_row: 0.4,
  result_byte: 0.0005,
  changed_row: 0.5,
  index_entry: 1.2,
  key_trigger: 5,
  trigger: 8,
  jit_function: 1600,
} as const;

export type WorkKind = keyof typeof priorMicroseconds;

export const workKinds = Object.keys(priorMicroseconds) as WorkKind[];

/** Names of the features, in the order of the numbers. Changing them makes older models useless: see featureVersion. */
export const featureNames = [
  'total_cost',
  'startup_cost',
  'startup_share',
  'result_rows',
  'result_bytes',
  'nodes',
  'depth',
  'joins',
  'nested_loops',
  'hash_joins',
  'merge_joins',
  'outer_joins',
  'sequential_rows',
  'sequential_pages',
  'sequential_selectivity',
  'index_rows',
  'index_only_rows',
  'index_scans',
  'bitmap_rows',
  'scanned_pages',
  'random_fetches',
  'work_rows',
  'most_rows',
  'join_rows',
  'loops',
  'filter_rows',
  'filter_conditions',
  'pattern_rows',
  'sort_rows',
  'sort_bytes',
  'sort_first_share',
  'hash_rows',
  'hash_bytes',
  'aggregate_rows',
  'aggregate_groups',
  'aggregate_calls',
  'window_rows',
  'limit_share',
  'limited_cost',
  'subplan_loops',
  'subplans',
  'function_calls',
  'function_rows',
  'output_bytes',
  'set_rows',
  'recursive',
  'common_tables',
  'function_scans',
  'workers',
  'jit',
  'modified_rows',
  'modified_index_entries',
  'modified_triggers',
  'writes',
  'largest_table_rows',
  'largest_table_pages',
  'tables',
  'toast_pages',
  'rows_per_cost',
  'limited_rows',
  'top_rows',
  'pattern_bytes',
  'toast_bytes',
  'guessed_conditions',
  'ranges',
  'believed_share',
  'procedures',
  'unindexed_references',
  ...workKinds.map((kind) => `work_${kind}` as const),
] as const;

/** A model is only used on features of its own version. */
export const featureVersion = 2;

export type FeatureName = (typeof featureNames)[number];

export const log2 = (amount: number): number => (amount > 0 ? Math.log2(1 + amount) : 0);

const positions: ReadonlyMap<FeatureName, number> = new Map(featureNames.map((name, index) => [name, index]));

/** Where a feature stands among the numbers. */
export const positionOf = (name: FeatureName): number => positions.get(name) ?? -1;

/** Neither a table nor a function that gives rows nor one for each of many rows: SELECT 1, and what it computes from constants. */
export function touchesNoTable(features: readonly number[]): boolean {
  const none: readonly FeatureName[] = [
    'largest_table_pages',
    'largest_table_rows',
    'tables',
    'function_scans',
    'set_rows',
    'function_calls',
    'writes',
    'recursive',
    'scanned_pages',
    'index_scans',
    'sequential_rows',
  ];
  return none.every((name) => features[positionOf(name)] === 0);
}
