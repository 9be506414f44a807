/**
 * Step 9: tables whose statistics no longer say what is in them. What changed since the last ANALYZE decides, not its
 * age alone: what nobody writes to stays as it was. The worst are analysed by the worker, a few in each run.
 */
import { countsAreTracked } from '../catalog/materialized-views.ts';
import { refreshActivity } from '../catalog/sessions.ts';
import { statisticsPresence, tableStatistics } from '../catalog/table-statistics.ts';
import type { StatisticsPresence, TableStatistics } from '../catalog/table-statistics.ts';
import { examinedAllBut, unexaminedByReason, unexaminedClass } from '../core/coverage.ts';
import type { UnexaminedReason } from '../core/coverage.ts';
import { attempt } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';
import { defineStep } from './step.ts';
import type { Action, Finding, JsonObject } from './step.ts';

export const staleStatisticsKind = 'statistics.stale';

/** As the seed has it: an ANALYZE reads some 30,000 pages, and more than a few at once compete with the users. */
const tablesPerRun = 10;

/** The result names this many tables that could not be examined, and counts them all. */
const namedTables = 20;

/** Of the server as built; where it was built with others, the size is asked for, as it is below the limit too. */
const bytesPerPage = 8192;

type Reason = 'never_analyzed' | 'changed' | 'old_and_changed';

interface Stale {
  table: TableStatistics;
  reason: Reason;
  bytes: number;
}

interface Unknown {
  table: TableStatistics;
  because: UnexaminedReason;
}

interface Limits {
  stale_threshold_hours: number;
  min_table_size_mb: number;
}

/** What makes it stale as far as the counters know; `never_analyzed` still has to be told from lost counters. */
function reasonOf(table: TableStatistics, limits: Limits): Reason | null {
  if (table.changes > table.threshold) return 'changed';
  if (table.age_hours === null) return 'never_analyzed';
  return table.changes > 0 && table.age_hours >= limits.stale_threshold_hours ? 'old_and_changed' : null;
}

function* presenceOf(
  tables: readonly TableStatistics[],
): Program<Map<number, StatisticsPresence> | UnexaminedReason> {
  if (tables.length === 0) return new Map();
  const outcome = yield* attempt(() => statisticsPresence(tables.map(({ oid }) => oid)));
  if (!outcome.ok) return unexaminedReason(outcome.failure.sqlstate) ?? 'failed';
  return new Map(outcome.value.map((each) => [each.oid, each]));
}

interface Judged {
  stale: Stale[];
  unknown: Unknown[];
}

function judge(
  candidates: readonly { table: TableStatistics; reason: Reason }[],
  presence: Map<number, StatisticsPresence> | UnexaminedReason,
  limitsOf: (table: TableStatistics) => Limits,
): Judged {
  const stale: Stale[] = [];
  const unknown: Unknown[] = [];
  for (const { table, reason } of candidates) {
    const minimum = limitsOf(table).min_table_size_mb * 1024 * 1024;
    const known = typeof presence === 'string' ? undefined : presence.get(table.oid);
    // Dropped between the two questions.
    if (!known && typeof presence !== 'string') continue;
    const bytes = known?.bytes ?? null;
    if (bytes === null) {
      // The last count of pages is enough to tell that it is large, and not that it is small.
      if (table.pages * bytesPerPage < minimum || reason === 'never_analyzed') {
        unknown.push({ table, because: typeof presence === 'string' ? presence : 'locked' });
        continue;
      }
    } else if (bytes < minimum || bytes === 0) continue;
    if (reason === 'never_analyzed' && known) {
      // The counters start anew after a crash or a reset: statistics that are there were made by somebody.
      if (known.present) continue;
      if (!known.readable && (table.rows !== null || table.partitioned)) {
        unknown.push({ table, because: 'not_permitted' });
        continue;
      }
    }
    stale.push({ table, reason, bytes: bytes ?? table.pages * bytesPerPage });
  }
  return { stale, unknown };
}

/** Worst first: without any statistics, then by how far the changes are beyond what autovacuum would wait for. */
function worstFirst(stale: readonly Stale[]): Stale[] {
  const share = ({ table }: Stale): number => table.changes / Math.max(table.threshold, 1);
  return [...stale].sort(
    (a, b) =>
      Number(b.reason === 'never_analyzed') - Number(a.reason === 'never_analyzed') ||
      (a.reason === 'never_analyzed' ? b.bytes - a.bytes : share(b) - share(a)) ||
      a.table.oid - b.table.oid,
  );
}

function summaryOf({ table, reason }: Stale): string {
  const what = table.partitioned ? 'Partitioned table' : 'Table';
  if (reason === 'never_analyzed') return `${what} ${table.quoted} has no statistics: it was never analyzed.`;
  const rows = table.changes === 1 ? 'row' : 'rows';
  const since =
    table.age_hours === null
      ? 'since its changes are counted'
      : `since it was analyzed ${Math.floor(table.age_hours)} hours ago`;
  const whose = table.partitioned
    ? 'partitioned table '
    : table.parent
      ? 'the tables that inherit from '
      : '';
  return `Statistics of ${whose}${table.quoted} are stale: at least ${table.changes} ${rows} changed ${since}.`;
}

function findingOf(stale: Stale): Finding {
  const { table, reason, bytes } = stale;
  return {
    kind: staleStatisticsKind,
    severity: reason === 'old_and_changed' ? 'info' : 'warning',
    schema: table.schema,
    table: table.table,
    object: table.table,
    summary: summaryOf(stale),
    detail: {
      reason,
      changes: table.changes,
      threshold: Math.floor(table.threshold),
      rows: table.rows,
      size_bytes: bytes,
      age_hours: table.age_hours,
      partitioned: table.partitioned,
      autovacuum: table.autovacuum,
    },
    remedy: `analyze ${table.quoted};`,
  };
}

const notCounted = {
  what: 'changes of tables',
  reason: 'not_counted',
  detail: 'the server counts no changes: track_counts is off',
  remedy: 'alter system set track_counts = on; select pg_reload_conf();',
} as const;

function actionOf({ table, reason }: Stale, finding: Finding): Action {
  return {
    kind: 'analyze_table',
    finding,
    target: { schema: table.schema, table: table.table, oid: table.oid },
    reason,
    evidence: { ...finding.detail },
  };
}

export default defineStep({
  number: 9,
  name: 'refresh_statistics',
  title: 'Refresh statistics',
  feature: 'features.statistics_refresh',
  kinds: [staleStatisticsKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for tables with stale statistics.' },
    auto_refresh: {
      type: 'boolean',
      default: true,
      scoped: true,
      doc: 'Queue an ANALYZE of the worst, at most 10 a run. Off: report only.',
    },
    interval_hours: {
      type: 'number',
      unit: 'hours',
      default: 24,
      minimum: 0,
      maximum: 8760,
      doc: 'Time between two runs of this check; 0 for every run.',
    },
    stale_threshold_hours: {
      type: 'number',
      unit: 'hours',
      default: 24,
      minimum: 0,
      maximum: 87_600,
      scoped: true,
      doc: 'Statistics of this age are stale when anything at all changed since; younger ones when more changed than autovacuum would wait for.',
    },
    min_table_size_mb: {
      type: 'number',
      unit: 'megabytes',
      default: 10,
      minimum: 0,
      maximum: 1_000_000_000,
      scoped: true,
      doc: 'Smaller tables are left to autovacuum: a wrong plan for them costs little.',
    },
  },
  interval: (config) => config.interval_hours * 3600,
  actionCounts: { 'statistics_refresh.tables_analyzed': 'analyze_table' },
  unexamined: {
    cleanup: { statistics_refresh: { stale_tables_found: null, tables_analyzed: null, success: null } },
  },

  *check({ configFor, now }) {
    yield* refreshActivity();
    const tracked = yield* countsAreTracked();
    const tables = yield* tableStatistics(now);
    const configOf = (table: TableStatistics): ReturnType<typeof configFor> =>
      configFor({ schema: table.schema, table: table.table });
    const candidates = tables.flatMap((table) => {
      const reason = table.being_analyzed ? null : reasonOf(table, configOf(table));
      return reason === null ? [] : { table, reason };
    });
    const presence = yield* presenceOf(candidates.map(({ table }) => table));
    const judged = judge(candidates, presence, configOf);
    // An ANALYZE of the root is one of all its partitions.
    const roots = new Set(judged.stale.map(({ table }) => table.oid));
    const stale = worstFirst(
      judged.stale.filter(({ table }) => table.root_oid === null || !roots.has(table.root_oid)),
    );
    const found = stale.map((each) => ({ stale: each, finding: findingOf(each) }));
    const actions = found
      .filter((each) => configOf(each.stale.table).auto_refresh)
      .slice(0, tablesPerRun)
      .map((each) => actionOf(each.stale, each.finding));

    const refresh: JsonObject = {
      stale_tables_found: tracked || found.length > 0 ? found.length : null,
      tables_examined: tables.length - judged.unknown.length,
      success: tracked && judged.unknown.length === 0 ? true : null,
    };
    if (!tracked) refresh['reason'] = notCounted.detail;
    if (judged.unknown.length > 0) {
      refresh['unexamined'] = {
        count: judged.unknown.length,
        tables: judged.unknown
          .slice(0, namedTables)
          .map(({ table, because }) => ({ table: table.quoted, because })),
      };
    }
    const busy = tables.filter((table) => table.being_analyzed);
    return {
      result: { cleanup: { statistics_refresh: refresh } },
      findings: found.map(({ finding }) => finding),
      alerts: [],
      actions,
      examined: tracked ? [staleStatisticsKind] : [],
      keepOpen: [...judged.unknown.map(({ table }) => table), ...busy].map(({ schema, table }) => ({
        kind: staleStatisticsKind,
        schema,
        table,
        object: table,
      })),
      coverage: examinedAllBut(tables.length, tracked ? judged.unknown.length + busy.length : tables.length, [
        ...(tracked ? [] : [notCounted]),
        ...unexaminedByReason(
          'tables',
          judged.unknown.map(({ table, because }) => ({ name: table.quoted, reason: because })),
        ),
        ...unexaminedClass(
          'tables that are being analyzed',
          'not_yet',
          busy.map(({ quoted }) => quoted),
        ),
      ]),
    };
  },
});
