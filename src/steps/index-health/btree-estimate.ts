/**
 * How large a B-tree would be after a REINDEX, from a sample of its pages. Two phases (Cochran, Sampling Techniques, 12.9):
 * many pages are asked for how many bytes they hold, a few of them are read entry by entry, and what a byte of these
 * becomes in a new index holds for all.
 */
import { linePointerBytes } from './btree-page.ts';
import type { Group, LeafPage } from './btree-page.ts';
import { addTuples, bytesOnFullPage, pagesOfIndex, RebuiltBytes, rowsOfPosting } from './btree-rebuild.ts';
import type { Layout, Tuple } from './btree-rebuild.ts';
import { meanOfStrata, ratioOf, studentQuantile } from './page-sample.ts';
import type { Mean } from './page-sample.ts';

/** A page as bt_page_stats sees it. */
export interface PageStatistics {
  /** A leaf page that is neither deleted nor half-dead. */
  entries: boolean;
  /** Of a level above. */
  inner: boolean;
  deadItems: number;
  averageItemBytes: number;
  freeBytes: number;
  rightmost: boolean;
}

export interface BtreeSample {
  /** Pages of the index with the meta page. */
  pages: number;
  /** In the order of their blocks. */
  statistics: readonly PageStatistics[];
  /** Of leaf pages among these. */
  leaves: readonly LeafPage[];
  layout: Layout;
  /** Share of the live entries whose rows are dead, and how far off that may be. */
  deadShare: number;
  deadShareError: number;
}

export interface BtreeEstimate {
  bloatPercent: number;
  low: number;
  high: number;
  /** As pgstatindex has it; null where there are no leaf pages. */
  leafDensity: number | null;
  /** Half the interval as far as it comes from the pages that were counted, and from those that were read. */
  pointsOfCounting: number;
  pointsOfReading: number;
}

/**
 * What the rules of packing leave out, in points: keys that are truncated elsewhere, pages that happen to end well. Too
 * small, and an interval of an index that was read whole is narrower than the truth is near.
 */
const modelError = 0.45;

const pageHeadAndTail = 24 + 16;

/**
 * Whether the first key of each page began on the page before. Its own high key does not say so: as many of the pages as have a
 * last key that goes on have such a first one, and all those that hold a single key that does.
 */
function beginBefore(leaves: readonly LeafPage[]): boolean[] {
  const share = leaves.filter(({ continues }) => continues).length / Math.max(1, leaves.length);
  let due = 0.5;
  return leaves.map(({ groups, continues }) => {
    due += share;
    const begins = due >= 1 || (continues && groups.length === 1);
    if (due >= 1) due -= 1;
    return begins;
  });
}

/** Bytes of rebuilt entries of a page. Keys that go on beyond it share their posting lists with its neighbours. */
function rebuiltBytes({ groups, continues }: LeafPage, begunBefore: boolean, bytes: RebuiltBytes): number {
  let sum = 0;
  for (const [place, group] of groups.entries()) {
    const shared = (begunBefore && place === 0) || (continues && place === groups.length - 1);
    sum += shared ? bytes.ofShared(group) : bytes.of(group);
  }
  return sum;
}

/** Tuples of the pages one after the other, posting lists of keys that go on put together over the end of a page. */
function rebuiltTuples(
  leaves: readonly LeafPage[],
  begunBefore: readonly boolean[],
  layout: Layout,
): Tuple[] {
  const tuples: Tuple[] = [];
  let begun: Group = { tupleBytes: 0, rows: 0 };
  for (const [number, { groups, continues }] of leaves.entries()) {
    for (const [place, { tupleBytes, rows: here }] of groups.entries()) {
      const goesOn = begunBefore[number] === true && place === 0 && begun.tupleBytes === tupleBytes;
      const rows = here + (goesOn ? begun.rows : 0);
      if (!goesOn) addTuples(tuples, begun, layout);
      const last = continues && place === groups.length - 1;
      const left = last ? rows % rowsOfPosting(tupleBytes, layout) : 0;
      addTuples(tuples, { tupleBytes, rows: rows - left }, layout);
      begun = { tupleBytes, rows: left };
    }
  }
  addTuples(tuples, begun, layout);
  return tuples;
}

interface RebuiltLeaves {
  /** A byte of entries now, in the new index. */
  ratio: number;
  ratioError: number;
  bytesOnFullPage: number;
  pivotBytes: number;
}

function rebuildLeaves(leaves: readonly LeafPage[], layout: Layout, deadShare: number): RebuiltLeaves {
  const bytes = new RebuiltBytes(layout, deadShare);
  const pairs: { x: number; y: number }[] = [];
  const begunBefore = beginBefore(leaves);
  let highKeys = 0;
  let highKeyBytes = 0;
  for (const [number, leaf] of leaves.entries()) {
    const y = rebuiltBytes(leaf, begunBefore[number] === true, bytes);
    pairs.push({ x: leaf.entryBytes - leaf.deadBytes, y });
    if (leaf.highKeyBytes === null) continue;
    highKeys += 1;
    highKeyBytes += leaf.highKeyBytes;
  }
  const { mean, error } = ratioOf(pairs);
  return {
    ratio: mean,
    ratioError: error,
    bytesOnFullPage: bytesOnFullPage(rebuiltTuples(leaves, begunBefore, layout), layout),
    pivotBytes: highKeys === 0 ? 16 + linePointerBytes : highKeyBytes / highKeys,
  };
}

/** Filled by inner pages in an index that grew or was built, on average, as a share. */
const innerFilled = 0.7;
/** How far off that may be, as a share of it. */
const innerDoubt = 0.25;

/**
 * Share of the pages that are inner ones. There are so few of them that a sample may meet none or thrice as many: their
 * number follows better from the size of their entries, one for each leaf page, unless the sample says clearly otherwise.
 */
function shareOfInner(statistics: readonly PageStatistics[], pivotBytes: number, blockSize: number): Mean {
  const counted = statistics.length;
  const expected = pivotBytes / ((blockSize - pageHeadAndTail) * innerFilled);
  const met = statistics.filter(({ inner }) => inner).length;
  const chance = Math.sqrt(counted * expected);
  return Math.abs(met - counted * expected) <= 3 * chance + 1
    ? { mean: expected, error: expected * innerDoubt }
    : { mean: met / counted, error: Math.sqrt(met) / counted };
}

/** Bytes of live entries on each page that is no inner one, and the density of leaf pages. */
function entriesOnPages(
  statistics: readonly PageStatistics[],
  highKeyBytes: number,
  blockSize: number,
): { bytes: number[]; leafDensity: number | null } {
  const whole = blockSize - pageHeadAndTail;
  const bytes: number[] = [];
  let leafPages = 0;
  let freeBytes = 0;
  for (const page of statistics) {
    if (page.inner) continue;
    if (!page.entries) {
      bytes.push(0);
      continue;
    }
    leafPages += 1;
    freeBytes += page.freeBytes;
    // Free space is told without a line pointer.
    const used = whole - page.freeBytes - linePointerBytes;
    const dead = page.deadItems * (page.averageItemBytes + linePointerBytes);
    bytes.push(Math.max(0, used - (page.rightmost ? 0 : highKeyBytes) - dead));
  }
  return { bytes, leafDensity: leafPages === 0 ? null : 100 * (1 - freeBytes / (leafPages * whole)) };
}

export function estimateBtree(sample: BtreeSample): BtreeEstimate {
  const { pages, statistics, leaves, layout, deadShare, deadShareError } = sample;
  const { blockSize } = layout;
  const rebuilt = rebuildLeaves(leaves, layout, deadShare);
  const { bytes, leafDensity } = entriesOnPages(statistics, rebuilt.pivotBytes, blockSize);
  const whole = statistics.length >= pages - 1;
  const inner = whole
    ? { mean: 1 - bytes.length / Math.max(1, pages - 1), error: 0 }
    : shareOfInner(statistics, rebuilt.pivotBytes, blockSize);
  const notInner = (pages - 1) * (1 - inner.mean);
  const { mean, error } = meanOfStrata(bytes, notInner);
  const fullPages = (entryBytes: number): number => (entryBytes * rebuilt.ratio) / rebuilt.bytesOnFullPage;
  const leafPagesAfter = Math.max(1, Math.ceil(fullPages(notInner * mean)));
  const after = pagesOfIndex(leafPagesAfter, rebuilt.pivotBytes, blockSize);
  const bloatPercent = 100 * (1 - after / pages);

  const byCounting = fullPages(error) * studentQuantile(Math.max(1, bytes.length - 1));
  const byReading =
    (fullPages(mean) * rebuilt.ratioError * studentQuantile(Math.max(1, leaves.length - 1))) / rebuilt.ratio;
  const byDeadRows = (fullPages(mean) * deadShareError * 2) / Math.max(0.1, 1 - deadShare);
  const byInner = fullPages(mean) * inner.error * 2;
  const points = Math.hypot(
    100 * byCounting,
    100 * byReading,
    100 * byDeadRows,
    100 * byInner,
    modelError,
    100 / pages,
  );
  return {
    bloatPercent,
    low: bloatPercent - points,
    high: Math.min(100, bloatPercent + points),
    leafDensity,
    pointsOfCounting: 100 * byCounting,
    pointsOfReading: 100 * byReading,
  };
}
