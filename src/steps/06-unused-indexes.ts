/**
 * Step 6: indexes that nobody scans. Judged on our own samples over time, for the server's counters are lost now and
 * then: an index is unused when it was scanned less than `min_scans` times in a window of `days_unused` days that we
 * have watched without a gap.
 */
import { distributedTables } from '../catalog/distributed-tables.ts';
import { grantOf } from '../catalog/grants.ts';
import { indexDetails } from '../catalog/index-facts.ts';
import type { IndexDetail } from '../catalog/index-facts.ts';
import { byGain, entriesPerDay, isWorthIt, minSizeSetting } from '../catalog/index-gain.ts';
import { noteUncounted, sampleDays, sampleIndexUsage, statisticsState } from '../catalog/index-usage.ts';
import type { StatisticsState } from '../catalog/index-usage.ts';
import { decidedBefore, droppedElsewhere, openDrops, superseded, takenOver } from '../catalog/open-drops.ts';
import type { TakenOver } from '../catalog/open-drops.ts';
import { unusedCandidates } from '../catalog/unused-candidates.ts';
import type { UnusedCandidate } from '../catalog/unused-candidates.ts';
import { examinedAllBut, unexaminedClass } from '../core/coverage.ts';
import type { Unexamined } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { countActionsOf, defineStep } from './step.ts';
import type { Action, ConfigOf, Context, Finding, JsonObject, Report } from './step.ts';

export const unusedIndexKind = 'index.unused';

const unusedIndexesStep = 6;

/**
 * Share of a window's days on which a sample must have been taken. Too low, and a verdict rests on a few looks; too
 * high, and a worker that was stopped for some days puts every verdict off. Counters run on without us, so half will do.
 */
const sampledShare = 0.5;

/** The first server that says when an index was last scanned. */
const lastScanSince = 160_000;

/** Why an index can't be judged now. */
type Undecided =
  | 'window_not_covered'
  /** The server saw a scan inside the window that our counts do not have. */
  | 'scanned_uncounted'
  /** It does the work of an index that was dropped as redundant inside the window; its counts from before do not have that. */
  | 'took_over'
  /** Its access method does not count scans, or Citus has distributed the table, so that other relations are scanned. */
  | 'not_counted'
  /** Servers that this one does not list may use it. */
  | 'read_elsewhere'
  /** Whether the planner uses the index's statistics may not be seen by this role. */
  | 'not_permitted';

/** An open finding stays while these last: what was known is not refuted. */
const passing: ReadonlySet<string> = new Set(['window_not_covered', 'scanned_uncounted', 'not_permitted']);

type Verdict = { judged: 'used' } | { judged: 'unused'; scans: number } | { judged: Undecided };

/** The shortest time for which an index that took over the work of another one is left alone, whatever the window. */
const daysAfterTakeover = 1;

type UnusedConfig = Pick<ConfigOf<typeof config>, 'min_scans' | 'days_unused' | 'unlisted_readers'>;

/** Scans counted from `days` days before today on; the whole of that first day counts in. */
function scansWithin(index: UnusedCandidate, days: number): number {
  let before = index.scans;
  for (const { ago, scans_before } of index.days) {
    if (ago <= days) before = Math.min(before, scans_before);
  }
  return index.scans - before;
}

/** `sampled`: days before today on which samples were taken, latest first. */
function isCovered(index: UnusedCandidate, days: number, sampled: readonly number[]): boolean {
  const earliest = sampled[sampled.length - 1] ?? -1;
  const within = sampled.filter((ago) => ago <= days).length;
  return index.known_days >= days && earliest >= days && within >= days * sampledShare;
}

function judge(
  index: UnusedCandidate,
  settings: UnusedConfig,
  sampled: readonly number[],
  { counted, takeover }: { counted: boolean; takeover: TakenOver | undefined },
): Verdict {
  const days = settings.days_unused;
  const scans = days === 0 ? index.scans : scansWithin(index, days);
  if (scans >= settings.min_scans) return { judged: 'used' };
  if (!counted) return { judged: 'not_counted' };
  if (days > 0 && !isCovered(index, days, sampled)) return { judged: 'window_not_covered' };
  const seenByServer = index.last_scan_days !== null && index.last_scan_days < days;
  if (scans === 0 && seenByServer) return { judged: 'scanned_uncounted' };
  if (index.statistics_unknown) return { judged: 'not_permitted' };
  if (takeover !== undefined && takeover.days < Math.max(days, daysAfterTakeover))
    return { judged: 'took_over' };
  return settings.unlisted_readers ? { judged: 'read_elsewhere' } : { judged: 'unused', scans };
}

interface UnusedIndex {
  index: UnusedCandidate;
  scans: number;
  window: number;
  detail: IndexDetail;
  /** Entries a day that writers add to it; null where that is not known. */
  entries: number | null;
}

/** Why an unused index must not be dropped by us, or null. */
function keptBecause({ index, detail }: UnusedIndex, standbys: boolean): string | null {
  if (index.extension !== null) return `it belongs to extension ${index.extension}`;
  if (index.partitioned) return 'a partitioned index cannot be dropped concurrently';
  if (standbys) return 'queries on standbys may use it, and their scans are not known here';
  if (detail.definition === null) return 'its definition could not be read, so it could not be brought back';
  return null;
}

function scanned(scans: number): string {
  return scans === 0 ? 'never scanned' : scans === 1 ? 'scanned once' : `scanned ${scans} times`;
}

function unusedFinding(unused: UnusedIndex, standbys: boolean, minSizeMb: number): Finding {
  const { index, scans, window, detail, entries } = unused;
  const kept = keptBecause(unused, standbys);
  const when = window === 0 ? ', as far as is known' : ` in the last ${window} days`;
  return {
    kind: unusedIndexKind,
    severity: !standbys && isWorthIt(detail.size_bytes, entries, minSizeMb) ? 'warning' : 'info',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: `Index ${index.quoted} on ${index.quoted_table} was ${scanned(scans)}${when}${
      standbys ? '; queries on standbys are not counted here' : ''
    }.`,
    detail: {
      scans,
      window_days: window,
      size_bytes: detail.size_bytes,
      ...(entries !== null && { entries_per_day: entries }),
      definition: detail.definition,
      index_oid: index.oid,
      partitioned: index.partitioned,
      last_scan_days: index.last_scan_days,
      ...(standbys && { standby_scans: 'unknown' }),
      ...(kept && { kept_because: kept }),
    },
    remedy: index.partitioned ? `drop index ${index.quoted};` : `drop index concurrently ${index.quoted};`,
  };
}

function dropAction({ index, scans, window, detail }: UnusedIndex, finding: Finding): Action {
  return {
    kind: 'drop_index',
    finding,
    target: { schema: index.schema, table: index.table, index: index.index, oid: index.oid },
    reason: 'unused',
    evidence: {
      definition: detail.definition,
      size_bytes: detail.size_bytes,
      scans,
      window_days: window,
      known_days: index.known_days,
    },
  };
}

/** Nothing can be said while scans are not counted: open findings stay as they are. */
function uncountedReport(reason: string): Report {
  return {
    result: { cleanup: { unused_indexes_found: null, unused_indexes_reason: reason } },
    findings: [],
    alerts: [{ severity: 'warning', message: `unused indexes cannot be told: ${reason}` }],
    actions: [],
    examined: [],
    coverage: {
      examined: 0,
      of: null,
      unexamined: [{ what: 'scans of indexes', reason: 'not_counted', detail: reason }],
    },
  };
}

interface JudgedIndex {
  index: UnusedCandidate;
  /** Days. */
  window: number;
  judged: Verdict['judged'];
}

/** Days until the window of the last of these is covered, as far as samples go. */
function daysToWait(undecided: readonly JudgedIndex[], sampled: readonly number[]): number {
  const earliest = sampled[sampled.length - 1] ?? 0;
  const left = undecided.map(({ index, window }) => window - Math.min(index.known_days, earliest));
  return Math.max(1, Math.ceil(Math.max(...left)));
}

/**
 * A window that is not covered yet is known later by itself: it is said, and makes no run partial, or none of the first week
 * would be complete. What standbys scan concerns only an index that is unused here.
 */
function* notJudged(
  judged: readonly JudgedIndex[],
  sampled: readonly number[],
  standbys: boolean,
): Program<Unexamined[]> {
  const names = (verdict: Verdict['judged']): string[] =>
    judged.filter((each) => each.judged === verdict).map(({ index }) => index.quoted);
  const early = judged.filter(({ judged: verdict }) => verdict === 'window_not_covered');
  const hidden = names('not_permitted');
  return [
    ...unexaminedClass(
      'indexes whose window is not covered by samples yet',
      'not_yet',
      names('window_not_covered'),
    ).map((each) => ({
      ...each,
      detail: `known in ${daysToWait(early, sampled)} days: ${each.detail ?? ''}`,
    })),
    ...unexaminedClass('indexes scanned while scans were not sampled', 'not_yet', names('scanned_uncounted')),
    ...unexaminedClass(
      'indexes that took over the work of one dropped as redundant',
      'not_yet',
      names('took_over'),
    ),
    ...unexaminedClass('indexes whose scans are not counted here', 'not_counted', names('not_counted')),
    ...unexaminedClass(
      'scans of indexes by servers that this one does not list',
      'elsewhere',
      names('read_elsewhere'),
    ),
    ...unexaminedClass(
      'indexes on expressions whose statistics may be in use',
      'not_permitted',
      hidden,
      hidden.length > 0 ? yield* grantOf('pg_read_all_data') : null,
    ),
    ...(standbys ? unexaminedClass('scans of indexes on standbys', 'elsewhere', names('unused')) : []),
  ];
}

const config = {
  enabled: { type: 'boolean', default: true, doc: 'Sample index scans and look for unused indexes.' },
  min_scans: {
    type: 'integer',
    default: 10,
    minimum: 1,
    maximum: 1_000_000_000,
    scoped: true,
    doc: 'An index with fewer scans than this in the window is unused.',
  },
  days_unused: {
    type: 'integer',
    unit: 'days',
    default: 7,
    minimum: 0,
    maximum: 365,
    scoped: true,
    doc: 'Length of the window. No verdict before it has been watched without a gap. 0: judge on what is known now.',
  },
  min_size_mb: {
    ...minSizeSetting,
    doc: 'An unused index smaller than this is of severity info, unless its table takes very many writes: there is little to win.',
  },
  unlisted_readers: {
    type: 'boolean',
    default: false,
    scoped: true,
    doc: 'Servers that this one does not list read the database, such as standbys fed from the WAL archive or from shared storage. Their scans are not known, so nothing is called unused.',
  },
  auto_cleanup: {
    type: 'boolean',
    default: false,
    scoped: true,
    doc: 'Queue the removal of unused indexes. Off: report only.',
  },
} as const;

/** Judges by the samples that there are. */
function* report(context: Context<typeof config>, state: StatisticsState): Program<Report> {
  const { min_scans, days_unused } = context.config;
  const sampled = yield* sampleDays(context.now);
  const drops = yield* openDrops();
  const candidates = yield* unusedCandidates(
    context.now,
    days_unused,
    min_scans,
    {
      mayReadPgStatistic: state.may_read_pg_statistic,
      knowsLastScan: context.serverVersion >= lastScanSince,
    },
    droppedElsewhere(unusedIndexesStep, drops, state.standbys),
  );
  const distributed = yield* distributedTables();
  const decided = decidedBefore(unusedIndexesStep, drops, state.standbys);
  const takeovers = new Map((yield* takenOver(context.now)).map((takeover) => [takeover.oid, takeover]));
  const judged = candidates
    .filter(({ oid }) => !decided.has(oid))
    .map((index) => {
      const settings = context.configFor(index);
      const counted = index.counts_scans && distributed !== null && !distributed.includes(index.table_oid);
      const verdict = judge(index, settings, sampled, { counted, takeover: takeovers.get(index.oid) });
      return { index, window: settings.days_unused, ...verdict };
    });
  const unused = judged.filter((verdict) => verdict.judged === 'unused');
  const undecided = judged.filter(({ judged: verdict }) => verdict !== 'unused' && verdict !== 'used');

  const detailOf = yield* indexDetails(unused.map(({ index }) => index.oid));
  const entriesOf = yield* entriesPerDay(context.now);
  const found = byGain(
    unused.map(({ index, scans, window }) => {
      const entries = entriesOf(index.table_oid);
      const one: UnusedIndex = { index, scans, window, detail: detailOf(index.oid), entries };
      const finding = unusedFinding(one, state.standbys, context.configFor(index).min_size_mb);
      return { one, finding };
    }),
    ({ one }) => ({ size: one.detail.size_bytes, name: one.index.quoted }),
  );
  const actions = found
    .filter(
      ({ one }) => keptBecause(one, state.standbys) === null && context.configFor(one.index).auto_cleanup,
    )
    .map(({ one, finding }) => dropAction(one, finding));

  const cleanup: JsonObject = { unused_indexes_found: found.length };
  if (undecided.length > 0) cleanup['unused_indexes_undecided'] = countBy(undecided);
  if (state.standbys) cleanup['unused_indexes_on_standbys'] = 'unknown';
  const findings = found.map(({ finding }) => finding);
  const loud = context.unmuted(findings);
  return {
    result: { cleanup },
    findings,
    alerts:
      loud.length === 0
        ? []
        : [
            {
              severity: 'info',
              message: `unused indexes found: ${loud.length}, to be removed: ${countActionsOf(loud, actions)}`,
            },
          ],
    actions,
    examined: [unusedIndexKind],
    keepOpen: undecided
      .filter(({ judged: verdict }) => passing.has(verdict))
      .map(({ index }) => ({
        kind: unusedIndexKind,
        schema: index.schema,
        table: index.table,
        object: index.index,
      })),
    superseded: superseded(unusedIndexesStep, drops, new Set(found.map(({ one }) => one.index.oid))),
    coverage: examinedAllBut(
      candidates.length,
      undecided.length,
      yield* notJudged(judged, sampled, state.standbys),
    ),
  };
}

export default defineStep({
  number: unusedIndexesStep,
  name: 'unused_indexes',
  title: 'Clean up unused indexes',
  feature: 'features.index_cleanup',
  kinds: [unusedIndexKind],
  config,
  interval: () => 0,
  actionCounts: { unused_indexes_removed: 'drop_index' },
  unexamined: { cleanup: { unused_indexes_found: null, unused_indexes_removed: null } },

  *check(context) {
    const { days_unused } = context.config;
    const state = yield* statisticsState();
    if (state.not_counted !== null) {
      yield* noteUncounted(context.now, state.not_counted, days_unused);
      return uncountedReport(state.not_counted);
    }
    yield* sampleIndexUsage(context.now, state, days_unused);
    return yield* report(context, state);
  },

  *recheck(context) {
    const state = yield* statisticsState();
    return state.not_counted === null ? yield* report(context, state) : uncountedReport(state.not_counted);
  },
});

/** Reason -> number of indexes that could not be judged for it. */
function countBy(undecided: readonly { judged: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { judged } of undecided) counts[judged] = (counts[judged] ?? 0) + 1;
  return counts;
}
