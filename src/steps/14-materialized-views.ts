/**
 * Step 14: materialized views that can't be read, can't be refreshed without locking readers out, or lag behind their
 * base tables; the order to refresh them in; indexes that the statements seen would use. It changes nothing itself.
 */
import { writeCosts } from '../catalog/index-write-cost.ts';
import type { WriteCost } from '../catalog/index-write-cost.ts';
import { countsAreTracked, keepMatviewSamples, materializedViews } from '../catalog/materialized-views.ts';
import type { MaterializedView, MatviewRecord } from '../catalog/materialized-views.ts';
import { matviewIndexSuggestions } from '../catalog/matview-index-suggestions.ts';
import type { MatviewIndexSuggestion } from '../catalog/matview-index-suggestions.ts';
import { inRefreshOrder, isNews, nextSample } from '../catalog/matview-staleness.ts';
import { seenStatements } from '../catalog/statements.ts';
import { examinedAllBut, unexaminedByReason } from '../core/coverage.ts';
import type { UnexaminedReason } from '../core/coverage.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const unpopulatedKind = 'matview.unpopulated';
export const noUniqueIndexKind = 'matview.no_unique_index';
export const staleKind = 'matview.stale';
export const indexSuggestionKind = 'matview.index_suggestion';

/** The result names this many views of each list: more is no longer read there, and maint.findings has them all. */
const listedViews = 100;

type Identity = Pick<Finding, 'kind' | 'schema' | 'table' | 'object'>;

function identity(kind: string, view: MaterializedView): Identity {
  return { kind, schema: view.schema, table: view.name, object: view.name };
}

function canRefreshConcurrently(view: MaterializedView): boolean {
  return view.indexes.some(({ unusable_because: because }) => because === null);
}

function ownerDetail({ extension }: MaterializedView): JsonObject {
  return extension === null ? {} : { extension };
}

/** Refreshes of the view and, before it, of those it reads that need one themselves. */
function refreshStatements(view: MaterializedView, needy: readonly MaterializedView[]): string {
  const all = new Map(needy.map((one) => [one.oid, one]));
  const wanted = new Map<number, MaterializedView>();
  const collect = (one: MaterializedView): void => {
    wanted.set(one.oid, one);
    for (const oid of one.reads) {
      const below = all.get(oid);
      if (below && !wanted.has(oid)) collect(below);
    }
  };
  collect(view);
  return inRefreshOrder([...wanted.values()])
    .map((one) => {
      const concurrently = one.populated && canRefreshConcurrently(one) ? ' concurrently' : '';
      return `refresh materialized view${concurrently} ${one.quoted};`;
    })
    .join('\n');
}

function unpopulatedFinding(view: MaterializedView, needy: readonly MaterializedView[]): Finding {
  return {
    ...identity(unpopulatedKind, view),
    severity: 'warning',
    summary: `Materialized view ${view.quoted} has never been filled: every query of it fails.`,
    detail: ownerDetail(view),
    remedy: refreshStatements(view, needy),
  };
}

function noUniqueIndexFinding(view: MaterializedView): Finding {
  const column = view.columns.find(({ sortable, unique_by_statistics: unique }) => sortable && unique);
  const unusable = view.indexes.filter(
    ({ unusable_because: because }) => because !== null && because !== 'not_unique',
  );
  return {
    ...identity(noUniqueIndexKind, view),
    severity: 'info',
    summary: `Materialized view ${view.quoted} has no unique index on plain columns over all rows: a refresh locks its readers out.`,
    detail: {
      ...ownerDetail(view),
      unusable_indexes: unusable.map(({ name, unusable_because: because }) => ({ name, because })),
      ...(!column && {
        no_remedy_because: view.statistics_known
          ? 'the statistics say of no single column that its values are unique'
          : 'statistics of its columns are missing or may not be read; analyze it, or name the columns yourself',
      }),
    },
    remedy: column ? `create unique index concurrently on ${view.quoted} (${column.quoted});` : null,
  };
}

interface Judged {
  view: MaterializedView;
  record: MatviewRecord;
  /** Hours since it was first seen as it is; 0 where that is now. */
  ageHours: number;
}

function staleFinding({ view, record, ageHours }: Judged, needy: readonly MaterializedView[]): Finding {
  const hours = Math.floor(ageHours);
  const rows = record.changes === 1 ? 'row was' : 'rows were';
  return {
    ...identity(staleKind, view),
    severity: 'warning',
    summary: `Materialized view ${view.quoted} is stale: at least ${record.changes} ${rows} written to its base tables, and it was not refreshed for ${hours} hours or more.`,
    detail: {
      ...ownerDetail(view),
      changes: record.changes,
      not_refreshed_since: record.refreshed_before,
      not_counted: view.uncounted,
    },
    remedy: refreshStatements(view, needy),
  };
}

/** Why nothing can be said about what changed below the view; null where it can. */
function staleUnknownBecause(
  view: MaterializedView,
  tracked: boolean,
): { because: string; reason: UnexaminedReason } | null {
  if (!tracked) return { because: 'the server counts no writes: track_counts is off', reason: 'not_counted' };
  if (!view.sample) return { because: 'seen for the first time', reason: 'not_yet' };
  if (view.uncounted.length > 0)
    return {
      because: `no counter tells what changes in ${view.uncounted.join(', ')}`,
      reason: 'not_supported',
    };
  if (Object.keys(view.base).length === 0)
    return { because: 'it reads no table whose writes are counted', reason: 'not_supported' };
  return null;
}

/** The calls that an index would serve for each entry that concurrent refreshes add to it: the best suggestion first. */
function callsForEachEntry(idea: { suggestion: MatviewIndexSuggestion; cost: WriteCost | null }): number {
  return idea.suggestion.calls / (1 + (idea.cost?.new_entries ?? 0));
}

function suggestionFinding(
  view: MaterializedView,
  suggestion: MatviewIndexSuggestion,
  writeCost: WriteCost | null,
): Finding {
  const { columns, calls, example, statement } = suggestion;
  return {
    ...identity(indexSuggestionKind, view),
    discriminator: JSON.stringify(columns),
    severity: 'info',
    summary: `An index on ${columns.length === 1 ? 'a column' : `${columns.length} columns`} of materialized view ${view.quoted} would serve statements that were called ${calls} times.`,
    // What its refreshes wrote that were concurrent; a plain one makes every index anew.
    detail: { ...ownerDetail(view), columns, calls, example, write_cost: writeCost },
    remedy: statement,
  };
}

function listed(names: readonly string[]): JsonObject {
  return { count: names.length, names: names.slice(0, listedViews) };
}

export default defineStep({
  number: 14,
  name: 'materialized_views',
  title: 'Check materialized views',
  feature: 'features.materialized_view_support',
  kinds: [unpopulatedKind, noUniqueIndexKind, staleKind, indexSuggestionKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look at materialized views.' },
    interval: {
      type: 'integer',
      unit: 'seconds',
      default: 43_200,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two runs of this check; 0 for every run.',
    },
    stale_hours: {
      type: 'number',
      unit: 'hours',
      // Most are refreshed nightly. Too short calls one stale that is about to be refreshed as planned; too long shows
      // a refresh that no longer runs some hours later.
      default: 24,
      minimum: 0,
      maximum: 87_600,
      scoped: true,
      doc: 'Report a materialized view as stale only when it was not refreshed for this long.',
    },
    stale_changes: {
      type: 'integer',
      // One row can make it wrong. More is for views that may lag, where a refresh costs more than the error.
      default: 1,
      minimum: 1,
      maximum: 1_000_000_000_000,
      scoped: true,
      doc: 'Report a materialized view as stale only when this many rows of its base tables were written since.',
    },
    index_minimum_calls: {
      type: 'integer',
      // Each index makes a refresh dearer: a suggestion for a statement run by hand is worse than one that comes later.
      default: 100,
      minimum: 1,
      maximum: 1_000_000_000,
      scoped: true,
      doc: 'Suggest an index only for statements that were called this often since pg_stat_statements was reset.',
    },
    index_minimum_rows: {
      type: 'integer',
      // Reading a few pages costs as much as an index search: below this an index is no gain.
      default: 1000,
      minimum: 0,
      maximum: 1_000_000_000,
      scoped: true,
      doc: 'Suggest an index only for a materialized view with this many rows.',
    },
  },
  interval: (config) => config.interval,
  unexamined: { cleanup: { materialized_views: { count: null, index_suggestions: null } } },

  *check({ configFor, now }) {
    const views = yield* materializedViews(now);
    const tracked = yield* countsAreTracked();
    const judged = views.map((view): Judged => {
      const record = nextSample(view, now);
      const same = record.refreshed_before === view.sample?.refreshed_before;
      return { view, record, ageHours: same && view.sample ? view.sample.age_hours : 0 };
    });
    const records = judged
      .filter(({ view, record }) => isNews(record, view.sample))
      .map(({ record }) => record);
    yield* keepMatviewSamples(records, now);

    const configOf = (view: MaterializedView): ReturnType<typeof configFor> =>
      configFor({ schema: view.schema, table: view.name });
    const unpopulated = views.filter(({ populated }) => !populated);
    const stale = judged.filter(({ view, record, ageHours }) => {
      const config = configOf(view);
      return (
        tracked && view.populated && record.changes >= config.stale_changes && ageHours >= config.stale_hours
      );
    });
    const unknown = views.flatMap((view) => {
      if (!view.populated || stale.some((one) => one.view === view)) return [];
      const known = staleUnknownBecause(view, tracked);
      return known === null ? [] : { view, ...known };
    });
    const needy = [...unpopulated, ...stale.map(({ view }) => view)];

    const large = views.filter((view) => view.populated && view.rows >= configOf(view).index_minimum_rows);
    const seen = yield* seenStatements(large.map(({ name }) => name));
    const suggested = large.flatMap((view) =>
      matviewIndexSuggestions(view, seen.statements, configOf(view).index_minimum_calls).map(
        (suggestion) => ({ view, suggestion }),
      ),
    );
    const writeCost = yield* writeCosts(now, [...new Set(suggested.map(({ view }) => view.oid))]);
    const suggestions = suggested
      .map(({ view, suggestion }) => ({
        view,
        suggestion,
        cost: writeCost(view.oid, suggestion.columns),
      }))
      .sort((a, b) => callsForEachEntry(b) - callsForEachEntry(a))
      .map(({ view, suggestion, cost }) => suggestionFinding(view, suggestion, cost));
    const noUnique = views.filter((view) => !canRefreshConcurrently(view));

    return {
      result: {
        cleanup: {
          materialized_views: {
            count: views.length,
            index_suggestions: seen.unexamined && suggestions.length === 0 ? null : suggestions.length,
            index_suggestions_basis: seen.unexamined ? { ...seen.unexamined } : { reason: null },
            unpopulated: unpopulated.length,
            no_unique_index: noUnique.length,
            stale: stale.length,
            staleness_unknown: unknown
              .slice(0, listedViews)
              .map(({ view, because }) => ({ view: view.quoted, because })),
            refresh_order: listed(inRefreshOrder(views).map(({ quoted }) => quoted)),
          },
        },
      },
      findings: [
        ...unpopulated.map((view) => unpopulatedFinding(view, needy)),
        ...noUnique.map(noUniqueIndexFinding),
        ...stale.map((one) => staleFinding(one, needy)),
        ...suggestions,
      ],
      alerts: [],
      actions: [],
      // An open suggestion stays where the statements that led to it could not all be read.
      examined: [
        unpopulatedKind,
        noUniqueIndexKind,
        staleKind,
        ...(seen.unexamined ? [] : [indexSuggestionKind]),
      ],
      keepOpen: unknown.map(({ view }) => identity(staleKind, view)),
      coverage: examinedAllBut(views.length, unknown.length, [
        ...unexaminedByReason(
          'materialized views: whether they are stale',
          unknown.map(({ view, reason }) => ({ name: view.quoted, reason })),
        ),
        ...(seen.unexamined === null
          ? []
          : [{ what: 'statements that read materialized views', ...seen.unexamined }]),
      ]),
    };
  },
});
