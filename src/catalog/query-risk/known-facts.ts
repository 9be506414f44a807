/** What the catalog said of tables and functions, for a session that asks about one statement after the other. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { NameMap } from './name-map.ts';
import type { CatalogFacts, FunctionFacts, PlanFacts, RelationFacts, WantedFacts } from './plan-node.ts';
import { byName } from './plan-node.ts';

/**
 * The same is said again for so long: to look for each statement takes a quarter of its answer. Longer would save nothing
 * more where hundreds of statements come in a second, and whoever fills a table by hand would be told of an empty one.
 */
const keptMs = 1000;

/** Of each kind: a few hundred kilobytes in a session. */
const mostKept = 1000;

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

/** What was said of things of one kind. */
class Sources<Facts> {
  readonly #known = new NameMap<Source<Facts>>();

  get(schema: string, name: string): Source<Facts> | undefined {
    return this.#known.get(schema, name);
  }

  set(schema: string, name: string, facts: Facts | null, until: number): void {
    const before = this.#known.get(schema, name);
    if (before && JSON.stringify(before.facts) === JSON.stringify(facts)) {
      before.until = until;
      return;
    }
    if (before) before.until = -Infinity;
    this.#known.set(schema, name, { facts, until });
  }

  /** Only before it is asked: one plan may name more than are kept. */
  makeRoom(): void {
    if (this.#known.size > mostKept) this.#known.clear();
  }
}

/** Not where the clock was set back, either. */
const isFresh = ({ until }: Source, now: number): boolean => until > now && until <= now + keptMs;

export const areFresh = (sources: readonly Source[], now: number): boolean =>
  sources.every((source) => isFresh(source, now));

export class KnownFacts {
  readonly #tables = new Sources<RelationFacts>();
  /** Of tables whose rows a plan changes: only of these the triggers are asked for. */
  readonly #changedTables = new Sources<RelationFacts>();
  readonly #functions = new Sources<FunctionFacts>();

  *of(wanted: WantedFacts, now: number): Program<SourcedFacts> {
    this.#tables.makeRoom();
    this.#changedTables.makeRoom();
    this.#functions.makeRoom();
    const isOld = (source: Source | undefined): boolean => !source || !isFresh(source, now);
    const relations = wanted.relations.filter(([schema, name, changed]) =>
      isOld(this.#tablesOf(changed).get(schema, name)),
    );
    const functions = wanted.functions.filter((name) => isOld(this.#functions.get('', name)));
    if (relations.length + functions.length > 0) {
      const found = yield* queryOne<CatalogFacts>('select maint.plan_facts($1::jsonb) as row', [
        { relations, functions },
      ]);
      const tables = byName(found.relations);
      for (const [schema, name, changed] of relations)
        this.#tablesOf(changed).set(schema, name, tables.get(schema, name) ?? null, now + keptMs);
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
