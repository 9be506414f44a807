/**
 * Step 7: how much of each index is bloat: what a REINDEX would give back. Measured on a sample of its pages, again only
 * when it has changed; kept over time; and, where that is wanted, mended by REINDEX INDEX CONCURRENTLY.
 */
import { rollUpHistory } from '../catalog/index-history.ts';
import { indexDetails } from '../catalog/index-facts.ts';
import type { InventoryIndex } from '../catalog/index-inventory.ts';
import { bloatCauses, recordPlan } from '../catalog/rebuilds.ts';
import type { Program } from '../core/program.ts';
import { coverageOf } from './index-health/coverage.ts';
import { lookAtIndexes, sizeOf } from './index-health/look.ts';
import type { Looked } from './index-health/look.ts';
import { pendingOf, whyNotSampled } from './index-health/measure.ts';
import { errorPoints } from './index-health/measurement.ts';
import { chooseRebuilds } from './index-health/reindex-plan.ts';
import type { Candidate, Choice, Chosen } from './index-health/reindex-plan.ts';
import { indexHealthSettings } from './index-health/settings.ts';
import { bloatText, sizeText } from './index-health/verdict.ts';
import type { Known, Verdict } from './index-health/verdict.ts';
import { countActionsOf, defineStep } from './step.ts';
import type { Action, Context, Finding, JsonObject, Report } from './step.ts';

export const bloatedIndexKind = 'index.bloated';

/** Why it can't be rebuilt concurrently, or null. */
function keptBecause(index: InventoryIndex): string | null {
  if (index.exclusion) return "an exclusion constraint's index can't be rebuilt concurrently";
  if (index.extension !== null) return `it belongs to extension ${index.extension}`;
  return null;
}

interface Bloated {
  looked: Looked;
  known: Known;
  size: number;
  wasted: number;
  definition: string | null;
  /** Why it is bloated again so soon after a rebuild, or null. */
  again: string | null;
}

function wasRebuiltSoon({ index, own }: Looked): boolean {
  const days = index.seen?.rebuilt_days ?? null;
  return days !== null && days < own.reindex_min_days;
}

function findingOf({ looked, known, size, wasted, definition, again }: Bloated): Finding {
  const { index, own, measured } = looked;
  const kept = keptBecause(index);
  const round = (value: number): number => Math.round(value * 100) / 100;
  const soon =
    again === null ? '' : ` It was rebuilt ${Math.floor(index.seen?.rebuilt_days ?? 0)} days ago: ${again}.`;
  return {
    kind: bloatedIndexKind,
    severity: index.extension === null ? 'warning' : 'info',
    schema: index.schema,
    table: index.table,
    object: index.index,
    summary: `Index ${index.quoted} on ${index.quoted_table} is bloated: a REINDEX would give back ${bloatText(known)} of its ${sizeText(size)}, ${sizeText(wasted)}.${soon}`,
    detail: {
      bloat_percent: round(known.bloat_percent),
      bloat_low: round(known.low),
      bloat_high: round(known.high),
      error_points: round(errorPoints(known)),
      wasted_bytes: wasted,
      size_bytes: size,
      method: known.method,
      leaf_density: known.leaf_density === null ? null : round(known.leaf_density),
      threshold: own.bloat_threshold,
      index_oid: index.oid,
      definition,
      measured_in_this_run: measured?.ok === true,
      ...(again !== null && {
        bloated_again_because: again,
        rebuilt_days_ago: round(index.seen?.rebuilt_days ?? 0),
      }),
      ...(kept !== null && { kept_because: kept }),
    },
    remedy: index.exclusion
      ? `reindex index ${index.quoted};`
      : `reindex index concurrently ${index.quoted};`,
  };
}

function actionOf({ candidate: { index }, evidence }: Chosen, finding: Finding): Action {
  return {
    kind: 'reindex_index',
    finding,
    target: { schema: index.schema, table: index.table, index: index.index, oid: index.oid },
    reason: 'bloated',
    evidence: { ...finding.detail, ...evidence },
  };
}

function automaticReindex(
  { plan, notDue }: Choice,
  { on, schedule }: { on: boolean; schedule: string },
): JsonObject {
  return {
    enabled: on,
    schedule,
    planned: plan !== null,
    ...(notDue !== null && {
      reason: on ? notDue.reason : 'auto_reindex is off',
      ...(notDue.inDays !== null && { next_in_hours: Math.ceil(notDue.inDays * 24) }),
    }),
    ...(plan !== null && {
      queued: plan.queued,
      left_out: plan.left_out,
      bytes_to_build: plan.rebuild_bytes,
      bytes_to_save: plan.saved_bytes,
    }),
  };
}

/** With `only`, judges the indexes of these oids alone, and measures them whether they have changed or not. */
function* judge(
  { config: settings, configFor, now, unmuted }: Context<typeof indexHealthSettings>,
  only?: readonly number[],
): Program<Report> {
  const { looked, tools, measured, pagesRead } = yield* lookAtIndexes(
    { config: settings, configFor, now },
    only,
  );
  yield* rollUpHistory(now, settings.sample_days, settings.history_days);

  const judged = looked.filter(({ small }) => !small);
  const bloated = judged.filter((look) => look.judged.verdict === 'bloated');
  const causes = yield* bloatCauses(
    bloated.filter(wasRebuiltSoon).map(({ index }) => index.oid),
    now,
  );
  const detailOf = yield* indexDetails(bloated.map(({ index }) => index.oid));
  const reported = bloated.flatMap((look) => {
    const { known } = look;
    if (known === null) return [];
    const size = sizeOf(look);
    const each: Bloated = {
      looked: look,
      known,
      size,
      wasted: Math.max(0, Math.round((size * known.bloat_percent) / 100)),
      definition: detailOf(look.index.oid).definition,
      again: causes.get(look.index.oid) ?? null,
    };
    return { each, finding: findingOf(each) };
  });
  const candidates = reported.map(({ each }): Candidate => ({
    index: each.looked.index,
    size: each.size,
    wasted: each.wasted,
    bloatPercent: each.known.bloat_percent,
    threshold: each.looked.own.bloat_threshold,
    minDays: each.looked.own.reindex_min_days,
    keptBecause: keptBecause(each.looked.index),
    wanted: each.looked.own.auto_reindex,
  }));
  const choice = yield* chooseRebuilds(
    candidates,
    settings.reindex_schedule,
    settings.reindex_max_indexes,
    now,
  );
  if (choice.plan !== null) yield* recordPlan(choice.plan, now);
  const findingOfOid = new Map(reported.map(({ each, finding }) => [each.looked.index.oid, finding]));
  const actions = choice.chosen.flatMap((chosen) => {
    const finding = findingOfOid.get(chosen.candidate.index.oid);
    return finding === undefined ? [] : [actionOf(chosen, finding)];
  });

  const loud = unmuted(reported.map(({ finding }) => finding));

  const count = (verdict: Verdict): number => judged.filter((look) => look.judged.verdict === verdict).length;
  const unknown = judged.filter((look) => look.judged.verdict === 'unknown');
  const pending = yield* pendingOf(
    looked.map(({ index }) => index),
    tools,
  );
  const pendingTotal = [...pending.values()].reduce((sum, pages) => sum + pages, 0);
  const notSampled = whyNotSampled(tools);
  return {
    result: {
      cleanup: {
        index_health: {
          healthy: count('healthy'),
          bloated: count('bloated'),
          underutilized: count('underutilized'),
          unknown: unknown.length,
          ...(unknown.length > 0 && { unknown_because: countReasons(unknown) }),
          measured,
          unchanged: judged.filter(({ change }) => !change.due).length,
          pages_read: pagesRead,
          wasted_bytes: reported.reduce((sum, { each }) => sum + each.wasted, 0),
          ...(pendingTotal > 0 && { gin_pending_pages: pendingTotal }),
          ...(notSampled !== null && { not_sampled_because: notSampled }),
        },
        bloated_indexes_found: reported.length,
        automatic_reindex: automaticReindex(choice, {
          on: settings.auto_reindex || candidates.some(({ wanted }) => wanted),
          schedule: settings.reindex_schedule,
        }),
      },
    },
    findings: reported.map(({ finding }) => finding),
    alerts:
      loud.length === 0
        ? []
        : [
            {
              severity: 'info',
              message: `bloated indexes found: ${loud.length}, to be rebuilt: ${countActionsOf(loud, actions)}`,
            },
          ],
    actions,
    examined: [bloatedIndexKind],
    keepOpen: unknown.map(({ index }) => ({
      kind: bloatedIndexKind,
      schema: index.schema,
      table: index.table,
      object: index.index,
    })),
    coverage: coverageOf(judged, tools),
  };
}

export default defineStep({
  number: 7,
  name: 'index_health',
  title: 'Monitor index health',
  feature: 'features.index_health',
  kinds: [bloatedIndexKind],
  config: indexHealthSettings,
  interval: () => 0,
  actionCounts: { 'automatic_reindex.rebuilt': 'reindex_index' },
  unexamined: {
    cleanup: {
      index_health: { healthy: null, bloated: null, underutilized: null, unknown: null },
      bloated_indexes_found: null,
      automatic_reindex: { rebuilt: null },
    },
  },

  check: (context) => judge(context),

  recheck: (context, { target }) => judge(context, 'oid' in target ? [target.oid] : undefined),
});

/** Reason -> number of indexes, by the first words: the rest names the case. */
function countReasons(unknown: readonly Looked[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { notMeasured } of unknown) {
    const reason =
      notMeasured === null
        ? 'interval_too_wide'
        : (/^[a-z_]+(?=:|$)/.exec(notMeasured)?.[0] ?? 'not_reached');
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}
