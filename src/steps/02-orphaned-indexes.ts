/**
 * Step 2: indexes nothing owns any more. PostgreSQL drops an index with its table or column, so what there is are
 * leftovers of interrupted rebuilds (REINDEX CONCURRENTLY, pg_repack), partitioned indexes that were never completed
 * and rows of a damaged catalog. Only leftovers are ever removed, and only while what they were made from is valid.
 */
import {
  indexCount,
  invalidIndexes,
  undecidedCoverage,
  undecidedFindings,
  undecidedNames,
  workInProgress,
} from '../catalog/invalid-indexes.ts';
import type { InvalidIndex } from '../catalog/invalid-indexes.ts';
import { supersededBy } from '../catalog/open-drops.ts';
import { owningExtension } from '../catalog/relations.ts';
import { isBaseOf, parseLeftoverName } from '../catalog/leftover-names.ts';
import { incompletePartitionedIndexes } from '../catalog/partitioned-indexes.ts';
import type { IncompletePartitionedIndex } from '../catalog/partitioned-indexes.ts';
import { examinedAllBut, unexaminedClass } from '../core/coverage.ts';
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { countActionsOf, defineStep } from './step.ts';
import type { Action, Finding, JsonObject } from './step.ts';

export const orphanedIndexKind = 'index.orphaned';

/** Another index of the same table, compared with a possible leftover. */
interface Sibling {
  oid: number;
  name: string;
  quoted: string;
  valid: boolean;
}

/** What is said of a leftover. */
type LeftoverIndex = Pick<
  InvalidIndex,
  | 'oid'
  | 'table_oid'
  | 'schema'
  | 'table'
  | 'index'
  | 'quoted'
  | 'quoted_table'
  | 'definition'
  | 'size_bytes'
  | 'extension'
>;

interface RepackCandidate extends LeftoverIndex {
  original_oid: number;
  /** pg_repack is at work, on which index nobody can tell. */
  repacking: boolean;
}

interface DanglingRow {
  index_oid: number;
  table_oid: number;
  missing: string;
}

/** Indexes of the same table with an equal definition but for the name. */
const siblingsQuery = `
  select pg_catalog.jsonb_build_object('oid', o.indexrelid::int8, 'name', oc.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, oc.relname), 'valid', o.indisvalid) as row
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
  join pg_catalog.pg_index as o on o.indrelid = x.indrelid and o.indexrelid <> x.indexrelid
  join pg_catalog.pg_class as oc on oc.oid = o.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = oc.relnamespace
  where x.indexrelid = $1::oid
    and oc.relam = xc.relam
    and o.indisunique = x.indisunique
    and o.indnkeyatts = x.indnkeyatts
    and o.indkey::text = x.indkey::text
    and o.indclass::text = x.indclass::text
    and o.indcollation::text = x.indcollation::text
    and o.indoption::text = x.indoption::text
    and pg_catalog.pg_get_expr(o.indexprs, o.indrelid)
      is not distinct from pg_catalog.pg_get_expr(x.indexprs, x.indrelid)
    and pg_catalog.pg_get_expr(o.indpred, o.indrelid)
      is not distinct from pg_catalog.pg_get_expr(x.indpred, x.indrelid)
  order by oc.relname`;

/**
 * pg_repack builds index_<oid of the original> beside the original. It holds an advisory lock of its own class while
 * it works on a table (REPACK_LOCK_PREFIX in its source), so no leftover is told from work in progress while any such
 * lock is held.
 */
const repackCandidatesQuery = `
  select pg_catalog.jsonb_build_object('oid', x.indexrelid::int8, 'table_oid', x.indrelid::int8,
      'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, t.relname),
      'definition', pg_catalog.pg_get_indexdef(x.indexrelid),
      'size_bytes', pg_catalog.pg_relation_size(x.indexrelid),
      'extension', ${owningExtension('c.oid', 't.oid')},
      'original_oid', o.indexrelid::int8,
      'repacking', exists (
        select from pg_catalog.pg_locks as l
        where l.locktype = 'advisory' and l.classid = 16185446 and l.objsubid = 2)) as row
  from pg_catalog.pg_class as c
  join pg_catalog.pg_index as x on x.indexrelid = c.oid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_index as o
    on o.indrelid = x.indrelid and c.relname::text = 'index_' || o.indexrelid::text
  where c.relname ~ '^index_[0-9]+$'
    and c.relkind = 'i'
    and c.relpersistence <> 't'
    and not exists (select from pg_catalog.pg_constraint as k where k.conindid = x.indexrelid)
  order by n.nspname, c.relname`;

const danglingQuery = `
  select pg_catalog.jsonb_build_object('index_oid', x.indexrelid::int8, 'table_oid', x.indrelid::int8,
      'missing', case when c.oid is null then 'pg_class row of the index' else 'pg_class row of the table' end) as row
  from pg_catalog.pg_index as x
  left join pg_catalog.pg_class as c on c.oid = x.indexrelid
  left join pg_catalog.pg_class as t on t.oid = x.indrelid
  where c.oid is null or t.oid is null
  order by x.indexrelid`;

/** Our own records of indexes that are gone: the one thing this step tidies itself, as it lies in schema maint. */
const forgetVanishedQuery = `
  with forgotten as (
    delete from maint.index_check as k
    where not exists (select from pg_catalog.pg_class as c where c.oid = k.index_oid)
    returning k.index_oid
  ), expired as (
    update maint.action as a set status = 'expired', finished_at = pg_catalog.clock_timestamp(),
      outcome = 'the index vanished before the action began'
    where a.status = 'queued' and a.intent is null and a.target ? 'oid'
      and not exists (select from pg_catalog.pg_class as c where c.oid = (a.target ->> 'oid')::oid)
    returning a.action_id
  )
  select pg_catalog.to_jsonb((select pg_catalog.count(*) from forgotten) + (select pg_catalog.count(*) from expired))
    as row
  order by 1`;

interface Leftover {
  index: LeftoverIndex;
  reason: 'reindex_ccnew' | 'reindex_ccold' | 'pg_repack';
  original: Sibling | null;
}

const originDescription = {
  reindex_ccnew: 'was left behind by an interrupted REINDEX CONCURRENTLY before it replaced the index',
  reindex_ccold: 'was left behind by an interrupted REINDEX CONCURRENTLY after it was replaced',
  pg_repack: 'was left behind by an interrupted pg_repack',
} as const;

/** Why a leftover must not be dropped by us, or null. */
function keptBecause({ index, original }: Leftover): string | null {
  if (index.extension !== null) return `it belongs to extension ${index.extension}`;
  if (!original) return 'no index with the same definition was found that it was made from or replaced by';
  if (!original.valid) return `${original.quoted}, which should serve in its place, is not valid`;
  if (index.definition === null) return 'its definition could not be read, so it could not be brought back';
  return null;
}

function leftoverFinding(leftover: Leftover): Finding {
  const { index, reason, original } = leftover;
  const kept = keptBecause(leftover);
  return {
    kind: orphanedIndexKind,
    severity: 'warning',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: `Index ${index.quoted} on ${index.quoted_table} ${originDescription[reason]}.`,
    detail: {
      reason,
      definition: index.definition,
      size_bytes: index.size_bytes,
      index_oid: index.oid,
      original: original?.quoted ?? null,
      original_oid: original?.oid ?? null,
      ...(kept && { kept_because: kept }),
    },
    remedy: `drop index concurrently ${index.quoted};`,
  };
}

function dropAction(leftover: Leftover, finding: Finding): Action {
  const { index, reason, original } = leftover;
  return {
    kind: 'drop_index',
    finding,
    target: { schema: index.schema, table: index.table, index: index.index, oid: index.oid },
    reason,
    evidence: {
      definition: index.definition,
      size_bytes: index.size_bytes,
      original: original?.quoted ?? null,
      original_oid: original?.oid ?? null,
    },
  };
}

function whyIncomplete(index: IncompletePartitionedIndex): string {
  const { missing_partitions: missing, invalid_children: invalid, foreign_partitions: foreign } = index;
  const [first] = foreign;
  if (first !== undefined)
    return index.unique
      ? `is invalid and cannot become valid: partition ${first} is a foreign table, which cannot have a unique index`
      : `is invalid: partition ${first} is a foreign table, which cannot have an index. An index created without ONLY is valid; its build blocks writes to the table`;
  if (missing.length > 0)
    return `was never completed: it has no index attached for ${missing.length} of its partitions`;
  return invalid.length > 0
    ? `is invalid: it has ${invalid.length} invalid indexes among its partitions`
    : 'is invalid although every partition has a valid index: the server has not checked it since the last one was repaired';
}

function incompleteFinding(index: IncompletePartitionedIndex): Finding {
  return {
    kind: orphanedIndexKind,
    severity: 'info',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: `Partitioned index ${index.quoted} ${whyIncomplete(index)}.`,
    detail: {
      reason: 'partitioned_incomplete',
      definition: index.definition,
      missing_partitions: index.missing_partitions,
      invalid_children: index.invalid_children,
      ...(index.foreign_partitions.length > 0 && { foreign_partitions: index.foreign_partitions }),
    },
    remedy: index.remedy,
  };
}

function danglingFinding({ index_oid, table_oid, missing }: DanglingRow): Finding {
  return {
    kind: orphanedIndexKind,
    severity: 'critical',
    schema: null,
    table: null,
    object: null,
    discriminator: String(index_oid),
    summary: `The catalog is damaged: index ${index_oid} of table ${table_oid} has no ${missing}.`,
    detail: { reason: 'dangling_catalog_row', definition: null, index_oid, table_oid, missing },
    remedy: null,
  };
}

/** The invalid indexes whose name is one that REINDEX CONCURRENTLY gives, and what they were made from. */
function* reindexLeftovers(invalid: readonly InvalidIndex[]): Program<Leftover[]> {
  const leftovers: Leftover[] = [];
  for (const index of invalid) {
    const name = leftoverNameOf(index);
    if (!name) continue;
    const siblings = yield* query<Sibling>(siblingsQuery, [index.oid]);
    const originals = siblings.filter(
      (sibling) => !parseLeftoverName(sibling.name) && isBaseOf(name.base, index.name_bytes, sibling.name),
    );
    const original = originals.find(({ valid }) => valid) ?? originals[0] ?? null;
    leftovers.push({ index, reason: `reindex_${name.label}`, original });
  }
  return leftovers;
}

/** Null for every index that is step 3's. */
export function leftoverNameOf(index: InvalidIndex): ReturnType<typeof parseLeftoverName> {
  return index.partitioned || index.attached || index.constraint !== null
    ? null
    : parseLeftoverName(index.index);
}

function* repackLeftovers(): Program<{ leftovers: Leftover[]; busy: RepackCandidate[] }> {
  const candidates = yield* query<RepackCandidate>(repackCandidatesQuery);
  if (candidates.length === 0) return { leftovers: [], busy: [] };
  const working = yield* workInProgress();
  const leftovers: Leftover[] = [];
  const busy: RepackCandidate[] = [];
  for (const index of candidates) {
    if (index.repacking || working.has(index.oid) || working.has(index.table_oid)) {
      busy.push(index);
      continue;
    }
    const siblings = yield* query<Sibling>(siblingsQuery, [index.oid]);
    const original = siblings.find(({ oid }) => oid === index.original_oid);
    if (original) leftovers.push({ index, reason: 'pg_repack', original });
  }
  return { leftovers, busy };
}

export default defineStep({
  number: 2,
  name: 'orphaned_indexes',
  title: 'Clean up orphaned indexes',
  feature: 'features.orphaned_index_cleanup',
  kinds: [orphanedIndexKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for orphaned indexes.' },
    auto_cleanup: {
      type: 'boolean',
      default: true,
      scoped: true,
      doc: 'Queue the removal of leftovers whose original is valid. Off: report only.',
    },
  },
  interval: () => 0,
  actionCounts: { orphaned_indexes: 'drop_index' },
  unexamined: { cleanup: { orphaned_indexes: null, orphaned_indexes_found: null } },

  *check({ configFor, unmuted, now }) {
    const { settled, undecided } = yield* invalidIndexes();
    const repack = yield* repackLeftovers();
    const leftovers = [...(yield* reindexLeftovers(settled)), ...repack.leftovers];
    const found = leftovers.map((leftover) => ({ leftover, finding: leftoverFinding(leftover) }));
    const findings = [
      ...found.map(({ finding }) => finding),
      ...(yield* incompletePartitionedIndexes()).map(incompleteFinding),
      ...(yield* query<DanglingRow>(danglingQuery)).map(danglingFinding),
    ];
    const actions = found
      .filter(({ leftover }) => keptBecause(leftover) === null && configFor(leftover.index).auto_cleanup)
      .map(({ leftover, finding }) => dropAction(leftover, finding));
    const [forgotten] = yield* query<number>(forgetVanishedQuery);

    const cleanup: JsonObject = { orphaned_indexes_found: findings.length };
    if (undecided.length > 0) cleanup['orphaned_indexes_undecided'] = undecidedNames(undecided);
    if (forgotten) cleanup['vanished_records_forgotten'] = forgotten;
    const loud = unmuted(findings);
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0
          ? []
          : [
              {
                severity: 'info',
                message: `orphaned indexes found: ${loud.length}, to be removed: ${countActionsOf(loud, actions)}`,
              },
            ],
      actions,
      examined: [orphanedIndexKind],
      superseded: yield* supersededBy(
        2,
        leftovers.map(({ index }) => index.oid),
      ),
      keepOpen: undecidedFindings(orphanedIndexKind, [
        ...undecided,
        ...repack.busy.map((index) => ({ ...index, pid: null })),
      ]),
      coverage: examinedAllBut(yield* indexCount(), undecided.length + repack.busy.length, [
        ...(yield* undecidedCoverage(now, undecided)),
        ...unexaminedClass(
          'indexes that pg_repack may be working on',
          'not_yet',
          repack.busy.map(({ quoted }) => quoted),
        ),
      ]),
    };
  },
});
