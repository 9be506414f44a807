/**
 * Step 12: foreign keys that no index serves. Each delete or key change in the referenced table reads the whole
 * referencing table then, while it holds locks, and joins along the key have no index to use. Suggestions only: an
 * index costs every write, so a person decides.
 */
import { writeCosts } from '../catalog/index-write-cost.ts';
import type { WriteCost } from '../catalog/index-write-cost.ts';
import { seenStatements, shapesOf } from '../catalog/statements.ts';
import { isColumnOf, usesOf } from '../catalog/statement-shape.ts';
import type { ColumnUse, RelationUse, StatementShape } from '../catalog/statement-shape.ts';
import { foreignKeyCount, unservedForeignKeys } from '../catalog/unserved-foreign-keys.ts';
import type { UnservedForeignKey } from '../catalog/unserved-foreign-keys.ts';
import { examinedAllBut } from '../core/coverage.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const unindexedForeignKeyKind = 'fk.unindexed';

/** As the seed has it: the result names this many, maint.findings has them all. */
const listedSuggestions = 5;

/** Joins are looked for along this many keys, those that would rank first without them: it bounds the search. */
const keysWithJoinsCounted = 200;

/**
 * An update of the referenced table searches the referencing one only where it changes the key, which few do and no
 * counter tells. Too high ranks tables that are updated all the time above those that are deleted from; either way
 * only the order of suggestions changes.
 */
const shareOfKeyUpdates = 0.01;

interface Ranked {
  key: UnservedForeignKey;
  /** Calls of joins along the key; null where not known. */
  joins: number | null;
  /** What an index would cost the writers; null where nothing is known of them. */
  cost: WriteCost | null;
}

/** Why an index would only cost: its table is written to, and nobody is known to have searched it. Null where it may help. */
function heldBackBecause({ key, joins, cost }: Ranked): string | null {
  if (cost === null || cost.new_entries === 0 || joins !== 0) return null;
  if (key.parent_deletes > 0 || key.parent_updates > 0) return null;
  return `${cost.new_entries} rows were written in ${cost.window_hours} hours, and no delete, update or join has searched by the key so far`;
}

/** Pages read for want of the index since the counters began, as far as it is known. */
function weight({ key, joins }: Ranked): number {
  const searches = 1 + key.parent_deletes + key.parent_updates * shareOfKeyUpdates + (joins ?? 0);
  return Math.max(key.pages, 1) * searches;
}

function ranked(all: readonly Ranked[]): Ranked[] {
  const weighed = all.map((one, position) => ({ one, position, weight: weight(one) }));
  const held = ({ one }: { one: Ranked }): number => Number(heldBackBecause(one) !== null);
  weighed.sort((a, b) => held(a) - held(b) || b.weight - a.weight || a.position - b.position);
  return weighed.map(({ one }) => one);
}

function joinsAlong(key: UnservedForeignKey, shape: StatementShape): boolean {
  const nameIsUnique = key.names_are_unique;
  const children = usesOf(shape, { schema: key.schema, name: key.table, nameIsUnique });
  const parents = usesOf(shape, { schema: key.referenced_schema, name: key.referenced_table, nameIsUnique });
  const joined = (
    child: RelationUse,
    parent: RelationUse,
    column: string,
    referenced: string | undefined,
  ): boolean =>
    shape.comparisons.some(({ left, right }) => {
      const is = (one: ColumnUse, other: ColumnUse): boolean =>
        one.column === column &&
        other.column === referenced &&
        isColumnOf(shape, one, child) &&
        isColumnOf(shape, other, parent);
      return right !== null && (is(left, right) || is(right, left));
    });
  return children.some((child) =>
    parents.some((parent) =>
      key.columns.every((column, position) =>
        joined(child, parent, column, key.referenced_columns[position]),
      ),
    ),
  );
}

function joinCalls(
  key: UnservedForeignKey,
  statements: readonly { calls: number; shapes: StatementShape[] }[],
): number {
  return statements
    .filter(({ shapes }) => shapes.some((shape) => joinsAlong(key, shape)))
    .reduce((calls, statement) => calls + statement.calls, 0);
}

function cost(key: UnservedForeignKey): string {
  if (!key.enforced) return 'It is not enforced, so only joins along it would use one.';
  return `A delete in ${key.quoted_referenced} reads all of ${key.quoted_table}.`;
}

function findingOf(ranked: Ranked, minimumRows: number): Finding {
  const { key, joins, cost: writeCost } = ranked;
  const heldBack = heldBackBecause(ranked);
  const small = key.rows === null || key.rows < minimumRows;
  const where =
    key.partitioned && key.partitions.length > 0 ? ` in ${key.partitions.length} of its partitions` : '';
  return {
    kind: unindexedForeignKeyKind,
    severity: small || !key.enforced || heldBack !== null ? 'info' : 'warning',
    schema: key.schema,
    table: key.table,
    object: key.constraint,
    summary: `Foreign key ${key.quoted_constraint} of ${key.quoted_table} has no index${where}. ${cost(key)}`,
    detail: {
      columns: key.columns,
      referenced_schema: key.referenced_schema,
      referenced_table: key.referenced_table,
      referenced_columns: key.referenced_columns,
      rows: key.rows,
      pages: key.pages,
      parent_deletes: key.parent_deletes,
      parent_updates: key.parent_updates,
      joins,
      write_cost: writeCost,
      ...(heldBack !== null && { held_back_because: heldBack }),
      validated: key.validated,
      enforced: key.enforced,
      ...(key.partitioned && { partitions_without_index: key.partitions }),
      ...(key.extension !== null && { extension: key.extension }),
      ...(key.remedy === null && {
        no_remedy_because:
          'the columns have another type than the referenced ones and are cast for each comparison: no index on them serves the key before the types are equal',
      }),
    },
    remedy: key.remedy,
  };
}

function suggestionOf({ summary, remedy, detail }: Finding): JsonObject {
  return { summary, statement: remedy, rows: detail['rows'] ?? null, joins: detail['joins'] ?? null };
}

export default defineStep({
  number: 12,
  name: 'foreign_keys',
  title: 'Check for foreign keys without indexes',
  feature: 'features.foreign_key_suggestions',
  kinds: [unindexedForeignKeyKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for foreign keys that no index serves.' },
    interval: {
      type: 'integer',
      unit: 'seconds',
      default: 21_600,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two runs of this check; 0 for every run.',
    },
    minimum_rows: {
      type: 'integer',
      // Below this a scan of the table costs about as much as a search by index. Too low warns of what costs nothing,
      // too high makes a notice (info) of what costs something: it is reported either way.
      default: 1000,
      minimum: 0,
      maximum: 1_000_000_000,
      scoped: true,
      doc: 'A referencing table with fewer rows gives a finding of severity info instead of warning.',
    },
  },
  interval: (config) => config.interval,
  unexamined: { cleanup: { foreign_key_suggestions: { count: null, suggestions: null } } },

  *check({ configFor, now }) {
    const keys = yield* unservedForeignKeys();
    const bySize = ranked(keys.map((key) => ({ key, joins: null, cost: null }))).map(({ key }) => key);
    const counted = new Set(bySize.slice(0, keysWithJoinsCounted));
    const seen = yield* seenStatements([...counted].map(({ table }) => table));
    const statements = seen.statements.map((one) => ({ calls: one.calls, shapes: shapesOf(one) }));
    const writeCost = yield* writeCosts(now, [...new Set([...counted].map(({ oid }) => oid))]);
    // What some roles ran and we may not read could be such a join: none seen means unknown then.
    const joins = (key: UnservedForeignKey): number | null => {
      if (!counted.has(key)) return null;
      const calls = joinCalls(key, statements);
      return calls === 0 && seen.unexamined ? null : calls;
    };
    const all = ranked(
      keys.map((key) => ({ key, joins: joins(key), cost: writeCost(key.oid, key.columns) })),
    );
    const examined = yield* foreignKeyCount();
    const findings = all.map((one) => findingOf(one, configFor(one.key).minimum_rows));
    return {
      result: {
        cleanup: {
          foreign_key_suggestions: {
            count: findings.length,
            suggestions: findings.slice(0, listedSuggestions).map(suggestionOf),
            foreign_keys_examined: examined,
            joins: seen.unexamined ? { status: 'unknown', ...seen.unexamined } : { status: 'counted' },
          },
        },
      },
      findings,
      alerts: [],
      actions: [],
      examined: [unindexedForeignKeyKind],
      coverage: examinedAllBut(
        examined,
        0,
        seen.unexamined === null
          ? []
          : [{ what: 'joins over foreign keys without an index', ...seen.unexamined }],
      ),
    };
  },
});
