/**
 * What CREATE INDEX and REINDEX make of the entries of a B-tree: src/backend/access/nbtree/nbtsort.c of PostgreSQL, whose
 * rules of packing are the same from 13 to 18.
 */
import { aligned, linePointerBytes, tidBytes } from './btree-page.ts';
import type { Group } from './btree-page.ts';

/** Page header, special space, the high key's line pointer, and the one that free space is counted without. */
const pageOverhead = 24 + 16 + 2 * linePointerBytes;
/** Of a tuple on an internal page whose key is "less than all". */
const firstPivotBytes = 8 + linePointerBytes;
/** Percent; fixed in the server. */
const internalFillfactor = 70;

export interface Layout {
  blockSize: number;
  /** Percent of leaf pages. */
  fillfactor: number;
  /** Rows of equal keys are put together into posting lists. */
  deduplicates: boolean;
}

export interface Tuple {
  bytes: number;
  /** What of it a high key made from it would leave out: its posting list. */
  truncated: number;
}

/** The most rows that a posting list of this key holds, as a build makes it; 1 where none can be made. */
export function rowsOfPosting(tupleBytes: number, { blockSize, deduplicates }: Layout): number {
  if (!deduplicates) return 1;
  const most = (Math.floor((blockSize * 10) / 100) & ~7) - linePointerBytes;
  const room = (most & ~7) - tupleBytes;
  return Math.max(1, Math.floor(room / tidBytes));
}

/** Adds the tuples of a new index for the rows of one key. */
export function addTuples(tuples: Tuple[], { tupleBytes, rows }: Group, layout: Layout): void {
  if (rows === 0) return;
  const plain = { bytes: tupleBytes + linePointerBytes, truncated: 0 };
  const most = rows === 1 ? 1 : rowsOfPosting(tupleBytes, layout);
  for (let left = rows; left > 0; left -= most) {
    const taken = Math.min(left, most);
    const size = aligned(tupleBytes + taken * tidBytes);
    tuples.push(taken === 1 ? plain : { bytes: size + linePointerBytes, truncated: size - tupleBytes });
  }
}

/** The same in bytes, and how much of it is left on average where each row is dead by the same chance. */
export class RebuiltBytes {
  readonly #layout: Layout;
  readonly #deadShare: number;
  readonly #known = new Map<number, number>();

  constructor(layout: Layout, deadShare: number) {
    this.#layout = layout;
    this.#deadShare = deadShare;
  }

  of(group: Group): number {
    const key = group.rows * 65_536 + group.tupleBytes;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const bytes = this.#expected(group);
    this.#known.set(key, bytes);
    return bytes;
  }

  /** Bytes that the rows add where more of the same key are beside them: part of a posting list. */
  ofShared({ tupleBytes, rows }: Group): number {
    const most = rowsOfPosting(tupleBytes, this.#layout);
    const live = rows * (1 - this.#deadShare);
    if (most === 1) return live * (tupleBytes + linePointerBytes);
    return (live / most) * (aligned(tupleBytes + most * tidBytes) + linePointerBytes);
  }

  #bytes(tupleBytes: number, rows: number): number {
    const tuples: Tuple[] = [];
    addTuples(tuples, { tupleBytes, rows }, this.#layout);
    return tuples.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #expected({ tupleBytes, rows }: Group): number {
    const dead = this.#deadShare;
    if (dead === 0) return this.#bytes(tupleBytes, rows);
    if (!this.#layout.deduplicates || rows === 1) return rows * (1 - dead) * (tupleBytes + linePointerBytes);
    if (rows > fewRows) {
      const live = rows * (1 - dead);
      const whole = Math.floor(live);
      const less = this.#bytes(tupleBytes, whole);
      return less + (live - whole) * (this.#bytes(tupleBytes, whole + 1) - less);
    }
    // Binomial: the chance that so many of the rows are live.
    let chance = dead ** rows;
    let expected = 0;
    for (let live = 1; live <= rows; live += 1) {
      chance *= ((rows - live + 1) / live) * ((1 - dead) / dead);
      expected += chance * this.#bytes(tupleBytes, live);
    }
    return expected;
  }
}

/** Of more rows than this nearly the same share is dead in each group. */
const fewRows = 12;

/** At least so many pages are filled to see how full they become: entries of one size fill them all alike. */
const pagesToFill = 24;

/**
 * Bytes of entries on a full leaf page of the new index, on average. The tuples are taken as they come, again and again:
 * a page is full when less than the fillfactor leaves is free, and its last entry then goes to the next page.
 */
export function bytesOnFullPage(tuples: readonly Tuple[], { blockSize, fillfactor }: Layout): number {
  const keepFree = Math.floor((blockSize * (100 - fillfactor)) / 100);
  const room = blockSize - pageOverhead;
  if (tuples.length === 0) return room - keepFree;
  let filled = 0;
  let pages = 0;
  let used = 0;
  let entries = 0;
  let last: Tuple = { bytes: 0, truncated: 0 };
  for (let place = 0; pages < pagesToFill || place < tuples.length; place += 1) {
    const tuple = tuples[place % tuples.length] ?? last;
    const free = room - used;
    // Room for a row's address too, which the high key may need; free space is counted without a line pointer.
    if (free < tuple.bytes - linePointerBytes + 8 || (free + last.truncated < keepFree && entries > 1)) {
      pages += 1;
      filled += used - last.bytes;
      used = last.bytes;
      entries = 1;
    }
    used += tuple.bytes;
    entries += 1;
    last = tuple;
  }
  return filled / pages;
}

/** Pages of the whole index: the meta page, so many leaf pages, and the levels above them. */
export function pagesOfIndex(leafPages: number, pivotBytes: number, blockSize: number): number {
  const room = blockSize - pageOverhead - Math.floor((blockSize * (100 - internalFillfactor)) / 100);
  const children = Math.max(2, Math.floor((room + pivotBytes - firstPivotBytes) / pivotBytes));
  let pages = 1 + leafPages;
  for (let level = leafPages; level > 1;) {
    level = Math.ceil(level / children);
    pages += level;
  }
  return pages;
}
