/** Chooses for each index the best way of measuring that its kind, the server and the role allow. */
import { pendingPages, measureFreeSpace } from './free-space.ts';
import type { InventoryIndex } from '../../catalog/index-inventory.ts';
import type { Tools } from '../../catalog/index-tools.ts';
import type { Program } from '../../core/program.ts';
import { measureBtrees } from './btree-measure.ts';
import { estimateFromStatistics } from './from-statistics.ts';
import type { Budget, Measured, MeasuredIndex, Surroundings } from './measurement.ts';
import { measureBtreesWhole, measureHashes } from './whole-index.ts';

/** Percent, where an index has no setting of its own: of B-trees, hash indexes, and of the others, which don't use it here. */
const fillfactors: Record<string, number> = { btree: 90, hash: 75 };

/**
 * How far off the share of dead entries may be, as a share of it: the server counts rows, and does not say how many of the
 * dead ones were updated without a new entry, or are gone from the index already.
 */
const deadShareDoubt = 0.12;
/** The same where nothing is counted. */
const uncountedDoubt = 0.05;

/** Of the entries of an index: those of rows that are dead and not vacuumed away. */
function deadRowsOf(index: InventoryIndex, counted: boolean): { deadShare: number; deadShareError: number } {
  const rows = index.live_rows + index.dead_rows;
  if (!counted) return { deadShare: 0, deadShareError: uncountedDoubt };
  if (rows <= 0) return { deadShare: 0, deadShareError: 0 };
  // A heap-only update leaves a dead row that no index knows.
  const heapOnly = index.hot_updated_rows / Math.max(1, index.updated_rows + index.deleted_rows);
  const deadShare = (index.dead_rows / rows) * (1 - heapOnly);
  return { deadShare, deadShareError: deadShare * deadShareDoubt };
}

/** Why there is no better way than the planner's statistics; null where pages of B-trees can be sampled. */
export function whyNotSampled({ pageinspect, page_reader: reader }: Tools): string | null {
  if (pageinspect === 'not_installed') return 'not_installed: create extension pageinspect';
  if (pageinspect === 'outdated') return 'not_installed: alter extension pageinspect update';
  return reader !== null ? null : 'not_permitted: only a superuser may read pages with pageinspect';
}

function whyNotRead({ pgstattuple, may_pgstattuple: may }: Tools): string | null {
  if (pgstattuple === null) return 'not_installed: create extension pgstattuple';
  return may ? null : 'not_permitted: pgstattuple wants the role pg_stat_scan_tables';
}

/** Whether a B-tree that was measured in this way can be measured in a better one now. */
export function betterThan(tools: Tools): (method: string) => boolean {
  return (method) =>
    (method === 'statistics' && (whyNotSampled(tools) === null || whyNotRead(tools) === null)) ||
    (method === 'pgstatindex' && whyNotSampled(tools) === null);
}

const toMeasured =
  (tools: Tools, thresholdOf: (index: InventoryIndex) => number) =>
  (index: InventoryIndex): MeasuredIndex => ({
    oid: index.oid,
    quoted: index.quoted,
    pages: Math.ceil((index.size_bytes ?? 0) / tools.block_size),
    fillfactor: index.fillfactor ?? fillfactors[index.access_method] ?? 90,
    unique: index.unique,
    deduplicates: index.deduplicates,
    ...deadRowsOf(index, tools.counts_tracked),
    churned: !tools.counts_tracked || index.updated_rows + index.deleted_rows > 0,
    threshold: thresholdOf(index),
  });

const withoutBloat = (method: 'no_bloat' | 'empty'): Measured => ({
  ok: true,
  method,
  bloatPercent: 0,
  low: 0,
  high: 0,
  leafDensity: null,
  pagesRead: 0,
  milliseconds: 0,
});

/** A new index has a page or two: there is nothing to win. */
const fewestPages = 3;

function* btrees(
  indexes: readonly MeasuredIndex[],
  tools: Tools,
  around: Surroundings,
): Program<Map<number, Measured>> {
  const notSampled = whyNotSampled(tools);
  if (tools.page_reader !== null && notSampled === null)
    return yield* measureBtrees(indexes, tools.page_reader, around);
  const notRead = whyNotRead(tools);
  const all =
    tools.pgstattuple !== null && notRead === null
      ? yield* measureBtreesWhole(indexes, tools.pgstattuple, around)
      : new Map<number, Measured>();
  const left = indexes.filter(({ oid }) => !all.has(oid));
  const reason = `${notSampled ?? ''}, and ${notRead ?? 'pgstattuple would read more pages than the budget has'}`;
  for (const [oid, measured] of yield* estimateFromStatistics(left, reason, around)) all.set(oid, measured);
  return all;
}

export interface Measurements {
  /** Those that the budget did not reach are not in it. */
  of: Map<number, Measured>;
  pagesRead: number;
}

/** Measures in the order given, each access method in its turn. */
export function* measureIndexes(
  indexes: readonly InventoryIndex[],
  tools: Tools,
  {
    now,
    budget,
    thresholdOf,
  }: { now: string; budget: Budget; thresholdOf: (index: InventoryIndex) => number },
): Program<Measurements> {
  const around: Surroundings = { now, blockSize: tools.block_size, budget };
  const of = new Map<number, Measured>();
  const pagesBefore = budget.pages;
  const kinds = new Map<string, MeasuredIndex[]>();
  const convert = toMeasured(tools, thresholdOf);
  for (const index of indexes) {
    const converted = convert(index);
    const { access_method: method } = index;
    if (method === 'brin') of.set(index.oid, withoutBloat('no_bloat'));
    else if (converted.pages < fewestPages) of.set(index.oid, withoutBloat('empty'));
    else kinds.set(method, [...(kinds.get(method) ?? []), converted]);
  }
  const add = (measured: Map<number, Measured>): void => {
    for (const [oid, each] of measured) of.set(oid, each);
  };
  const refuse = (refused: readonly MeasuredIndex[], reason: string): void => {
    for (const { oid } of refused) of.set(oid, { ok: false, reason });
  };
  const notSampled = whyNotSampled(tools);
  const notRead = whyNotRead(tools);
  for (const [method, chosen] of kinds) {
    if (method === 'btree') add(yield* btrees(chosen, tools, around));
    else if (method === 'hash') {
      if (tools.pgstattuple !== null && notRead === null)
        add(yield* measureHashes(chosen, tools.pgstattuple, around));
      else refuse(chosen, notRead ?? '');
    } else if (method === 'gin' || method === 'gist' || method === 'spgist') {
      if (tools.page_reader !== null && notSampled === null)
        add(yield* measureFreeSpace(chosen, tools.page_reader, method !== 'gist', around));
      else refuse(chosen, notSampled ?? '');
    } else refuse(chosen, `nothing is known here of the access method ${method}`);
  }
  return { of, pagesRead: pagesBefore - budget.pages };
}

/** Pages that wait in the pending lists of these indexes' GIN ones; nothing where that may not be asked. */
export function* pendingOf(indexes: readonly InventoryIndex[], tools: Tools): Program<Map<number, number>> {
  const gin = indexes.filter(({ access_method: method }) => method === 'gin').map(({ oid }) => oid);
  if (tools.pgstattuple === null || whyNotRead(tools) !== null) return new Map();
  return yield* pendingPages(gin, tools.pgstattuple);
}
