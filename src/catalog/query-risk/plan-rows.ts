/**
 * How many rows each node of a generic plan is likely to give. The planner assumes fixed shares where it does not know the
 * values of parameters: half a percent between two of them, a tenth of all rows for a LIMIT. Those are replaced by what
 * statements in use ask for, and the rest of its estimate stays.
 */
import { rangesIn } from './plan-expressions.ts';
import type { PlanNode, RelationFacts } from './plan-node.ts';
import { inputsOf, isJoin } from './plan-node.ts';

/** Share of rows between two parameters: a month of a year, a page of a list. The planner takes 0.005. */
const rangeShare = 0.1;
const plannersRangeShare = 0.005;

/** Rows that a LIMIT of unknown size gives: people read pages, and programs take batches. */
const limitRows = 30;
const plannersLimitShare = 0.1;

/** Rows of functions of which nobody said how many they give (prorows of pg_proc, as it comes). */
const plannersSets = [100, 1000];

function believedSet(planned: number): number {
  // Few or many: between one row and what the planner takes for all.
  return plannersSets.includes(Math.round(planned)) ? 3 * Math.sqrt(planned) : planned;
}

export class BelievedRows {
  readonly #tableOf: (node: PlanNode) => RelationFacts | null;
  readonly #known = new Map<PlanNode, number>();

  constructor(tableOf: (node: PlanNode) => RelationFacts | null) {
    this.#tableOf = tableOf;
  }

  /** Of one run of the node. */
  of(node: PlanNode): number {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    const rows = this.#believe(node);
    this.#known.set(node, rows);
    return rows;
  }

  /** How much more it is than the planner says. */
  factor(node: PlanNode): number {
    return this.of(node) / Math.max(1, node['Plan Rows']);
  }

  /** Rows that a LIMIT takes from its input: those that its offset leaves out, and those that it gives. */
  taken(limit: PlanNode): number {
    const [input] = inputsOf(limit);
    if (!input) return limit['Plan Rows'];
    const all = this.of(input);
    const run = input['Total Cost'] - input['Startup Cost'];
    const hasOffset = limit['Startup Cost'] > input['Startup Cost'] + 0.01 * run && run > 0;
    return Math.min(all, this.of(limit) + (hasOffset ? plannersLimitShare * all : 0));
  }

  #believe(node: PlanNode): number {
    const planned = node['Plan Rows'];
    const type = node['Node Type'];
    const inputs = inputsOf(node);
    if (type === 'Limit') return this.#limited(node, planned);
    if (type === 'Function Scan') return believedSet(planned);
    if (type === 'ProjectSet') {
      const [input] = inputs;
      const each = planned / Math.max(1, input?.['Plan Rows'] ?? 1);
      return (input ? this.of(input) : 1) * believedSet(each);
    }
    if (inputs.length === 0 || type === 'Bitmap Heap Scan') {
      const ranges = rangesIn(node);
      const rows = planned * (rangeShare / plannersRangeShare) ** Math.min(2, ranges);
      const most = this.#tableOf(node)?.rows ?? Infinity;
      return Math.max(planned, Math.min(rows, most));
    }
    if (type === 'ModifyTable') return planned;
    if (type === 'Append' || type === 'Merge Append')
      return inputs.reduce((sum, each) => sum + this.of(each), 0);
    const factor = inputs.reduce((product, each) => product * this.factor(each), 1);
    if (isJoin(node)) return planned * factor;
    if (/Aggregate$|^Group$|^Unique$|SetOp$/.test(type))
      return node['Group Key'] === undefined && type === 'Aggregate' ? planned : planned * Math.sqrt(factor);
    return planned * factor;
  }

  #limited(node: PlanNode, planned: number): number {
    const [input] = inputsOf(node);
    if (!input) return planned;
    const share = planned / Math.max(1, input['Plan Rows']);
    // A limit that is written as a constant is known, and a tenth of it by chance only.
    const isAssumed = Math.abs(share - plannersLimitShare) < 0.01 && planned > 1;
    return Math.min(this.of(input), isAssumed ? limitRows : planned);
  }
}
