/**
 * Step 3: indexes that are invalid and that nobody is building. They serve no query, but cost every write. Leftovers
 * of REINDEX CONCURRENTLY are step 2's, indexes of constraints step 1's, and partitioned indexes with their attached
 * children, judged at the root of the tree, step 2's.
 */
import {
  indexCount,
  invalidIndexes,
  undecidedCoverage,
  undecidedFindings,
  undecidedNames,
} from '../catalog/invalid-indexes.ts';
import type { InvalidIndex } from '../catalog/invalid-indexes.ts';
import { supersededBy } from '../catalog/open-drops.ts';
import { examinedAllBut } from '../core/coverage.ts';
import { leftoverNameOf } from './02-orphaned-indexes.ts';
import { countActionsOf, defineStep } from './step.ts';
import type { Action, Finding, JsonObject } from './step.ts';

export const invalidIndexKind = 'index.invalid';

function isOurs(index: InvalidIndex): boolean {
  return !index.partitioned && !index.attached && index.constraint === null && leftoverNameOf(index) === null;
}

/** Why an invalid index must not be dropped by us, or null. */
function keptBecause(index: InvalidIndex): string | null {
  if (index.extension !== null) return `it belongs to extension ${index.extension}`;
  if (index.replica_identity) return 'it is the replica identity of its table: rebuild it instead';
  if (index.clustered) return 'its table is clustered on it: rebuild it instead';
  if (index.definition === null) return 'its definition could not be read, so it could not be brought back';
  return null;
}

function remedyFor(index: InvalidIndex): string {
  const rebuild = index.replica_identity || index.clustered;
  return rebuild ? `reindex index concurrently ${index.quoted};` : `drop index concurrently ${index.quoted};`;
}

/** A drop that got past its first phase leaves the index not live; before that the catalog does not tell the two. */
function reasonOf(index: InvalidIndex): string {
  return index.live ? 'unfinished_build_or_drop' : 'unfinished_drop';
}

function invalidFinding(index: InvalidIndex): Finding {
  const kept = keptBecause(index);
  return {
    kind: invalidIndexKind,
    severity: 'warning',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: index.live
      ? `Index ${index.quoted} on ${index.quoted_table} is invalid: a concurrent build or drop of it did not finish. No query uses it, every write pays for it.`
      : `Index ${index.quoted} on ${index.quoted_table} is invalid: a DROP INDEX CONCURRENTLY of it did not finish.`,
    detail: {
      reason: reasonOf(index),
      definition: index.definition,
      size_bytes: index.size_bytes,
      index_oid: index.oid,
      ...(kept && { kept_because: kept }),
    },
    remedy: remedyFor(index),
  };
}

function dropAction(index: InvalidIndex, finding: Finding): Action {
  return {
    kind: 'drop_index',
    finding,
    target: { schema: index.schema, table: index.table, index: index.index, oid: index.oid },
    reason: reasonOf(index),
    evidence: { definition: index.definition, size_bytes: index.size_bytes },
  };
}

export default defineStep({
  number: 3,
  name: 'invalid_indexes',
  title: 'Clean up invalid indexes',
  feature: 'features.invalid_index_cleanup',
  kinds: [invalidIndexKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for invalid indexes.' },
    auto_cleanup: {
      type: 'boolean',
      default: true,
      scoped: true,
      doc: 'Queue the removal of invalid indexes that nobody is building. Off: report only.',
    },
  },
  interval: () => 0,
  actionCounts: { invalid_indexes: 'drop_index' },
  unexamined: { cleanup: { invalid_indexes: null, invalid_indexes_found: null } },

  *check({ configFor, unmuted, now }) {
    const { settled, undecided } = yield* invalidIndexes();
    const found = settled.filter(isOurs).map((index) => ({ index, finding: invalidFinding(index) }));
    const actions = found
      .filter(({ index }) => keptBecause(index) === null && configFor(index).auto_cleanup)
      .map(({ index, finding }) => dropAction(index, finding));

    const cleanup: JsonObject = { invalid_indexes_found: found.length };
    if (undecided.length > 0) cleanup['invalid_indexes_undecided'] = undecidedNames(undecided);
    const findings = found.map(({ finding }) => finding);
    const loud = unmuted(findings);
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0
          ? []
          : [
              {
                severity: 'warning',
                message: `invalid indexes found: ${loud.length}, to be removed: ${countActionsOf(loud, actions)}`,
              },
            ],
      actions,
      examined: [invalidIndexKind],
      superseded: yield* supersededBy(
        3,
        found.map(({ index }) => index.oid),
      ),
      keepOpen: undecidedFindings(invalidIndexKind, undecided),
      coverage: examinedAllBut(
        yield* indexCount(),
        undecided.length,
        yield* undecidedCoverage(now, undecided),
      ),
    };
  },
});
