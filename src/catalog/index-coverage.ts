/**
 * Which index does all that another one does, so that the other may go. Pure: it compares what index-structure.ts
 * has read.
 */
import type { Implication, IndexStructure } from './index-structure.ts';

/**
 * Methods that search by the leading columns of a longer key as well as by the same columns alone. GIN and BRIN would
 * serve any subset, but a search by two columns of one index is not that by two indexes, so the prefix is all we say.
 * Of every other method, also of an extension's, only the whole key serves in place of the whole key.
 */
const prefixMethods: ReadonlySet<string> = new Set(['btree', 'gist', 'gin', 'brin']);

/** Storage parameters that decide how much a search reads, with their defaults. Others, like fillfactor, do not. */
const brinDefaults = { pages_per_range: '128', autosummarize: 'off' } as const;
const tuningOnly: ReadonlySet<string> = new Set(['btree', 'hash', 'gist', 'spgist', 'gin']);

/** What must still be known for a pair to be settled: null where nothing. */
export type Coverage = 'no' | 'yes' | 'if predicate implied';

/** Flips both descending and nulls first: what a backward scan reads. */
const reversal = 3;

function keyCovers(keeper: IndexStructure, candidate: IndexStructure): boolean {
  const { length } = candidate.key;
  if (length > keeper.key.length) return false;
  if (length < keeper.key.length && !prefixMethods.has(keeper.method)) return false;
  const turned = (keeper.key[0]?.sort ?? 0) ^ (candidate.key[0]?.sort ?? 0);
  if (turned !== 0 && turned !== reversal) return false;
  return candidate.key.every((column, position) => {
    const other = keeper.key[position];
    return other?.what === column.what && (other.sort ^ column.sort) === turned;
  });
}

/** A B-tree returns every key column from the index alone; of other methods that depends on the operator class. */
function includesCover(keeper: IndexStructure, candidate: IndexStructure): boolean {
  return candidate.included.every(
    (attribute) =>
      keeper.included.includes(attribute) ||
      (keeper.method === 'btree' && keeper.keyAttributes.has(attribute)),
  );
}

/** A longer unique key allows what the shorter forbids; a deferrable one allows duplicates for a while. */
function uniquenessCovers(keeper: IndexStructure, candidate: IndexStructure): boolean {
  if (!candidate.unique) return true;
  return (
    keeper.unique &&
    keeper.immediate &&
    keeper.key.length === candidate.key.length &&
    keeper.nulls_not_distinct === candidate.nulls_not_distinct
  );
}

function brinParameter(index: IndexStructure, name: keyof typeof brinDefaults): string {
  const setting = index.storage.find((option) => option.startsWith(`${name}=`));
  const value = setting?.slice(name.length + 1) ?? brinDefaults[name];
  return value === 'true' || value === '1' ? 'on' : value === 'false' || value === '0' ? 'off' : value;
}

function storageCovers(keeper: IndexStructure, candidate: IndexStructure): boolean {
  if (tuningOnly.has(keeper.method)) return true;
  if (keeper.method === 'brin') {
    return (['pages_per_range', 'autosummarize'] as const).every(
      (name) => brinParameter(keeper, name) === brinParameter(candidate, name),
    );
  }
  return JSON.stringify([...keeper.storage].sort()) === JSON.stringify([...candidate.storage].sort());
}

/** Whether `keeper` serves every search, order, index-only scan and uniqueness that `candidate` serves. */
export function coverage(keeper: IndexStructure, candidate: IndexStructure): Coverage {
  const alike =
    keeper.oid !== candidate.oid &&
    keeper.table_oid === candidate.table_oid &&
    keeper.method === candidate.method &&
    keyCovers(keeper, candidate) &&
    includesCover(keeper, candidate) &&
    uniquenessCovers(keeper, candidate) &&
    storageCovers(keeper, candidate);
  if (!alike) return 'no';
  // A condition that a NOT NULL column is not null leaves no row out, and still a query has to say it for the index to be used.
  const [kept, dropped] = [keeper.stored_predicate, candidate.stored_predicate];
  if (kept === dropped || kept === null) return 'yes';
  return dropped === null ? 'no' : 'if predicate implied';
}

/** Whether somebody needs just this index, whatever others there are. */
function isNeededItself(index: IndexStructure): boolean {
  return index.constrained || index.replica_identity || index.clustered;
}

export interface RedundantIndex {
  index: IndexStructure;
  /** Does all that `index` does, and is not redundant itself. */
  keeper: IndexStructure;
  /** False where the redundant one is partial and the keeper has more rows. */
  sameRows: boolean;
}

/** What decides about partial indexes, which the catalog alone does not tell. */
export interface PredicateKnowledge {
  /** Answers to `questions`. */
  implications: ReadonlyMap<string, Implication>;
  /** Whether an index may be called redundant for the sake of one that has more rows. */
  mayHaveFewerRows(index: IndexStructure): boolean;
}

export interface ImplicationQuestion {
  premise: number;
  conclusion: number;
}

/** Key of the answer to an ImplicationQuestion. */
export function implicationKey({ premise, conclusion }: ImplicationQuestion): string {
  return `${premise} ${conclusion}`;
}

/** Compares the indexes of each table with each other. */
export class Redundancy {
  readonly #byOid = new Map<number, IndexStructure>();
  readonly #byTable = new Map<number, IndexStructure[]>();
  readonly #children = new Map<number, IndexStructure[]>();
  readonly #keepers = new Map<number, IndexStructure | null>();
  #knowledge: PredicateKnowledge = { implications: new Map(), mayHaveFewerRows: () => false };

  constructor(indexes: readonly IndexStructure[]) {
    for (const index of indexes) {
      this.#byOid.set(index.oid, index);
      push(this.#byTable, index.table_oid, index);
      if (index.parent !== null) push(this.#children, index.parent, index);
    }
  }

  /** What the server must be asked before `find`. */
  questions(): ImplicationQuestion[] {
    const asked: ImplicationQuestion[] = [];
    for (const siblings of this.#byTable.values()) {
      for (const candidate of siblings) {
        for (const keeper of siblings) {
          if (!isNeededItself(candidate) && coverage(keeper, candidate) === 'if predicate implied') {
            asked.push({ premise: candidate.oid, conclusion: keeper.oid });
          }
        }
      }
    }
    return asked;
  }

  /**
   * The redundant indexes, each with a keeper that is none. Of two that do the same, one stays: see `#isPreferred`.
   * Attached indexes are judged with the root of their tree.
   */
  find(knowledge: PredicateKnowledge): RedundantIndex[] {
    this.#knowledge = knowledge;
    this.#keepers.clear();
    const redundant: RedundantIndex[] = [];
    for (const index of this.#byOid.values()) {
      const keeper = this.#keeperOf(index);
      if (keeper) redundant.push({ index, keeper, sameRows: this.#haveSameRows(keeper, index) });
    }
    return redundant.filter(({ keeper }) => this.#stays(keeper));
  }

  #keeperOf(candidate: IndexStructure): IndexStructure | null {
    const known = this.#keepers.get(candidate.oid);
    if (known !== undefined) return known;
    // Until it is settled it stays: proofs of implication need not be transitive, so that a circle may lead here.
    this.#keepers.set(candidate.oid, null);
    let found: IndexStructure | null = null;
    if (this.#mayGo(candidate)) {
      for (const keeper of this.#byTable.get(candidate.table_oid) ?? []) {
        if (!this.#outdoes(keeper, candidate) || !this.#stays(keeper)) continue;
        if (found === null || this.#isCloser(candidate, keeper, found)) found = keeper;
      }
    }
    this.#keepers.set(candidate.oid, found);
    return found;
  }

  #stays(index: IndexStructure): boolean {
    if (index.parent === null) return this.#keeperOf(index) === null;
    const parent = this.#byOid.get(index.parent);
    return parent === undefined || this.#stays(parent);
  }

  #mayGo(index: IndexStructure): boolean {
    return index.parent === null && !this.#treeIsNeeded(index);
  }

  #treeIsNeeded(index: IndexStructure): boolean {
    return isNeededItself(index) || this.#childrenOf(index).some((child) => this.#treeIsNeeded(child));
  }

  #childrenOf(index: IndexStructure): readonly IndexStructure[] {
    return this.#children.get(index.oid) ?? [];
  }

  /** Whether `keeper` covers `candidate` and, where that holds both ways and either could go, is the one to keep. */
  #outdoes(keeper: IndexStructure, candidate: IndexStructure): boolean {
    if (!this.#covers(keeper, candidate)) return false;
    const eitherCouldGo = this.#mayGo(keeper) && this.#covers(candidate, keeper);
    return !eitherCouldGo || this.#isPreferred(keeper, candidate);
  }

  /** Attaching an index does not compare its sort options with the root's, so each partition's are looked at. */
  #covers(keeper: IndexStructure, candidate: IndexStructure): boolean {
    const verdict = coverage(keeper, candidate);
    if (verdict === 'no') return false;
    if (verdict === 'if predicate implied' && !this.#implies(candidate, keeper)) return false;
    const fewerRows = !this.#haveSameRows(keeper, candidate);
    if (fewerRows && (!this.#knowledge.mayHaveFewerRows(candidate) || this.#isForItsPredicate(candidate)))
      return false;
    const below = this.#childrenOf(keeper);
    return this.#childrenOf(candidate).every((child) =>
      below.some((other) => other.table_oid === child.table_oid && this.#covers(other, child)),
    );
  }

  /**
   * Whether a search by the key finds one row at most, also without the index: then it exists for the searches by its predicate, and in
   * its order, which none with more rows serves as well. One that is unique itself may be there for that.
   */
  #isForItsPredicate(candidate: IndexStructure): boolean {
    if (candidate.predicate === null || candidate.unique) return false;
    return (this.#byTable.get(candidate.table_oid) ?? []).some((other) => {
      if (!other.unique || other.key.length > candidate.key.length) return false;
      if (other.predicate !== null && !this.#implies(candidate, other)) return false;
      const first = new Set(candidate.key.slice(0, other.key.length).map(({ what }) => what));
      return other.key.every(({ what }) => first.has(what));
    });
  }

  /** Of a partitioned index: of all those attached to it. */
  #scansOf(index: IndexStructure): number {
    return this.#childrenOf(index).reduce((sum, child) => sum + this.#scansOf(child), index.scans);
  }

  /**
   * Of two that do the same: an extension's stays, then the one that is used clearly more, then the one with fewer sort options, then by
   * name. Not by oid: these follow the order of the dump after a restore.
   */
  #isPreferred(one: IndexStructure, other: IndexStructure): boolean {
    if ((one.extension === null) !== (other.extension === null)) return one.extension !== null;
    const more = magnitude(this.#scansOf(one)) - magnitude(this.#scansOf(other));
    const plainer = sortOptions(other) - sortOptions(one);
    return more === 0 && plainer === 0 ? one.index < other.index : (more || plainer) > 0;
  }

  #implies(premise: IndexStructure, conclusion: IndexStructure): boolean {
    const question = { premise: premise.oid, conclusion: conclusion.oid };
    return this.#knowledge.implications.get(implicationKey(question)) === true;
  }

  #haveSameRows(one: IndexStructure, other: IndexStructure): boolean {
    return one.predicate === other.predicate || (this.#implies(one, other) && this.#implies(other, one));
  }

  /** Which keeper to name: one with the same rows, then the shorter key, then fewer columns, then the one to prefer. */
  #isCloser(candidate: IndexStructure, one: IndexStructure, other: IndexStructure): boolean {
    const sameRows =
      Number(this.#haveSameRows(one, candidate)) - Number(this.#haveSameRows(other, candidate));
    const shorter = other.key.length - one.key.length;
    const fewer = other.included.length - one.included.length;
    return (sameRows || shorter || fewer || (this.#isPreferred(one, other) ? 1 : -1)) > 0;
  }
}

/** Tenfold is clearly more. Closer counts would change which of two is named from one run to the next. */
function magnitude(scans: number): number {
  return scans === 0 ? 0 : 1 + Math.floor(Math.log10(scans));
}

/** Descending counts more than nulls first. */
function sortOptions({ key }: IndexStructure): number {
  return key.reduce((sum, { sort }) => sum + 2 * (sort & 1) + (sort >> 1), 0);
}

function push<Key, Value>(lists: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
