/** What the catalog said of tables and functions, for a session that asks about one statement after the other. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import type { CatalogFacts, FunctionFacts, PlanFacts, RelationFacts, WantedFacts } from './plan-node.ts';

/**
 * The same is said again for so long: to look for each statement takes a quarter of its answer. Longer would save nothing
 * more where hundreds of statements come in a second, and whoever fills a table by hand would be told of an empty one.
 */
const keptMs = 1000;

/** Of each kind, all together: a megabyte or two in a session. */
const mostKept = 2000;

/** What was said of one thing. It is another object when something else is said. */
export interface Source<Facts = unknown> {
  /** null where the catalog has nothing of that name. */
  readonly facts: Facts | null;
  /** By the clock of whoever asks. */
  until: number;
}

export interface SourcedFacts extends Omit<PlanFacts, 'work_mem'> {
  sources: readonly Source[];
}

/** Things by name, in the parts that a schema or the like makes. */
class Sources<Facts> {
  readonly #parts = new Map<string, Map<string, Source<Facts>>>();
  #size = 0;

  get(part: string, name: string): Source<Facts> | undefined {
    return this.#parts.get(part)?.get(name);
  }

  set(part: string, name: string, facts: Facts | null, until: number): void {
    const before = this.get(part, name);
    if (before && JSON.stringify(before.facts) === JSON.stringify(facts)) before.until = until;
    else {
      if (before) before.until = -Infinity;
      else if (this.#size >= mostKept) this.#clear();
      this.#part(part).set(name, { facts, until });
      if (!before) this.#size += 1;
    }
  }

  #part(part: string): Map<string, Source<Facts>> {
    const known = this.#parts.get(part) ?? new Map<string, Source<Facts>>();
    this.#parts.set(part, known);
    return known;
  }

  #clear(): void {
    this.#parts.clear();
    this.#size = 0;
  }
}

export const areFresh = (sources: readonly Source[], now: number): boolean =>
  sources.every(({ until }) => until > now);

export class KnownFacts {
  readonly #tables = new Sources<RelationFacts>();
  /** Of tables whose rows a plan changes: only of these the triggers are asked for. */
  readonly #changedTables = new Sources<RelationFacts>();
  readonly #functions = new Sources<FunctionFacts>();

  *of(wanted: WantedFacts, now: number): Program<SourcedFacts> {
    const isOld = (source: Source | undefined): boolean => source === undefined || source.until <= now;
    const relations = wanted.relations.filter(([schema, name, changed]) =>
      isOld(this.#tablesOf(changed).get(schema, name)),
    );
    const functions = wanted.functions.filter((name) => isOld(this.#functions.get('', name)));
    if (relations.length + functions.length > 0) {
      const found = yield* queryOne<CatalogFacts>('select maint.plan_facts($1::jsonb) as row', [
        { relations, functions },
      ]);
      for (const [schema, name, changed] of relations) {
        const facts = found.relations.find((other) => other.schema === schema && other.name === name);
        this.#tablesOf(changed).set(schema, name, facts ?? null, now + keptMs);
      }
      const said = new Map(Object.entries(found.functions));
      for (const name of functions) this.#functions.set('', name, said.get(name) ?? null, now + keptMs);
    }
    return this.#told(wanted);
  }

  #tablesOf(changed: boolean): Sources<RelationFacts> {
    return changed ? this.#changedTables : this.#tables;
  }

  #told(wanted: WantedFacts): SourcedFacts {
    const relations: RelationFacts[] = [];
    const functions = new Map<string, FunctionFacts>();
    const sources: Source[] = [];
    for (const [schema, name, changed] of wanted.relations) {
      const source = this.#tablesOf(changed).get(schema, name);
      if (source) sources.push(source);
      if (source?.facts) relations.push(source.facts);
    }
    for (const name of wanted.functions) {
      const source = this.#functions.get('', name);
      if (source) sources.push(source);
      if (source?.facts) functions.set(name, source.facts);
    }
    return { relations, functions, sources };
  }
}
