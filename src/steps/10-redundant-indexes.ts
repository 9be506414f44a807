/**
 * Step 10: indexes that another index of the same table makes needless. Reported only: `remedy` drops the index, and
 * nothing does that by itself.
 */
import { implicationKey, Redundancy } from '../catalog/index-coverage.ts';
import type { ImplicationQuestion, RedundantIndex } from '../catalog/index-coverage.ts';
import { byGain, entriesPerDay, isWorthIt, minSizeSetting } from '../catalog/index-gain.ts';
import { indexDetails } from '../catalog/index-facts.ts';
import type { IndexDetail } from '../catalog/index-facts.ts';
import { comparableIndexes, provenImplications } from '../catalog/index-structure.ts';
import type { Implication, IndexStructure } from '../catalog/index-structure.ts';
import { droppedBefore, openDrops, superseded } from '../catalog/open-drops.ts';
import { examinedAllBut, unexaminedClass } from '../core/coverage.ts';
import { attempt, FailureError } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const redundantIndexKind = 'index.redundant';

const redundantIndexesStep = 10;

/**
 * What the keeper has over the redundant index. `fewer_rows`: the redundant one is partial and the keeper has more
 * rows, so that it serves the same searches but is the larger one.
 */
type Difference = 'none' | 'more_columns' | 'fewer_rows';

function differenceOf({ index, keeper, sameRows }: RedundantIndex): Difference {
  if (!sameRows) return 'fewer_rows';
  const same = index.key.length === keeper.key.length && index.included.length === keeper.included.length;
  return same ? 'none' : 'more_columns';
}

function summaryOf({ index, keeper }: RedundantIndex, difference: Difference): string {
  const head = `Index ${index.quoted} on ${index.quoted_table}`;
  switch (difference) {
    case 'none':
      return `${head} does the same as ${keeper.quoted}.`;
    case 'more_columns':
      return `${head} does nothing that ${keeper.quoted} does not do as well.`;
    case 'fewer_rows':
      return `${head} is partial, and ${keeper.quoted} serves the same searches; keep it where its smaller size matters.`;
  }
}

interface Known {
  detailOf(oid: number): IndexDetail;
  /** Entries a day that writers add to an index of the table; null where that is not known. */
  entriesOf(table: number): number | null;
  minSizeMb: number;
}

function redundantFinding(redundant: RedundantIndex, { detailOf, entriesOf, minSizeMb }: Known): Finding {
  const { index, keeper } = redundant;
  const difference = differenceOf(redundant);
  const detail = detailOf(index.oid);
  const entries = entriesOf(index.table_oid);
  const worthIt = isWorthIt(detail.size_bytes, entries, minSizeMb);
  return {
    kind: redundantIndexKind,
    severity: difference !== 'fewer_rows' && worthIt ? 'warning' : 'info',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: summaryOf(redundant, difference),
    detail: {
      covered_by: keeper.index,
      difference,
      definition: detail.definition,
      covered_by_definition: detailOf(keeper.oid).definition,
      size_bytes: detail.size_bytes,
      ...(entries !== null && { entries_per_day: entries }),
      index_oid: index.oid,
      covered_by_oid: keeper.oid,
      partitioned: index.partitioned,
      ...(index.extension !== null && { extension: index.extension }),
    },
    // A partitioned index can't be dropped concurrently.
    remedy: index.partitioned ? `drop index ${index.quoted};` : `drop index concurrently ${index.quoted};`,
  };
}

/** The server's answers; null for a question that it could not answer. */
function* answersTo(questions: readonly ImplicationQuestion[]): Program<Map<string, Implication>> {
  const outcome = yield* attempt(() => provenImplications(questions));
  if (!outcome.ok && unexaminedReason(outcome.failure.sqlstate) === null) {
    throw new FailureError(outcome.failure);
  }
  return new Map(
    questions.map((question, place) => [
      implicationKey(question),
      outcome.ok ? (outcome.value[place] ?? null) : null,
    ]),
  );
}

/** Indexes that might be redundant, had the server answered otherwise than so. */
function undecidedOf(
  answer: Implication,
  indexes: readonly IndexStructure[],
  answers: ReadonlyMap<string, Implication>,
  questions: readonly ImplicationQuestion[],
  found: readonly RedundantIndex[],
): IndexStructure[] {
  const unanswered = new Set(
    questions
      .filter((question) => answers.get(implicationKey(question)) === answer)
      .map(({ premise }) => premise),
  );
  for (const { index } of found) unanswered.delete(index.oid);
  return indexes.filter(({ oid }) => unanswered.has(oid));
}

export default defineStep({
  number: redundantIndexesStep,
  name: 'redundant_indexes',
  title: 'Check for redundant indexes',
  feature: 'features.redundant_index_detection',
  kinds: [redundantIndexKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for redundant indexes.' },
    min_size_mb: {
      ...minSizeSetting,
      doc: 'A redundant index smaller than this is of severity info, unless its table takes very many writes: there is little to win.',
    },
    partial_indexes: {
      type: 'boolean',
      default: true,
      scoped: true,
      doc: 'Report also a partial index whose rows are all in a wider index with the same key. Off where such indexes are kept for their small size.',
    },
  },
  interval: () => 0,
  unexamined: { cleanup: { redundant_indexes_found: null } },

  *check({ configFor, unmuted, now }) {
    const drops = yield* openDrops();
    // What another finding drops is neither dropped once more nor kept in place of another.
    const dropped = droppedBefore(redundantIndexesStep, drops);
    const indexes = (yield* comparableIndexes()).filter(({ oid }) => !dropped.has(oid));
    const redundancy = new Redundancy(indexes);
    const questions = redundancy.questions();
    const implications = yield* answersTo(questions);
    const found = redundancy.find({
      implications,
      mayHaveFewerRows: (index) => configFor(index).partial_indexes,
    });
    const locked = undecidedOf(null, indexes, implications, questions, found);
    const notSafe = undecidedOf('not_safe', indexes, implications, questions, found);
    const undecided = [...new Set([...locked, ...notSafe])];
    const detailOf = yield* indexDetails(found.flatMap(({ index, keeper }) => [index.oid, keeper.oid]));

    const cleanup: JsonObject = { redundant_indexes_found: found.length };
    if (undecided.length > 0) cleanup['redundant_indexes_undecided'] = undecided.map(({ quoted }) => quoted);
    const entriesOf = yield* entriesPerDay(now);
    const findings = byGain(found, ({ index }) => ({
      size: detailOf(index.oid).size_bytes,
      name: index.quoted,
    })).map((redundant) =>
      redundantFinding(redundant, { detailOf, entriesOf, minSizeMb: configFor(redundant.index).min_size_mb }),
    );
    const loud = unmuted(findings);
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0 ? [] : [{ severity: 'info', message: `redundant indexes found: ${loud.length}` }],
      actions: [],
      examined: [redundantIndexKind],
      superseded: superseded(
        redundantIndexesStep,
        drops,
        new Set(found.flatMap(({ index, keeper }) => [index.oid, keeper.oid])),
      ),
      keepOpen: undecided.map(({ schema, table, index }) => ({
        kind: redundantIndexKind,
        schema,
        table,
        object: index,
      })),
      coverage: examinedAllBut(indexes.length, undecided.length, [
        ...unexaminedClass(
          'partial indexes whose predicates could not be compared',
          'undecided',
          locked.map(({ quoted }) => quoted),
        ),
        ...unexaminedClass(
          "partial indexes with code in a predicate that is not the server's own",
          'not_safe',
          notSafe.map(({ quoted }) => quoted),
        ),
      ]),
    };
  },
});
