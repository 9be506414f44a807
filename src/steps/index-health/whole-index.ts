/** Measures that read the whole index, with pgstattuple: where pages can't be sampled, and for hash indexes. */
import { attempt, clock, queryOne } from '../../core/program.ts';
import type { Failure, Program } from '../../core/program.ts';
import { unexaminedReason } from '../../core/sqlstate.ts';
import { bytesOnFullPage, pagesOfIndex } from './btree-rebuild.ts';
import type { Measured, MeasuredIndex, Surroundings } from './measurement.ts';

export function unmeasured(failure: Failure): Measured {
  return {
    ok: false,
    reason: unexaminedReason(failure.sqlstate) ?? `failed: ${failure.sqlstate} ${failure.message}`,
  };
}

/** Runs one statement for each index, largest budget left permitting. */
function* each<Row>(
  indexes: readonly MeasuredIndex[],
  { budget }: Surroundings,
  statement: string,
  judge: (
    index: MeasuredIndex,
    row: Row,
  ) => Omit<Measured & { ok: true }, 'ok' | 'pagesRead' | 'milliseconds'>,
): Program<Map<number, Measured>> {
  const all = new Map<number, Measured>();
  for (const index of indexes) {
    const started = yield* clock();
    if (started >= budget.deadline) break;
    // A smaller one further on may still fit.
    if (index.pages > budget.pages) continue;
    const outcome = yield* attempt(() => queryOne<Row>(statement, [index.oid]));
    const milliseconds = (yield* clock()) - started;
    budget.pages -= index.pages;
    all.set(
      index.oid,
      outcome.ok
        ? { ok: true, pagesRead: index.pages, milliseconds, ...judge(index, outcome.value) }
        : unmeasured(outcome.failure),
    );
  }
  return all;
}

interface BtreeRow {
  leaf_pages: number;
  density: number | null;
}

/** In points: entries of uneven sizes, and the bytes that keys of inner pages take. */
const errorOfDensity = 1.5;
/**
 * An index that may put equal keys together can hold rows in more tuples than a new one would; density does not show it.
 * Measured by bench/bloat: up to 20 points after updates. Too small, and a bloated index is taken for healthy.
 */
const hiddenByDuplicates = 20;

export function measureBtreesWhole(
  indexes: readonly MeasuredIndex[],
  schema: string,
  surroundings: Surroundings,
): Program<Map<number, Measured>> {
  const { blockSize } = surroundings;
  return each<BtreeRow>(
    indexes,
    surroundings,
    `select pg_catalog.jsonb_build_object('leaf_pages', s.leaf_pages,
        'density', case when s.avg_leaf_density <> 'NaN' then s.avg_leaf_density end) as row
     from ${schema}.pgstatindex($1::pg_catalog.oid::pg_catalog.regclass) as s order by 1`,
    (index, { leaf_pages: leafPages, density }) => {
      const layout = { blockSize, fillfactor: index.fillfactor, deduplicates: false };
      const used = (leafPages * (blockSize - 40) * (density ?? 0)) / 100;
      // The high key is among what fills a page, and an entry goes to the next page when this one is full.
      const perPage = bytesOnFullPage([{ bytes: 20, truncated: 0 }], layout) + 20;
      const after = pagesOfIndex(
        Math.max(1, Math.ceil((used * (1 - index.deadShare)) / perPage)),
        20,
        blockSize,
      );
      const bloatPercent = 100 * (1 - after / index.pages);
      const error = Math.hypot(errorOfDensity, 100 * index.deadShareError, 100 / index.pages);
      return {
        method: 'pgstatindex',
        bloatPercent,
        low: bloatPercent - error,
        high: Math.min(
          100,
          bloatPercent + error + (index.unique || !index.deduplicates ? 0 : hiddenByDuplicates),
        ),
        leafDensity: density,
      };
    },
  );
}

interface HashRow {
  bucket_pages: number;
  overflow_pages: number;
  bitmap_pages: number;
  live_items: number;
  dead_items: number;
}

/** Buckets come in steps: powers of two up to 512, from there on quarters of the next power (hashutil.c). */
export function hashBuckets(wanted: number): number {
  let power = 2;
  while (power < wanted) power *= 2;
  if (power <= 512) return power;
  const half = power / 2;
  return half + Math.ceil((wanted - half) / (half / 4)) * (half / 4);
}

/** Entry and line pointer. */
const hashEntryBytes = 20;

export function measureHashes(
  indexes: readonly MeasuredIndex[],
  schema: string,
  surroundings: Surroundings,
): Program<Map<number, Measured>> {
  const { blockSize } = surroundings;
  return each<HashRow>(
    indexes,
    surroundings,
    `select pg_catalog.jsonb_build_object('bucket_pages', s.bucket_pages, 'overflow_pages', s.overflow_pages,
        'bitmap_pages', s.bitmap_pages, 'live_items', s.live_items, 'dead_items', s.dead_items) as row
     from ${schema}.pgstathashindex($1::pg_catalog.oid::pg_catalog.regclass) as s order by 1`,
    (index, row) => {
      const live = row.live_items * (1 - index.deadShare);
      const perBucket = Math.floor((blockSize * index.fillfactor) / 100 / hashEntryBytes);
      const perPage = Math.floor((blockSize - 40) / hashEntryBytes);
      const buckets = hashBuckets(Math.ceil(live / perBucket));
      // Rows of equal keys share a bucket, however many buckets there are: how many such there are is not told.
      const overflowLeast = Math.max(0, Math.ceil(live / perPage) - buckets);
      const overflowMost = Math.max(overflowLeast, row.overflow_pages);
      const least = 2 + buckets + overflowLeast;
      const most = Math.min(index.pages, 1 + row.bitmap_pages + buckets + overflowMost);
      const points = (pages: number): number => 100 * (1 - pages / index.pages);
      return {
        method: 'pgstathashindex',
        bloatPercent: points((least + Math.max(least, most)) / 2),
        low: points(Math.max(least, most)) - 100 * index.deadShareError - 1,
        high: Math.min(100, points(least) + 100 * index.deadShareError + 1),
        leafDensity: null,
      };
    },
  );
}
