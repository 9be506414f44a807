/** Sums of work, and what expressions add to them: the part of plan-work.ts that looks at texts and names, not at nodes. */
import { madeOnce } from '../../core/made-once.ts';
import { featureNames, positionOf, workKinds } from './feature-names.ts';
import type { FeatureName, WorkKind } from './feature-names.ts';
import { expressionOf } from './plan-expressions.ts';
import type { Expression } from './plan-expressions.ts';
import type { NameMap } from './name-map.ts';
import { byName } from './plan-node.ts';
import type { PlanFacts, PlanNode, RelationFacts } from './plan-node.ts';

const pageBytes = 8192;

/** What a value that lies in TOAST leaves in its row; shorter ones are all there. */
const toastPointerBytes = 18;

const bytesOfRow = (table: RelationFacts | null): number =>
  table && table.rows > 0 ? (table.pages * pageBytes) / table.rows : 0;

const workPositions: ReadonlyMap<WorkKind, number> = new Map(
  workKinds.map((kind) => [kind, positionOf(`work_${kind}`)]),
);

/** V8 keeps an array that ever held a fraction as one of doubles, and its copies too: no copy is converted later. */
const zeros = featureNames.map(() => NaN).fill(0);

/** As a map: the facts of a table are asked for a column many times. */
const widthsOf = madeOnce(
  ({ widths }: RelationFacts): ReadonlyMap<string, number> => new Map(Object.entries(widths)),
);

export class WorkSums {
  protected readonly facts: PlanFacts;
  readonly #relations: NameMap<RelationFacts>;
  /** Amounts before the logarithm, in the order of featureNames: an object with so many properties is slow. */
  readonly amounts = zeros.slice();

  constructor(facts: PlanFacts) {
    this.facts = facts;
    this.#relations = byName(facts.relations);
  }

  amount(name: FeatureName): number {
    return this.amounts[positionOf(name)] ?? 0;
  }

  add(name: FeatureName, amount: number): void {
    if (amount !== 0) this.amounts[positionOf(name)] = this.amount(name) + amount;
  }

  most(name: FeatureName, amount: number): void {
    if (amount > this.amount(name)) this.amounts[positionOf(name)] = amount;
  }

  work(amount: number, kind: WorkKind): void {
    const position = workPositions.get(kind) ?? -1;
    if (amount !== 0) this.amounts[position] = (this.amounts[position] ?? 0) + amount;
  }

  protected tableOf(node: PlanNode): RelationFacts | null {
    const name = node['Relation Name'];
    return name === undefined ? null : (this.#relations.get(node.Schema ?? '', name) ?? null);
  }

  protected hash(bytes: number): void {
    this.add('hash_bytes', bytes);
    if (bytes > this.facts.work_mem) this.work(bytes, 'spilled_byte');
  }

  /** Mean bytes of the columns named in a text, and of what they have in TOAST. */
  protected bytesIn({ names }: Expression, own: RelationFacts | null): { bytes: number; toast: number } {
    let bytes = 0;
    let toast = 0;
    for (const table of own ? [own] : this.facts.relations) {
      const widths = widthsOf(table);
      for (const name of names) {
        const width = widths.get(name) ?? 0;
        bytes += width;
        if (width >= toastPointerBytes && table.rows > 0)
          toast = Math.max(toast, (table.toast_pages * pageBytes) / table.rows);
      }
    }
    return { bytes, toast };
  }

  protected isNumeric({ text, names }: Expression, own: RelationFacts | null): boolean {
    if (text.includes('::numeric')) return true;
    return (own ? [own] : this.facts.relations).some(({ numerics }) =>
      numerics.some((column) => names.has(column)),
    );
  }

  protected onlyTable(): RelationFacts | null {
    return this.facts.relations.length === 1 ? (this.facts.relations[0] ?? null) : null;
  }

  /** Rows by keys that a node hashes, texts apart. */
  protected hashed(rows: number, keys: readonly string[]): void {
    const texts = keys.filter((key) => this.bytesIn(expressionOf(key), null).bytes > 0).length;
    this.work(rows * Math.max(1, keys.length), 'hashed_row');
    this.work(rows * texts, 'hashed_text');
  }

  /** What expressions cost on so many rows. */
  protected expressions(expressions: readonly Expression[], rows: number, table: RelationFacts | null): void {
    for (const each of expressions) {
      if (!each.looksAtBytes) continue;
      const { bytes, toast } = this.bytesIn(each, table);
      this.work(rows * (bytes + toast), each.isParsed ? 'parsed_byte' : each.isHard ? 'hard_byte' : 'byte');
      this.work(rows * toast, 'toast_byte');
      this.add('toast_bytes', rows * toast);
      if (each.matchesPattern) {
        this.add('pattern_rows', rows);
        this.add('pattern_bytes', rows * (bytes + toast));
      }
      this.work(rows * each.textCalls, 'text_call');
      if (each.text.includes('.*')) this.work(rows * bytesOfRow(table ?? this.onlyTable()), 'byte');
      if (!this.isNumeric(each, table)) continue;
      this.work(rows * each.functions.length, 'numeric_call');
      this.work(rows * each.powers, 'power_call');
    }
    const calls = this.functions(expressions, rows);
    this.work(rows * calls, 'call');
    this.add('function_calls', calls * rows);
  }

  /** Counts the calls of what is built in, and takes the others for what they are. */
  protected functions(expressions: readonly Expression[], rows: number): number {
    let calls = 0;
    for (const name of expressions.flatMap((each) => each.functions)) {
      const facts = this.facts.functions.get(name);
      if (!facts) {
        calls += 1;
        continue;
      }
      this.add('procedures', rows);
      this.work(rows, 'procedure');
      this.work(rows * facts.queries, 'procedure_query');
      this.work(rows * facts.loops, 'procedure_loop');
    }
    return calls;
  }
}
