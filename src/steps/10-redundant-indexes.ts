/**
 * Step 10: indexes that another index of the same table makes needless. Reported only: `remedy` drops the index, and
 * nothing does that by itself.
 */
import { implicationKey, Redundancy } from '../catalog/index-coverage.ts';
import type { ImplicationQuestion, RedundantIndex } from '../catalog/index-coverage.ts';
import { indexDetails } from '../catalog/index-facts.ts';
import type { IndexDetail } from '../catalog/index-facts.ts';
import { comparableIndexes, provenImplications } from '../catalog/index-structure.ts';
import type { IndexStructure } from '../catalog/index-structure.ts';
import { examinedAllBut, unexaminedClass } from '../core/coverage.ts';
import { attempt, FailureError } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const redundantIndexKind = 'index.redundant';

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

function redundantFinding(redundant: RedundantIndex, detailOf: (oid: number) => IndexDetail): Finding {
  const { index, keeper } = redundant;
  const difference = differenceOf(redundant);
  const detail = detailOf(index.oid);
  return {
    kind: redundantIndexKind,
    severity: difference === 'fewer_rows' ? 'info' : 'warning',
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
function* answersTo(questions: readonly ImplicationQuestion[]): Program<Map<string, boolean | null>> {
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

/** Indexes that might be redundant, had the server answered. */
function undecidedOf(
  indexes: readonly IndexStructure[],
  answers: ReadonlyMap<string, boolean | null>,
  questions: readonly ImplicationQuestion[],
  found: readonly RedundantIndex[],
): IndexStructure[] {
  const unanswered = new Set(
    questions
      .filter((question) => answers.get(implicationKey(question)) === null)
      .map(({ premise }) => premise),
  );
  for (const { index } of found) unanswered.delete(index.oid);
  return indexes.filter(({ oid }) => unanswered.has(oid));
}

export default defineStep({
  number: 10,
  name: 'redundant_indexes',
  title: 'Check for redundant indexes',
  feature: 'features.redundant_index_detection',
  kinds: [redundantIndexKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for redundant indexes.' },
    partial_indexes: {
      type: 'boolean',
      default: true,
      scoped: true,
      doc: 'Report also a partial index whose rows are all in a wider index with the same key. Off where such indexes are kept for their small size.',
    },
  },
  interval: () => 0,
  unexamined: { cleanup: { redundant_indexes_found: null } },

  *check({ configFor, unmuted }) {
    const indexes = yield* comparableIndexes();
    const redundancy = new Redundancy(indexes);
    const questions = redundancy.questions();
    const implications = yield* answersTo(questions);
    const found = redundancy.find({
      implications,
      mayHaveFewerRows: (index) => configFor(index).partial_indexes,
    });
    const undecided = undecidedOf(indexes, implications, questions, found);
    const detailOf = yield* indexDetails(found.flatMap(({ index, keeper }) => [index.oid, keeper.oid]));

    const cleanup: JsonObject = { redundant_indexes_found: found.length };
    if (undecided.length > 0) cleanup['redundant_indexes_undecided'] = undecided.map(({ quoted }) => quoted);
    const findings = found.map((redundant) => redundantFinding(redundant, detailOf));
    const loud = unmuted(findings);
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0 ? [] : [{ severity: 'info', message: `redundant indexes found: ${loud.length}` }],
      actions: [],
      examined: [redundantIndexKind],
      keepOpen: undecided.map(({ schema, table, index }) => ({
        kind: redundantIndexKind,
        schema,
        table,
        object: index,
      })),
      coverage: examinedAllBut(
        indexes.length,
        undecided.length,
        unexaminedClass(
          'partial indexes whose predicates could not be compared',
          'undecided',
          undecided.map(({ quoted }) => quoted),
        ),
      ),
    };
  },
});
