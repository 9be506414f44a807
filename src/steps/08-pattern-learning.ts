/**
 * Step 8: shapes of statements that were slow, and why, and shapes that were fast, over the last 24 hours. From
 * differences between snapshots of pg_stat_statements, which this step and the worker take. It suggests; it changes
 * nothing itself.
 */
import { firstSnapshot, lossesOf, missingStatements } from '../catalog/history-coverage.ts';
import { writeCosts } from '../catalog/index-write-cost.ts';
import { keepPatterns } from '../catalog/learned-patterns.ts';
import type { LearnedPattern } from '../catalog/learned-patterns.ts';
import { namedRelations } from '../catalog/parsed-statement.ts';
import { sampleWorkload, takeQuerySnapshot } from '../catalog/query-history.ts';
import type { Snapshot } from '../catalog/query-history.ts';
import { historyWindow, mayReadRemedy, seenPatterns, serverFacts } from '../catalog/query-patterns.ts';
import type { HistoryWindow, SeenPattern } from '../catalog/query-patterns.ts';
import { tablesNamed } from '../catalog/query-tables.ts';
import type { QueryTable, Resolved } from '../catalog/query-tables.ts';
import { isChatty, judgeSlow, tablesOf } from '../catalog/slow-causes.ts';
import type { JudgedWith } from '../catalog/slow-causes.ts';
import { hypopgIsInstalled, wantPlans } from '../catalog/statement-plan.ts';
import { tableStatistics } from '../catalog/table-statistics.ts';
import type { TableStatistics } from '../catalog/table-statistics.ts';
import { leftToWorker } from '../catalog/worker-alive.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Unexamined, UnexaminedReason } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { figuresOf, slowFinding, slowPatternKind } from './patterns/findings.ts';
import type { Known } from './patterns/findings.ts';
import { help, triedIndex, wantsPlan } from './patterns/suggestions.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject, Report } from './step.ts';

/** Plans are asked for the shapes that took most time: one takes a millisecond or, over many partitions, some hundred. */
const plannedPatterns = 20;

/** Findings of each kind; maint.query_patterns has them all. More of them nobody reads. */
const listedPatterns = 50;

/**
 * A statement called less often is not called chatty, whatever there is of transactions: some calls too many are no loss. As
 * a day has 86,400 seconds this is about once in a minute and a half.
 */
const chattyMinimumCalls = 1000;

/** Nothing could be learned: open findings stay, patterns are kept until they expire. */
function unlearned(because: Unexamined, more: JsonObject): Report {
  const { reason } = because;
  return {
    result: {
      cleanup: { pattern_learning: { slow_patterns: null, fast_patterns: null, status: reason, ...more } },
    },
    findings: [],
    alerts: [],
    actions: [],
    examined: [],
    coverage: { examined: 0, of: null, unexamined: [because] },
  };
}

const notUnderstood = (count: number): Unexamined => ({
  what: 'causes of statements that no parser understands',
  reason: 'not_supported',
  detail: `${count} patterns`,
});

function windowResult(window: HistoryWindow): JsonObject {
  const { from, to, intervals, counters_lost, evictions, total_exec_ms, rest_exec_ms } = window;
  return {
    window: { since: from, until: to, snapshots: intervals },
    // True: the figures are at least so high, as what was counted before a reset or an eviction is lost.
    counters_lost,
    evictions,
    share_of_time_not_kept: total_exec_ms > 0 ? Math.round((rest_exec_ms / total_exec_ms) * 1000) / 1000 : 0,
  };
}

function* hiddenStatements(count: number): Program<JsonObject> {
  const remedy = yield* mayReadRemedy();
  return {
    reason: 'not_permitted',
    detail: `${count} statements of other roles can't be read`,
    remedy,
  };
}

interface Limits {
  slow_ms: number;
  fast_ms: number;
  slow_occurrences: number;
  fast_occurrences: number;
}

/** Slow by the time of a call, or chatty; fast only where neither. Null where it is nothing to learn from. */
function kindOf(
  pattern: SeenPattern,
  limits: Limits,
  with_: Parameters<typeof isChatty>[1],
): 'slow' | 'fast' | null {
  const mean = pattern.total_exec_ms / pattern.calls;
  if (mean >= limits.slow_ms) return pattern.calls >= limits.slow_occurrences ? 'slow' : null;
  if (isChatty(pattern, with_)) return 'slow';
  const readsTables = pattern.shape === null || namedRelations(pattern.shape).length > 0;
  return mean <= limits.fast_ms && pattern.calls >= limits.fast_occurrences && readsTables ? 'fast' : null;
}

function learnedPattern(
  kind: 'slow' | 'fast',
  pattern: SeenPattern,
  { figures, tableNames }: Known,
  helped: { causes: JsonObject[]; suggestions: JsonObject[] },
): LearnedPattern {
  return {
    key: pattern.key,
    kind,
    text: pattern.text,
    parsed: pattern.shape !== null,
    tables: [...tableNames],
    statements: pattern.statements,
    ...figures,
    reasons: helped.causes,
    suggestions: helped.suggestions,
  };
}

/** As psql needs it, or as it is written with the reason why it could not be resolved. */
function nameOf(
  use: { schema: string | null; name: string },
  resolved: Resolved,
): { name: string; because: string | null } {
  if ('table' in resolved) return { name: resolved.table.quoted, because: null };
  const name = use.schema === null ? use.name : `${use.schema}.${use.name}`;
  return { name, because: 'system' in resolved ? 'a catalog' : resolved.because };
}

function* statisticsByTable(now: string, wanted: boolean): Program<Map<number, TableStatistics>> {
  return wanted ? new Map((yield* tableStatistics(now)).map((one) => [one.oid, one])) : new Map();
}

/** Without the texts: those of other roles are not for all who may read this. The findings have the reason of each. */
function* unplanned(now: string, reasons: readonly (UnexaminedReason | 'waiting')[]): Program<Unexamined[]> {
  const entries: Unexamined[] = [];
  for (const reason of [...new Set(reasons)].sort()) {
    const what = 'plans of slow statements';
    const detail = `${reasons.filter((each) => each === reason).length} patterns`;
    entries.push(reason === 'waiting' ? yield* leftToWorker(now, what, detail) : { what, reason, detail });
  }
  return entries;
}

export default defineStep({
  number: 8,
  name: 'pattern_learning',
  title: 'Learn query patterns',
  feature: 'features.pattern_learning',
  kinds: [slowPatternKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Keep a history of statements and learn from it.' },
    interval: {
      type: 'integer',
      unit: 'seconds',
      default: 3600,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two runs of this check; 0 for every run.',
    },
    snapshot_interval: {
      type: 'integer',
      unit: 'seconds',
      // What a reset or an eviction takes away is what happened since the last snapshot. Below a minute the snapshots
      // themselves would begin to show in the load; above an hour a busy server forgets too much.
      default: 300,
      minimum: 0,
      maximum: 86_400,
      doc: 'How often a worker takes a snapshot of pg_stat_statements between the runs; 0: runs alone take them.',
    },
    statements_kept: {
      type: 'integer',
      // All of a usual application. Each takes some 170 bytes an interval; the rest is summed up, so totals stay true.
      default: 300,
      minimum: 10,
      maximum: 5000,
      doc: 'So many statements with the most time, and as many with the most calls, are kept one by one in each interval.',
    },
    history_days: {
      type: 'integer',
      unit: 'days',
      default: 7,
      minimum: 2,
      maximum: 365,
      doc: 'How long the history of statements is kept, by the hour.',
    },
    slow_ms: {
      type: 'number',
      unit: 'milliseconds',
      // A person notices a tenth of a second. Too low reports what nobody minds; too high leaves out what adds up.
      default: 100,
      minimum: 0.001,
      maximum: 3_600_000,
      doc: 'A shape whose calls take so long on average is slow.',
    },
    fast_ms: {
      type: 'number',
      unit: 'milliseconds',
      // A search by an index with the planning of it. What lies between the two is neither.
      default: 10,
      minimum: 0.001,
      maximum: 3_600_000,
      doc: 'A shape whose calls take no longer on average is fast, unless it is slow.',
    },
    slow_occurrences: {
      type: 'integer',
      default: 3,
      minimum: 1,
      maximum: 1_000_000_000,
      doc: 'Calls in 24 hours before a shape is called slow.',
    },
    fast_occurrences: {
      type: 'integer',
      default: 10,
      minimum: 1,
      maximum: 1_000_000_000,
      doc: 'Calls in 24 hours before a shape is called fast.',
    },
    chatty_calls_per_transaction: {
      type: 'number',
      // Over all transactions of the database, also those that do not call it: ten on average is a loop for sure.
      default: 10,
      minimum: 2,
      maximum: 1_000_000,
      doc: 'A statement for single rows that is called so often for each transaction of the database is slow by its number.',
    },
    expiry_days: {
      type: 'integer',
      unit: 'days',
      default: 7,
      minimum: 1,
      maximum: 365,
      doc: 'A pattern that was not learned again for so long is forgotten.',
    },
  },
  interval: (config) => config.interval,
  unexamined: { cleanup: { pattern_learning: { slow_patterns: null, fast_patterns: null } } },

  *check({ config, now }) {
    const snapshot: Snapshot = yield* takeQuerySnapshot(now);
    yield* sampleWorkload(now);
    if (snapshot.status !== 'taken' && snapshot.status !== 'busy') {
      const { status, detail, remedy } = snapshot;
      return unlearned(missingStatements(status, snapshot), { detail, remedy });
    }
    const window = yield* historyWindow(now);
    if (window.from === null || window.to === null) {
      return unlearned(firstSnapshot, { detail: firstSnapshot.detail ?? null });
    }
    const { transactions, block_size: blockSize, work_mem: workMem } = yield* serverFacts(now);
    const chatty = {
      transactions,
      chattyCallsPerTransaction: config.chatty_calls_per_transaction,
      chattyMinimumCalls,
    };
    const patterns = (yield* seenPatterns(now, config.slow_occurrences, config.fast_occurrences)).filter(
      ({ own, shape }) => !own && shape?.verb !== 'utility',
    );
    const ofKind = (kind: 'slow' | 'fast'): SeenPattern[] =>
      patterns.filter((pattern) => kindOf(pattern, config, chatty) === kind);
    const slow = ofKind('slow');
    const fast = ofKind('fast').sort((a, b) => b.calls - a.calls || (a.key < b.key ? -1 : 1));

    const resolve = yield* tablesNamed(
      [...slow, ...fast].flatMap(({ shape }) => (shape ? namedRelations(shape) : [])),
    );
    const known = (pattern: SeenPattern): Known => {
      const names = (pattern.shape ? namedRelations(pattern.shape) : []).map((use) =>
        nameOf(use, resolve(use)),
      );
      return {
        figures: figuresOf(pattern, window.total_exec_ms),
        tables: tablesOf(pattern, resolve),
        tableNames: names.map(({ name, because }) => (because === null ? name : `${name} (${because})`)),
        unresolved: names.find(({ because }) => because !== null)?.because ?? null,
      };
    };
    const statistics = yield* statisticsByTable(now, slow.length > 0);
    const judgedWith: JudgedWith = {
      resolve,
      statisticsOf: ({ oid }: QueryTable) => statistics.get(oid),
      ...chatty,
      slowMs: config.slow_ms,
      blockSize,
    };
    const judged = slow.map((pattern) => ({ pattern, ...judgeSlow(pattern, judgedWith) }));
    const ideas = judged.flatMap((one) => one.ideas);
    const writeCost = yield* writeCosts(now, [...new Set(ideas.map(({ table }) => table.oid))]);
    const hypopg = ideas.length > 0 && (yield* hypopgIsInstalled());

    const planOf = yield* wantPlans(
      judged.slice(0, plannedPatterns).flatMap(({ pattern, causes, ideas: wanted }) => {
        const { text_id, user_oid } = pattern;
        if (known(pattern).unresolved !== null || !wantsPlan({ causes, ideas: wanted }, pattern)) return [];
        const tried = hypopg ? wanted.map(triedIndex) : [];
        return [{}, ...tried].map((hypothetical) => ({ text_id, user_oid, hypothetical }));
      }),
      now,
    );

    const learned: LearnedPattern[] = [];
    const findings: Finding[] = [];
    for (const [place, { pattern, causes, ideas: wanted }] of judged.entries()) {
      const of = known(pattern);
      const helped = help(pattern, { causes, ideas: wanted }, of.tables, {
        hypopg,
        writeCost,
        workMem,
        notPlannedBecause:
          place < plannedPatterns ? of.unresolved : 'more slow patterns than are planned in one run',
        planOf: (index) => planOf(pattern.text_id, pattern.user_oid, index),
      });
      learned.push(learnedPattern('slow', pattern, of, helped));
      if (place < listedPatterns) findings.push(slowFinding(pattern, of, helped));
    }
    for (const pattern of fast)
      learned.push(learnedPattern('fast', pattern, known(pattern), { causes: [], suggestions: [] }));
    yield* keepPatterns(learned, now, { from: window.from, to: window.to }, config.expiry_days);

    const notPlanned = judged.slice(0, plannedPatterns).flatMap(({ pattern, ...found }) => {
      if (known(pattern).unresolved !== null || !wantsPlan(found, pattern)) return [];
      const planned = planOf(pattern.text_id, pattern.user_oid, null);
      return 'because' in planned && planned.reason !== null ? [planned.reason] : [];
    });
    const notParsed = [...slow, ...fast].filter(({ shape }) => shape === null);
    const waiting = notParsed.filter(({ parsed_at }) => parsed_at === null);
    const hidden = window.unreadable > 0 ? yield* hiddenStatements(window.unreadable) : null;
    // None among those that could be read says nothing of the others.
    const count = (found: readonly unknown[]): number | null =>
      hidden !== null && found.length === 0 ? null : found.length;
    return {
      result: {
        cleanup: {
          pattern_learning: {
            slow_patterns: count(slow),
            fast_patterns: count(fast),
            status: 'learned',
            ...(hidden && { unexamined: hidden }),
            not_parsed_yet: waiting.length,
            ...windowResult(window),
          },
        },
      },
      findings,
      alerts: [],
      actions: [],
      examined: hidden === null ? [slowPatternKind] : [],
      coverage: examinedAllBut(patterns.length + window.unreadable, window.unreadable, [
        ...(yield* lossesOf(window)),
        // Not their texts: those of other roles are not for all who may read this.
        ...(notParsed.length === waiting.length ? [] : [notUnderstood(notParsed.length - waiting.length)]),
        ...(waiting.length === 0
          ? []
          : [yield* leftToWorker(now, 'statements that are not parsed', `${waiting.length} patterns`)]),
        ...(yield* unplanned(now, notPlanned)),
      ]),
    };
  },
});
