/** What would help a slow shape: indexes that a worker has tried on its generic plan, with what they cost the writers, and statistics. */
import { heldBackBecause } from '../../catalog/index-write-cost.ts';
import type { WriteCostOf } from '../../catalog/index-write-cost.ts';
import type { SeenPattern } from '../../catalog/query-patterns.ts';
import type { QueryTable } from '../../catalog/query-tables.ts';
import type { Cause, IndexIdea, Judged } from '../../catalog/slow-causes.ts';
import type { GenericPlan, Planned, TriedIndex } from '../../catalog/statement-plan.ts';
import type { JsonObject } from '../step.ts';

/** Below this share of the planned cost an index is not worth having: estimates are not better than that. */
const leastGain = 0.1;

export interface Suggestion extends JsonObject {
  kind: 'create_index' | 'analyze' | 'work_mem' | 'one_statement';
  /** For psql; null where only the application or a setting can be changed. */
  statement: string | null;
}

export interface IndexSuggestion extends Suggestion {
  schema: string;
  table: string;
  columns: string[];
  /** verified: tried with hypopg; unverified: not tried, with the reason; of no use: the planner would pass it over. */
  verdict: 'verified' | 'unverified' | 'of_no_use';
  because: string | null;
  /** Share of the planned cost that it saves, from 0 to 1; null where it was not tried. */
  planned_gain: number | null;
  write_cost: JsonObject | null;
  held_back_because: string | null;
}

export interface Helped {
  causes: Cause[];
  suggestions: Suggestion[];
}

/** Server-quoted names put together. */
function createIndex({ table, columns }: IndexIdea): string | null {
  // A partitioned table's index takes a statement for each partition; the server refuses CONCURRENTLY on its root.
  if (table.kind === 'p') return null;
  return `create index concurrently on ${table.quoted} (${columns.map(({ quoted }) => quoted).join(', ')});`;
}

export function triedIndex({ table, columns }: IndexIdea): TriedIndex {
  return { schema: table.schema, table: table.table, columns: columns.map(({ name }) => name) };
}

/** Whether its plan is of any use: to see if it scans, and what an index would change. */
export function wantsPlan({ causes }: Judged, pattern: SeenPattern): boolean {
  const scans = causes.some(({ reason }) => reason === 'missing_index' || reason === 'sequential_scan');
  return scans && pattern.shape !== null;
}

type Tried = Pick<IndexSuggestion, 'verdict' | 'because' | 'planned_gain'>;

function judgeIndex(before: GenericPlan, after: Planned): Tried {
  if ('because' in after) return { verdict: 'unverified', because: after.because, planned_gain: null };
  const gain = before.cost > 0 ? Math.max(0, 1 - after.plan.cost / before.cost) : 0;
  const used = after.plan.index !== null && after.plan.indexes.includes(after.plan.index);
  if (used && gain >= leastGain)
    return { verdict: 'verified', because: null, planned_gain: Math.round(gain * 1000) / 1000 };
  return {
    verdict: 'of_no_use',
    because: used
      ? 'the planner would use it and expects to gain less than a tenth'
      : 'the planner would not use it',
    planned_gain: Math.round(gain * 1000) / 1000,
  };
}

/** A cause that the plan contradicts is none: it looked at that many blocks in some other way. */
function asPlanned({ causes, ideas }: Judged, plan: GenericPlan, tables: readonly QueryTable[]): Judged {
  const scanned = (quoted: unknown): boolean => {
    const table = tables.find((each) => each.quoted === quoted);
    return (
      table === undefined ||
      table.kind === 'p' ||
      plan.sequential.some((one) => one.schema === table.schema && one.table === table.table)
    );
  };
  return {
    causes: causes.filter(
      ({ reason, table }) => (reason !== 'missing_index' && reason !== 'sequential_scan') || scanned(table),
    ),
    ideas: ideas.filter(({ table }) => scanned(table.quoted)),
  };
}

export interface HelpWith {
  hypopg: boolean;
  writeCost: WriteCostOf;
  workMem: string;
  /** Why its plan is not asked for; null where it may be. */
  notPlannedBecause: string | null;
  /** What a worker has planned, without an index (null) and with one. */
  planOf(index: TriedIndex | null): Planned;
}

export function help(
  pattern: SeenPattern,
  judgedAtFirst: Judged,
  tables: readonly QueryTable[],
  { hypopg, writeCost, workMem, notPlannedBecause, planOf }: HelpWith,
): Helped {
  let judged = judgedAtFirst;
  let before: GenericPlan | null = null;
  let notPlanned = notPlannedBecause;
  if (notPlanned === null && wantsPlan(judged, pattern)) {
    const planned = planOf(null);
    if ('because' in planned) notPlanned = planned.because;
    else {
      before = planned.plan;
      judged = asPlanned(judged, before, tables);
    }
  }
  const indexes: IndexSuggestion[] = [];
  for (const idea of judged.ideas) {
    const tried: Tried =
      before === null
        ? { verdict: 'unverified', because: notPlanned, planned_gain: null }
        : hypopg
          ? judgeIndex(before, planOf(triedIndex(idea)))
          : {
              verdict: 'unverified',
              because: 'hypopg is not installed in this database',
              planned_gain: null,
            };
    const cost = writeCost(
      idea.table.oid,
      idea.columns.map(({ name }) => name),
    );
    indexes.push({
      kind: 'create_index',
      statement: createIndex(idea),
      schema: idea.table.schema,
      table: idea.table.table,
      columns: idea.columns.map(({ name }) => name),
      ...tried,
      write_cost: cost,
      held_back_because: heldBackBecause(pattern.total_exec_ms * (tried.planned_gain ?? 1), cost),
    });
  }
  return {
    causes:
      judged.causes.length > 0
        ? judged.causes
        : [{ reason: 'not_known', detail: 'none of the causes that pg-maint looks for was seen' }],
    suggestions: [...bestFirst(indexes), ...others(judged.causes, workMem)],
  };
}

/** What is worth doing before what is not, then by the gain. */
function bestFirst(indexes: readonly IndexSuggestion[]): IndexSuggestion[] {
  return [...indexes].sort(
    (a, b) => Number(isWorthIt(b)) - Number(isWorthIt(a)) || (b.planned_gain ?? 0) - (a.planned_gain ?? 0),
  );
}

export function isWorthIt({ verdict, held_back_because }: IndexSuggestion): boolean {
  return verdict !== 'of_no_use' && held_back_because === null;
}

function others(causes: readonly Cause[], workMem: string): Suggestion[] {
  return causes.flatMap((cause): Suggestion[] => {
    switch (cause.reason) {
      case 'stale_statistics':
        return [{ kind: 'analyze', statement: `analyze ${cause['table'] as string};` }];
      case 'spills_to_disk':
        return [
          {
            kind: 'work_mem',
            statement: null,
            detail: `work_mem is ${workMem} for this installation: a multiple of ${cause['temporary_mb_per_call'] as number} MB for the role or the transaction that runs it keeps it in memory`,
          },
        ];
      case 'row_by_row':
        return [
          {
            kind: 'one_statement',
            statement: null,
            detail: 'ask for all rows in one statement: = any ($1), a join, or insert with many rows',
          },
        ];
      default:
        return [];
    }
  });
}
