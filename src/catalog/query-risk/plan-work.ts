/** Walks through a plan and sums up the work it does: what plan-features.ts makes the features of. */
import { log2 } from './feature-names.ts';
import { computedOf, expressionOf, filtersOf, rangesIn } from './plan-expressions.ts';
import type { PlanNode, RelationFacts } from './plan-node.ts';
import { inputsOf, isJoin, scans, textOf } from './plan-node.ts';
import { BelievedRows } from './plan-rows.ts';
import { WorkSums } from './work-sums.ts';

/** Nodes that read all of their input before they give a row, even below a LIMIT. */
const isBlocking = (node: PlanNode): boolean =>
  /^(Sort|Aggregate|Hash|ModifyTable|SetOp)$/.test(node['Node Type']) && node.Strategy !== 'Sorted';

/** Bytes of a sort or hash for each row, beside the row. */
const rowOverhead = 24;

/** About what the planner takes for a row of a scan, where a plan tells its cost and no more (cpu_tuple_cost and a condition). */
const costOfRow = 0.0125;

/** Of what a LIMIT saves where the rows that meet a condition are a guess, so much is not believed, on the logarithm. */
const guessedShare = 0.7;

/** The most that it takes for a row that an index leads to (random_page_cost). */
const costOfFetch = 4;

/** The sums of one plan. */
export class PlanWork extends WorkSums {
  readonly tables = new Set<RelationFacts>();
  readonly #believed = new BelievedRows((node) => this.tableOf(node));

  /** `loops` counts runs, and parts of one where a LIMIT ends it early; `share` is that part. */
  visit(node: PlanNode, loops: number, depth: number, share: number): void {
    // Below a LIMIT, of what is read as a whole only the output is less.
    const whole = isBlocking(node) ? loops / share : loops;
    const rows = this.#believed.of(node) * loops;
    this.add('nodes', 1);
    this.most('depth', depth);
    this.most('loops', loops);
    this.most('most_rows', rows);
    this.most('believed_share', this.#believed.factor(node));
    this.add('work_rows', rows);
    this.work(rows, 'row');
    this.add('ranges', inputsOf(node).length === 0 ? rangesIn(node) : 0);
    const table = this.tableOf(node);
    if (table) this.tables.add(table);
    const guessed = filtersOf(node).some((each) => each.isGuessed);
    // Nobody knows how soon a LIMIT is met where the share of rows that meet the condition is a guess.
    const tested = guessed && share < 1 ? loops / share ** guessedShare : loops;
    this.#scan(node, table, rows, tested, share);
    this.#filter(node, table, tested, share);
    this.#operation(node, rows, whole, share);
    this.#modify(node, table);
    for (const child of node.Plans ?? []) {
      this.#below(node, child, whole, depth + 1, isBlocking(node) ? 1 : share);
    }
  }

  #below(node: PlanNode, child: PlanNode, loops: number, depth: number, share: number): void {
    const role = child['Parent Relationship'];
    if (role === 'InitPlan') this.visit(child, 1, depth, 1);
    else if (role === 'SubPlan') {
      const times = this.#subplanRuns(node, child);
      this.visit(child, times === null ? 1 : times * loops, depth, 1);
      if (times === null) {
        this.hashed(this.#believed.of(child), child.Output ?? []);
        this.work(this.#believed.of(child), 'group');
      }
    } else if (node['Node Type'] === 'Limit') {
      const all = this.#believed.of(child);
      const part = all > 0 ? Math.min(1, this.#believed.taken(node) / all) : 1;
      this.visit(child, loops * part, depth, share * part);
    } else if (node['Node Type'] === 'Nested Loop' && role === 'Inner') {
      const outer = inputsOf(node).find((other) => other['Parent Relationship'] === 'Outer');
      const times =
        child['Node Type'] === 'Materialize' ? 1 : Math.max(1, (outer ? this.#repeats(outer) : 1) * loops);
      this.visit(child, times, depth, 1);
    } else if (node['Node Type'] === 'Memoize') {
      const hits = child['Total Cost'] > 0 ? Math.min(1, node['Total Cost'] / child['Total Cost']) : 1;
      this.visit(child, loops * hits, depth, share);
    } else this.visit(child, loops, depth, share);
  }

  /** How often a node's expressions run their subplan in one run; null where it is hashed, and runs once for all. */
  #subplanRuns(node: PlanNode, child: PlanNode): number | null {
    const name = child['Subplan Name'] ?? '';
    const text = filtersOf(node)
      .map((each) => each.text)
      .join(' ');
    if (`${text} ${textOf(node, 'Output')}`.includes(`hashed ${name}`)) return null;
    return Math.max(1, text.includes(name) ? this.#testedRows(node) : this.#repeats(node));
  }

  /** How often what is done for each of its rows is done: nobody asks for dear work on as many rows as for cheap work. */
  #repeats(node: PlanNode): number {
    return this.#believed.of(node) / Math.sqrt(Math.max(1, this.#believed.factor(node)));
  }

  #inputRows(node: PlanNode): number {
    const outer = inputsOf(node).filter((child) => child['Parent Relationship'] !== 'Inner');
    return outer.length === 0
      ? this.#believed.of(node)
      : outer.reduce((sum, child) => sum + this.#believed.of(child), 0);
  }

  /** Rows that one run of a node tests its conditions on. */
  #testedRows(node: PlanNode): number {
    const type = node['Node Type'];
    const table = this.tableOf(node);
    if (scans.sequential.test(type)) return Math.max(table?.rows ?? 0, node['Plan Rows']);
    if (scans.index.test(type) || scans.indexOnly.test(type)) {
      // Of a minimum or maximum the index is asked for what is not null.
      if (/^(\([\w".]+ IS NOT NULL\))?$/.test(textOf(node, 'Index Cond')))
        return Math.max(table?.rows ?? 0, node['Plan Rows']);
      // The rows that the index gives before the condition are told nowhere but in the cost.
      const fetched =
        ((node['Total Cost'] - node['Startup Cost']) / costOfFetch) * this.#believed.factor(node);
      return Math.min(
        Math.max(this.#believed.of(node), fetched),
        Math.max(table?.rows ?? Infinity, this.#believed.of(node)),
      );
    }
    if (isJoin(node)) {
      const [outer = 1, inner = 1] = inputsOf(node).map((child) => this.#believed.of(child));
      return type === 'Nested Loop' ? outer * inner : Math.max(outer, this.#believed.of(node));
    }
    return this.#inputRows(node);
  }

  #scan(node: PlanNode, table: RelationFacts | null, rows: number, loops: number, share: number): void {
    const type = node['Node Type'];
    const tableRows = Math.max(table?.rows ?? 0, node['Plan Rows']);
    const pages = table?.pages ?? 0;
    const scattered = Math.min(this.#believed.of(node), table?.pages ?? Infinity) * loops;
    if (scans.sequential.test(type)) {
      this.add('sequential_rows', tableRows * loops);
      this.work(tableRows * loops, 'scanned_row');
      this.add('sequential_pages', pages * loops);
      this.work(pages * loops, 'page');
      this.add('scanned_pages', pages * loops);
      this.most('sequential_selectivity', tableRows > 0 ? node['Plan Rows'] / tableRows : 0);
    } else if (scans.indexOnly.test(type) || scans.index.test(type)) {
      const fetched = this.#testedRows(node) * loops;
      this.work(Math.max(rows, fetched), 'index_row');
      this.work(loops, 'index_scan');
      this.add('index_scans', loops);
      if (scans.indexOnly.test(type)) this.add('index_only_rows', rows);
      else {
        this.add('index_rows', Math.max(rows, fetched));
        this.add('random_fetches', scattered);
        this.work(scattered, 'scattered_page');
        this.add('scanned_pages', scattered);
      }
    } else if (scans.bitmap.test(type)) {
      this.add('bitmap_rows', rows);
      this.work(rows, 'index_row');
      this.work(loops, 'index_scan');
      this.add('index_scans', loops);
      this.work(scattered, 'page');
      this.add('scanned_pages', scattered);
    } else if (type === 'Function Scan' || type === 'Table Function Scan') {
      this.add('function_scans', 1);
      this.add('set_rows', rows);
      this.work(rows, 'set_row');
      this.functions([expressionOf(`${node['Function Name'] ?? ''}(`)], loops);
    } else if (type === 'Append' && (node['Subplans Removed'] ?? 0) > 0) {
      // A partition may be left out for the NULL that stands for a parameter: their cost is still there.
      const left = inputsOf(node).reduce((sum, child) => sum + child['Total Cost'], 0);
      this.work((Math.max(0, node['Total Cost'] - left) / costOfRow) * loops, 'scanned_row');
    }
    // What a LIMIT over a condition reads where few rows meet it: all of them.
    if (share < 1 && textOf(node, 'Filter') !== '') this.add('limited_rows', tableRows);
  }

  #filter(node: PlanNode, table: RelationFacts | null, loops: number, share: number): void {
    const tested = filtersOf(node);
    if (tested.length === 0) return;
    const rows = this.#testedRows(node) * loops;
    const count = tested.reduce((sum, each) => sum + each.conditions, 0);
    this.add('filter_conditions', count);
    this.add('filter_rows', rows * count);
    this.work(rows * count, 'condition');
    const guessed = tested.filter((each) => each.isGuessed).length;
    this.add('guessed_conditions', guessed);
    if (guessed > 0 && share < 1) this.most('limited_rows', rows);
    this.expressions(tested, rows, table);
  }

  #operation(node: PlanNode, rows: number, loops: number, share: number): void {
    const type = node['Node Type'];
    const input = this.#inputRows(node) * loops;
    const inputBytes = inputsOf(node).reduce(
      (sum, child) => sum + this.#believed.of(child) * child['Plan Width'] * loops,
      0,
    );
    const isAggregate = /Aggregate$|^Group$|^Unique$|^SetOp$|^HashSetOp$/.test(type);
    if (isJoin(node)) {
      this.add('joins', 1);
      this.add('join_rows', rows);
      this.add(
        type === 'Nested Loop' ? 'nested_loops' : type === 'Hash Join' ? 'hash_joins' : 'merge_joins',
        1,
      );
      if (node['Join Type'] !== 'Inner') this.add('outer_joins', 1);
      if (type === 'Hash Join') this.work(input, 'hashed_row');
    } else if (/Sort$/.test(type)) this.#sort(node, input, inputBytes, share < 1);
    else if (type === 'Hash') {
      this.add('hash_rows', rows);
      this.work(rows, 'hashed_row');
      this.hash(rows * (node['Plan Width'] + rowOverhead));
    } else if (isAggregate) this.#aggregate(node, input, inputBytes, rows);
    else if (type === 'WindowAgg') {
      this.add('window_rows', input);
      this.work(input, 'window_row');
    } else if (type === 'Limit') this.#limit(node);
    else if (type === 'Recursive Union') this.add('recursive', 1);
    else if (type === 'CTE Scan' || type === 'WorkTable Scan') this.add('common_tables', 1);
    else if (type === 'ProjectSet') {
      this.add('set_rows', rows);
      this.work(rows, 'set_row');
    }
    if (node['Subplan Name'] !== undefined) {
      this.add('subplans', 1);
      this.add('subplan_loops', loops);
    }
    this.expressions(
      computedOf(node),
      isAggregate || type === 'WindowAgg' ? input : rows,
      this.tableOf(node),
    );
    this.most('output_bytes', Math.max(rows * node['Plan Width'], inputBytes));
    this.most('workers', node['Workers Planned'] ?? 0);
  }

  #sort(node: PlanNode, input: number, inputBytes: number, limited: boolean): void {
    if (limited) this.add('top_rows', input);
    else {
      this.add('sort_rows', input);
      this.add('sort_bytes', inputBytes);
      const bytes = inputBytes + input * rowOverhead;
      if (bytes > this.facts.work_mem) this.work(bytes, 'spilled_byte');
    }
    const key = node['Sort Key'] ?? [];
    const isText = this.bytesIn(expressionOf(key[0] ?? ''), null).bytes > 0;
    // A LIMIT keeps the first rows only: one comparison for each of the others.
    this.work(input * (limited ? 1.5 : log2(input)), isText ? 'text_comparison' : 'comparison');
    this.work(inputBytes, 'sorted_byte');
    this.most('sort_first_share', node['Total Cost'] > 0 ? node['Startup Cost'] / node['Total Cost'] : 0);
  }

  #aggregate(node: PlanNode, input: number, inputBytes: number, rows: number): void {
    this.add('aggregate_rows', input);
    this.add('aggregate_groups', rows);
    const output = node.Output ?? [];
    this.add(
      'aggregate_calls',
      input * output.reduce((sum, text) => sum + expressionOf(text).functions.length, 0),
    );
    const sets = Array.isArray(node['Grouping Sets']) ? node['Grouping Sets'].length : 1;
    if (node.Strategy === 'Hashed' || node.Strategy === 'Mixed' || sets > 1) {
      this.hashed(input * sets, node['Group Key'] ?? []);
      this.work(rows, 'group');
    } else this.work(input, 'aggregated_row');
    // count(DISTINCT x) and percentiles sort within the node, which no plan shows.
    const sorting = output.filter((text) => /\(DISTINCT | ORDER BY |WITHIN GROUP/.test(text));
    for (const text of sorting) {
      const isText = this.bytesIn(expressionOf(text), null).bytes > 0;
      this.work(input * log2(input), isText ? 'text_comparison' : 'comparison');
      this.work(inputBytes, 'sorted_byte');
      if (inputBytes + input * rowOverhead > this.facts.work_mem)
        this.work(inputBytes + input * rowOverhead, 'spilled_byte');
    }
    if (node.Strategy === 'Hashed') {
      this.add('hash_bytes', rows * node['Plan Width']);
      if ((node['Planned Partitions'] ?? 0) > 0) this.work(inputBytes, 'spilled_byte');
    }
  }

  #limit(node: PlanNode): void {
    const [below] = inputsOf(node);
    if (!below) return;
    const all = this.#believed.of(below);
    this.most('limit_share', 1 - Math.min(1, all > 0 ? this.#believed.taken(node) / all : 1));
    this.most('limited_cost', below['Total Cost']);
  }

  #modify(node: PlanNode, table: RelationFacts | null): void {
    if (node['Node Type'] !== 'ModifyTable') return;
    const rows = this.#inputRows(node);
    const operation = node.Operation ?? '';
    this.most('writes', 1);
    const entries = rows * (operation === 'Delete' ? 0 : (table?.indexes ?? 0));
    const keys = rows * (table?.key_triggers[operation] ?? 0);
    const triggers = rows * (table?.triggers[operation] ?? 0);
    this.add('modified_rows', rows);
    this.add('modified_index_entries', entries);
    this.add('modified_triggers', keys + triggers);
    this.work(rows, 'changed_row');
    this.work(entries, 'index_entry');
    this.work(keys, 'key_trigger');
    this.work(triggers, 'trigger');
    this.work(rows * (table?.trigger_queries[operation] ?? 0), 'procedure_query');
    if (operation === 'Delete') {
      this.add('unindexed_references', rows * (table?.unindexed_references ?? 0));
      this.work(rows * (table?.unindexed_references ?? 0), 'scanned_row');
    }
  }
}
