/** Sums of work, and what expressions add to them: the part of plan-work.ts that looks at texts and names, not at nodes. */
import { featureNames, workKinds } from './feature-names.ts';
import type { FeatureName, WorkKind } from './feature-names.ts';
import {
  functionsIn,
  isHard,
  isParsed,
  looksAtBytes,
  matchesPattern,
  namesIn,
  powersIn,
  textCallsIn,
} from './plan-expressions.ts';
import type { PlanFacts, PlanNode, RelationFacts } from './plan-node.ts';
import { keyOf } from './plan-node.ts';

const pageBytes = 8192;

/** What a value that lies in TOAST leaves in its row; shorter ones are all there. */
const toastPointerBytes = 18;

const bytesOfRow = (table: RelationFacts | null): number =>
  table && table.rows > 0 ? (table.pages * pageBytes) / table.rows : 0;

type Sums = Record<FeatureName, number>;

const none = Object.fromEntries(featureNames.map((name) => [name, 0])) as Sums;

/** Names of their features, made once. */
const workName = Object.fromEntries(workKinds.map((kind) => [kind, `work_${kind}`])) as Record<
  WorkKind,
  FeatureName
>;

export class WorkSums {
  protected readonly facts: PlanFacts;
  readonly #relations: ReadonlyMap<string, RelationFacts>;
  /** Amounts, before the logarithm. */
  readonly sums: Sums = { ...none };

  constructor(facts: PlanFacts) {
    this.facts = facts;
    this.#relations = new Map(facts.relations.map((each) => [keyOf(each.schema, each.name), each]));
  }

  protected add(name: FeatureName, amount: number): void {
    if (amount !== 0) this.sums[name] += amount;
  }

  protected most(name: FeatureName, amount: number): void {
    if (amount > this.sums[name]) this.sums[name] = amount;
  }

  protected work(amount: number, kind: WorkKind): void {
    if (amount !== 0) this.sums[workName[kind]] += amount;
  }

  protected tableOf(node: PlanNode): RelationFacts | null {
    const name = node['Relation Name'];
    return name === undefined ? null : (this.#relations.get(keyOf(node.Schema, name)) ?? null);
  }

  protected hash(bytes: number): void {
    this.add('hash_bytes', bytes);
    if (bytes > this.facts.work_mem) this.work(bytes, 'spilled_byte');
  }

  /** Mean bytes of the columns named in a text, and of what they have in TOAST. */
  protected bytesIn(text: string, own: RelationFacts | null): { bytes: number; toast: number } {
    let bytes = 0;
    let toast = 0;
    const names = new Set(namesIn(text));
    for (const table of own ? [own] : this.facts.relations) {
      for (const [column, width] of Object.entries(table.widths)) {
        if (!names.has(column)) continue;
        bytes += width;
        if (width >= toastPointerBytes && table.rows > 0)
          toast = Math.max(toast, (table.toast_pages * pageBytes) / table.rows);
      }
    }
    return { bytes, toast };
  }

  protected isNumeric(text: string, own: RelationFacts | null): boolean {
    if (text.includes('::numeric')) return true;
    const names = namesIn(text);
    return (own ? [own] : this.facts.relations).some(({ numerics }) =>
      numerics.some((column) => names.includes(column)),
    );
  }

  protected onlyTable(): RelationFacts | null {
    return this.facts.relations.length === 1 ? (this.facts.relations[0] ?? null) : null;
  }

  /** Rows by keys that a node hashes, texts apart. */
  protected hashed(rows: number, keys: readonly string[]): void {
    const texts = keys.filter((key) => this.bytesIn(key, null).bytes > 0).length;
    this.work(rows * Math.max(1, keys.length), 'hashed_row');
    this.work(rows * texts, 'hashed_text');
  }

  /** What expressions cost on so many rows. */
  protected expressions(texts: readonly string[], rows: number, table: RelationFacts | null): void {
    for (const text of texts) {
      if (!looksAtBytes(text)) continue;
      const { bytes, toast } = this.bytesIn(text, table);
      this.work(rows * (bytes + toast), isParsed(text) ? 'parsed_byte' : isHard(text) ? 'hard_byte' : 'byte');
      this.work(rows * toast, 'toast_byte');
      this.add('toast_bytes', rows * toast);
      if (matchesPattern(text)) {
        this.add('pattern_rows', rows);
        this.add('pattern_bytes', rows * (bytes + toast));
      }
      this.work(rows * textCallsIn(text), 'text_call');
      if (text.includes('.*')) this.work(rows * bytesOfRow(table ?? this.onlyTable()), 'byte');
      if (!this.isNumeric(text, table)) continue;
      this.work(rows * functionsIn(text).length, 'numeric_call');
      this.work(rows * powersIn(text), 'power_call');
    }
    const calls = this.functions(texts, rows);
    this.work(rows * calls, 'call');
    this.add('function_calls', calls * rows);
  }

  /** Counts the calls of what is built in, and takes the others for what they are. */
  protected functions(texts: readonly string[], rows: number): number {
    let calls = 0;
    for (const name of texts.flatMap(functionsIn)) {
      const facts = Object.hasOwn(this.facts.functions, name) ? this.facts.functions[name] : undefined;
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
