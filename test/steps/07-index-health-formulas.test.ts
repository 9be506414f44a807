/** The arithmetic of step 7 by itself: samples, their errors, and the packing of pages. */
import test from 'ava';
import { minutesToUse, parseWindow } from '../../src/core/window.ts';
import { bytesOfBase64 } from '../../src/steps/index-health/btree-page.ts';
import { addTuples, bytesOnFullPage, pagesOfIndex } from '../../src/steps/index-health/btree-rebuild.ts';
import type { Layout, Tuple } from '../../src/steps/index-health/btree-rebuild.ts';
import type { Group } from '../../src/steps/index-health/btree-page.ts';
import {
  meanOfStrata,
  ratioOf,
  sampleBlocks,
  seedOf,
  studentQuantile,
} from '../../src/steps/index-health/page-sample.ts';
import { hashBuckets } from '../../src/steps/index-health/whole-index.ts';

function tuplesOf(group: Group, layout: Layout): Tuple[] {
  const tuples: Tuple[] = [];
  addTuples(tuples, group, layout);
  return tuples;
}

test('a sample has one block of each range, the same for the same seed', (t) => {
  const blocks = sampleBlocks(1, 10_000, 100, seedOf(4711, '2026-01-01T00:00:00Z'));
  t.is(blocks.length, 100);
  for (const [stratum, block] of blocks.entries()) {
    t.true(block >= 1 + stratum * 100 && block < 1 + (stratum + 1) * 100, `${block} in range ${stratum}`);
  }
  t.deepEqual(blocks, sampleBlocks(1, 10_000, 100, seedOf(4711, '2026-01-01T00:00:00Z')));
  t.notDeepEqual(blocks, sampleBlocks(1, 10_000, 100, seedOf(4711, '2026-01-01T00:00:01Z')));
  t.deepEqual(sampleBlocks(1, 3, 100, 1), [1, 2, 3], 'all there are');
  t.deepEqual(sampleBlocks(1, 0, 100, 1), []);
});

test('what changes slowly from one end to the other makes no error, what changes by chance does', (t) => {
  const slope = Array.from({ length: 400 }, (_, place) => place / 400);
  const jumps = Array.from({ length: 400 }, (_, place) => (place % 2 === 0 ? 0 : 1));
  t.true(meanOfStrata(slope, 1e6).error < 0.001);
  t.true(Math.abs(meanOfStrata(jumps, 1e6).mean - 0.5) < 1e-9);
  t.true(meanOfStrata(jumps, 1e6).error > 0.02);
  t.is(meanOfStrata(jumps, 400).error, 0, 'all were seen');
  t.deepEqual(meanOfStrata([], 10), { mean: 0, error: 0 });
});

test('a ratio of pairs, and its error', (t) => {
  const same = ratioOf([10, 20, 30].map((x) => ({ x, y: x / 2 })));
  t.is(same.mean, 0.5);
  t.is(same.error, 0);
  t.true(
    ratioOf([
      { x: 10, y: 1 },
      { x: 10, y: 9 },
    ]).error > 0.3,
  );
  t.deepEqual(ratioOf([]), { mean: 1, error: 0 });
});

test("Student's quantiles are those of the tables", (t) => {
  for (const [freedom, quantile] of [
    [5, 2.571],
    [10, 2.228],
    [30, 2.042],
    [400, 1.966],
  ] as const) {
    t.true(Math.abs(studentQuantile(freedom) - quantile) < 0.005, `${freedom}: ${studentQuantile(freedom)}`);
  }
});

test('a page of a new index holds 366 integers, and half as many where the fillfactor says so', (t) => {
  const layout = { blockSize: 8192, fillfactor: 90, deduplicates: false };
  const integers = tuplesOf({ tupleBytes: 16, rows: 1000 }, layout);
  t.is(integers.length, 1000);
  t.is(bytesOnFullPage(integers, layout), 366 * 20);
  t.is(bytesOnFullPage(integers, { ...layout, fillfactor: 50 }), 202 * 20);
});

test('equal keys go into posting lists of 132 rows, nine of them on a page', (t) => {
  const layout = { blockSize: 8192, fillfactor: 90, deduplicates: true };
  const tuples = tuplesOf({ tupleBytes: 16, rows: 132 * 20 + 1 }, layout);
  t.is(tuples.length, 21);
  t.deepEqual(tuples[0], { bytes: 812, truncated: 792 });
  t.deepEqual(tuples[20], { bytes: 20, truncated: 0 });
  t.is(bytesOnFullPage(tuples.slice(0, 20), layout), 9 * 812);
});

test('the pages of an index: meta page, leaves, levels above', (t) => {
  t.is(pagesOfIndex(1, 20, 8192), 2);
  t.is(pagesOfIndex(100, 20, 8192), 102);
  t.is(pagesOfIndex(1000, 20, 8192), 1 + 1000 + 4 + 1);
});

test('hash buckets come in steps', (t) => {
  t.deepEqual([1, 3, 500, 513, 641, 1024, 1025].map(hashBuckets), [2, 4, 512, 640, 768, 1024, 1280]);
});

test('base64 as the server writes it', (t) => {
  for (const length of [0, 1, 2, 3, 56, 57, 58, 8192]) {
    const bytes = Uint8Array.from({ length }, (_, place) => (place * 7) % 256);
    const lines =
      Buffer.from(bytes)
        .toString('base64')
        .match(/.{1,76}/g) ?? [];
    t.deepEqual(bytesOfBase64(lines.join('\n')), bytes, `${length} bytes`);
  }
});

test('minutes that are left of a window, or that the next one has', (t) => {
  const windows = ['22:00-06:00', 'sun 10:00-12:00'].map((text) => parseWindow(text)!);
  t.is(minutesToUse(windows, { day: 1, minute: 23 * 60 }), 420);
  t.is(minutesToUse(windows, { day: 2, minute: 5 * 60 }), 60);
  t.is(minutesToUse(windows, { day: 1, minute: 5 * 60 }), 60, 'of the one that began on Sunday');
  t.is(minutesToUse(windows, { day: 7, minute: 11 * 60 }), 60);
  t.is(minutesToUse(windows, { day: 3, minute: 12 * 60 }), 480, 'the longest, where none is open');
  t.is(minutesToUse([], { day: 1, minute: 0 }), 1440);
});
