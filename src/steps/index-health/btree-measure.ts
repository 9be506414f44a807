/**
 * Bloat of B-trees from a sample of their pages, read with pageinspect: some pages for all, more only where the verdict
 * hangs on it. Takes an AccessShareLock for a moment.
 */
import type { PageReader } from '../../catalog/index-tools.ts';
import { attempt, clock } from '../../core/program.ts';
import type { Failure, Program } from '../../core/program.ts';
import { unexaminedReason } from '../../core/sqlstate.ts';
import { estimateBtree } from './btree-estimate.ts';
import type { BtreeEstimate, PageStatistics } from './btree-estimate.ts';
import type { LeafPage } from './btree-page.ts';
import { countPages, readLeaves } from './btree-pages.ts';
import type { CountRow } from './btree-pages.ts';
import type { Measured, MeasuredIndex, Surroundings } from './measurement.ts';
import { sampleBlocks, seedOf } from './page-sample.ts';

/**
 * Pages counted, and among them read entry by entry, of each index: some 6 and 70 µs each. Too few leave the verdict open and
 * ask for a second look, too many cost every index. Half as many would save half the time and widen the interval by a third.
 */
const countFirst = 240;
const readFirst = 20;
/** The same where entries of equal keys stay apart: all that is read is how large they are. */
const readOfUnlike = 10;
/** The same where the first look leaves the verdict, or more than `widest`, open. */
const countMore = 1600;
const readMore = 60;

/** Half an interval, in points, that is narrow enough wherever the threshold is. */
const precise = 1;
/** And the widest that is left, also far from the threshold: history and forecasts live on it. */
const widest = 2.5;

/** Indexes and pages of one query: enough that its own cost does not matter, not so many that memory does. */
const batchIndexes = 16;
const batchPages = 2000;

const flagLeaf = 1;
const flagsOfNoTree = 4 | 16;
const flagRightmost = 65_536;

function pageStatistics([flags, free, deadItems, averages]: CountRow['counted']): PageStatistics[] {
  if (flags === null) return [];
  return flags.map((flag, place) => ({
    entries: (flag & flagLeaf) !== 0 && (flag & flagsOfNoTree) === 0,
    inner: (flag & (flagLeaf | flagsOfNoTree)) === 0,
    rightmost: (flag & flagRightmost) !== 0,
    freeBytes: free[place] ?? 0,
    deadItems: deadItems[place] ?? 0,
    averageItemBytes: averages[place] ?? 0,
  }));
}

/** So many of the blocks, spread over all of them. */
function someOf(blocks: readonly number[], wanted: number): number[] {
  if (blocks.length <= wanted) return [...blocks];
  return Array.from(
    { length: wanted },
    (_, place) => blocks[Math.floor(((place + 0.5) * blocks.length) / wanted)] ?? 1,
  );
}

/** One index while it is being measured. */
interface Look {
  index: MeasuredIndex;
  count: number[];
  read: number[];
  statistics: PageStatistics[];
  leaves: LeafPage[];
  estimate: BtreeEstimate | null;
  pagesRead: number;
  milliseconds: number;
  failure: Failure | null;
}

function firstLook(index: MeasuredIndex, now: string): Look {
  const count = sampleBlocks(1, index.pages - 1, countFirst, seedOf(index.oid, now));
  return {
    index,
    count,
    read: someOf(count, index.unique || !index.deduplicates ? readOfUnlike : readFirst),
    statistics: [],
    leaves: [],
    estimate: null,
    pagesRead: 0,
    milliseconds: 0,
    failure: null,
  };
}

/** Null where the first look is enough. */
function secondLook(look: Look, now: string): Look | null {
  const { index, estimate } = look;
  if (estimate === null) return null;
  const { low, high } = estimate;
  const points = (high - low) / 2;
  const hangs = low < index.threshold && index.threshold < high && points > precise;
  if (!hangs && points <= widest) return null;
  const wantsCount = estimate.pointsOfCounting > precise && look.count.length < index.pages - 1;
  const leafBlocks = look.count.filter((_, place) => look.statistics[place]?.entries === true);
  const known = new Set(look.read);
  const unread = leafBlocks.filter((block) => !known.has(block));
  const wantsRead = estimate.pointsOfReading > precise && unread.length > 0;
  if (!wantsCount && !wantsRead) return null;
  return {
    ...look,
    count: wantsCount ? sampleBlocks(1, index.pages - 1, countMore, seedOf(index.oid, `${now} again`)) : [],
    read: wantsRead ? someOf(unread, readMore) : [],
  };
}

function take(look: Look, row: CountRow, leaves: readonly LeafPage[], blockSize: number): void {
  const { index } = look;
  if (look.count.length > 0) look.statistics = pageStatistics(row.counted);
  look.leaves.push(...leaves);
  look.pagesRead += look.count.length + look.read.length + 1;
  look.estimate = estimateBtree({
    pages: index.pages,
    statistics: look.statistics,
    leaves: look.leaves,
    layout: {
      blockSize,
      fillfactor: index.fillfactor,
      deduplicates: row.equal_images && index.deduplicates && !index.unique,
    },
    deadShare: index.deadShare,
    deadShareError: index.deadShareError,
  });
}

/** Where one of a batch fails, its halves are tried, so that each failure is told of the index that it is about. */
function* lookAt(looks: readonly Look[], reader: PageReader, blockSize: number): Program<void> {
  const started = yield* clock();
  const outcome = yield* attempt(function* () {
    const rows = yield* countPages(
      looks.map(({ index, count }) => ({ oid: index.oid, blocks: count })),
      reader,
    );
    const leaves = yield* readLeaves(
      looks.map(({ index, read }) => ({ oid: index.oid, blocks: read })),
      reader,
    );
    const rowOf = new Map(rows.map((row) => [row.oid, row]));
    for (const look of looks) {
      const row = rowOf.get(look.index.oid);
      if (row !== undefined) take(look, row, leaves.get(look.index.oid) ?? [], blockSize);
    }
  });
  const took = (yield* clock()) - started;
  const pages = looks.reduce((sum, { count, read }) => sum + count.length + read.length, 1);
  for (const look of looks) look.milliseconds += (took * (look.count.length + look.read.length)) / pages;
  if (outcome.ok) return;
  const [only] = looks;
  if (only !== undefined && looks.length === 1) {
    only.failure = outcome.failure;
    return;
  }
  const half = Math.ceil(looks.length / 2);
  yield* lookAt(looks.slice(0, half), reader, blockSize);
  yield* lookAt(looks.slice(half), reader, blockSize);
}

function measured({ index, estimate, failure, statistics, pagesRead, milliseconds }: Look): Measured {
  if (failure !== null || estimate === null) {
    const why = failure === null ? 'it vanished' : `${failure.sqlstate} ${failure.message}`;
    return { ok: false, reason: (failure && unexaminedReason(failure.sqlstate)) ?? `failed: ${why}` };
  }
  const { bloatPercent, low, high, leafDensity } = estimate;
  const method = statistics.length >= index.pages - 1 ? 'all_pages' : 'sampled_pages';
  return { ok: true, method, bloatPercent, low, high, leafDensity, pagesRead, milliseconds };
}

/** Measures in the order given until the budget is used up. */
export function* measureBtrees(
  indexes: readonly MeasuredIndex[],
  reader: PageReader,
  { now, blockSize, budget }: Surroundings,
): Program<Map<number, Measured>> {
  const all = new Map<number, Measured>();
  let next = 0;
  while (next < indexes.length && budget.pages > 0 && (yield* clock()) < budget.deadline) {
    const batch: Look[] = [];
    let pages = 0;
    for (
      let index = indexes[next];
      index && batch.length < batchIndexes && pages < batchPages;
      index = indexes[next]
    ) {
      const look = firstLook(index, now);
      pages += look.count.length + look.read.length;
      batch.push(look);
      next += 1;
    }
    yield* lookAt(batch, reader, blockSize);
    for (const first of batch) {
      const again = first.failure === null ? secondLook(first, now) : null;
      if (again !== null) yield* lookAt([again], reader, blockSize);
      const look = again ?? first;
      budget.pages -= look.pagesRead;
      all.set(first.index.oid, measured(look));
    }
  }
  return all;
}
