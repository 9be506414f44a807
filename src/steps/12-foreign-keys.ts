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
import { fewRows } from '../catalog/foreign-key-support.ts';
import { planKeys } from '../catalog/foreign-key-plan.ts';
import type { KeyPlan } from '../catalog/foreign-key-plan.ts';
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

/**
 * Pages read for want of the index since the counters began (8 MB): below it nobody has noticed. Too low warns of what costs
 * nothing, too high makes a notice of what costs something: it is reported either way.
 */
const pagesWorthWarning = 1000;

/** Deletes, changes of the key and joins that are known to have searched by the key. */
function searches({ key, joins }: Ranked): number {
  return key.parent_deletes + key.parent_updates * shareOfKeyUpdates + (joins ?? 0);
}

/** Pages that one of them reads: those of the table, or those of the rows that an index on some of the columns finds. */
function pagesPerSearch({ pages, searched_by }: UnservedForeignKey): number {
  return Math.max(1, Math.min(pages, searched_by?.rows ?? pages));
}

/** Pages read for want of the index, as far as is known; one search more, so that size ranks what nobody searched. */
function weight(ranked: Ranked): number {
  return pagesPerSearch(ranked.key) * (1 + searches(ranked));
}

/** Why an index could find nothing that reading the table does not; null where it may. */
function pointlessBecause({ distinct_values, null_share, rows }: UnservedForeignKey): string | null {
  if (null_share === 1) return 'one of its columns is null in every row that ANALYZE read';
  if (distinct_values !== null && distinct_values <= 1 && (rows ?? 0) > 1)
    return 'every row that ANALYZE read has the same value';
  return null;
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
  const { searched_by: part, quoted_referenced: parent, quoted_table: table } = key;
  if (part === null) return `A delete in ${parent} reads all of ${table}.`;
  const rows =
    part.rows === null
      ? 'an unknown number of rows'
      : part.rows === 1
        ? 'about one row'
        : `about ${part.rows} rows`;
  return `A delete in ${parent} reads ${rows} through index ${part.index}, which covers ${part.columns.length} of its ${key.columns.length} columns.`;
}

/** A search by the key that costs enough, or that happened often enough. */
function isWorthWarning(ranked: Ranked, minimumRows: number): boolean {
  const { key } = ranked;
  if (!key.enforced || key.rows === null || key.rows < minimumRows) return false;
  if (pointlessBecause(key) !== null) return false;
  if (findsFewRows(key)) return false;
  return pagesPerSearch(key) * searches(ranked) >= pagesWorthWarning;
}

function findsFewRows({ searched_by }: UnservedForeignKey): boolean {
  return searched_by?.rows != null && searched_by.rows <= fewRows;
}

/** Why no index is suggested: one on all columns beside one that finds few rows would only cost, and step 6 would not keep it. */
function needlessBecause(key: UnservedForeignKey): string | null {
  const pointless = pointlessBecause(key);
  if (pointless !== null || key.searched_by === null || !findsFewRows(key)) return pointless;
  return `index ${key.searched_by.index} finds few enough rows`;
}

function remedyOf(key: UnservedForeignKey, plan: KeyPlan | undefined): string | null {
  if (plan === undefined || 'servedBy' in plan) return null;
  if (key.partitioned) return key.remedy;
  return `create index concurrently on ${key.quoted_table}${key.method} (${plan.columns.join(', ')});`;
}

function noRemedyBecause(key: UnservedForeignKey, plan: KeyPlan | undefined): string {
  if (plan !== undefined && 'servedBy' in plan)
    return `the index for the key ${plan.servedBy.quoted_constraint} of the same table serves this one as well`;
  return key.method === ''
    ? 'the columns have another type than the referenced ones and are cast for each comparison: no index on them serves the key before the types are equal'
    : 'no operator class of GiST has the operators of the key: create extension btree_gist';
}

function findingOf(ranked: Ranked, minimumRows: number, plan: KeyPlan | undefined): Finding {
  const { key, joins, cost: writeCost } = ranked;
  const heldBack = heldBackBecause(ranked);
  const pointless = pointlessBecause(key);
  const needless = needlessBecause(key);
  const remedy = needless === null ? remedyOf(key, plan) : null;
  const where =
    key.partitioned && key.partitions.length > 0 ? ` in ${key.partitions.length} of its partitions` : '';
  const lacks = key.searched_by === null ? 'has no index' : 'has no index on all its columns';
  return {
    kind: unindexedForeignKeyKind,
    severity: isWorthWarning(ranked, minimumRows) ? 'warning' : 'info',
    schema: key.schema,
    table: key.table,
    object: key.constraint,
    summary: `Foreign key ${key.quoted_constraint} of ${key.quoted_table} ${lacks}${where}. ${cost(key)}${
      pointless === null ? '' : ` An index would not help: ${pointless}.`
    }`,
    detail: {
      columns: key.columns,
      referenced_schema: key.referenced_schema,
      referenced_table: key.referenced_table,
      referenced_columns: key.referenced_columns,
      rows: key.rows,
      pages: key.pages,
      pages_per_search: pagesPerSearch(key),
      parent_deletes: key.parent_deletes,
      parent_updates: key.parent_updates,
      joins,
      write_cost: writeCost,
      ...(key.searched_by !== null && { searched_by: key.searched_by }),
      ...(heldBack !== null && { held_back_because: heldBack }),
      validated: key.validated,
      enforced: key.enforced,
      ...(key.partitioned && { partitions_without_index: key.partitions, index_on: indexOn(key) }),
      ...(key.extension !== null && { extension: key.extension }),
      ...(remedy === null && { no_remedy_because: needless ?? noRemedyBecause(key, plan) }),
    },
    remedy,
  };
}

/** What follows the name of the table where the worker makes the index of a partitioned one. */
function indexOn({ method, index_columns }: UnservedForeignKey): string {
  return `${method} (${index_columns.join(', ')})`.trimStart();
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

  *check({ configFor, unmuted, now }) {
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
    const finding = (one: Ranked, plan: KeyPlan | undefined): Finding =>
      findingOf(one, configFor(one.key).minimum_rows, plan);
    // The index for a muted key is not built: no other key may rely on it, nor on one for a key where an index finds nothing.
    const first = new Map(all.map((one) => [one.key, finding(one, undefined)]));
    const loud = new Set(unmuted([...first.values()]));
    const wanting = keys.filter((key) => needlessBecause(key) === null);
    const isLoud = (key: UnservedForeignKey): boolean => {
      const found = first.get(key);
      return found !== undefined && loud.has(found);
    };
    const plans = new Map([
      ...planKeys(wanting.filter(isLoud)),
      ...planKeys(wanting.filter((key) => !isLoud(key))),
    ]);
    const findings = all.map((one) => finding(one, plans.get(one.key)));
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
