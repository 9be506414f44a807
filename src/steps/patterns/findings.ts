/** The findings of step 8. */
import { shortened } from '../../core/text.ts';
import type { SeenPattern } from '../../catalog/query-patterns.ts';
import type { QueryTable } from '../../catalog/query-tables.ts';
import type { Finding, JsonObject } from '../step.ts';
import { isWorthIt } from './suggestions.ts';
import type { Helped, IndexSuggestion } from './suggestions.ts';

export const slowPatternKind = 'query.slow_pattern';

/** A shape that takes this share of all statements' time is a warning; of less nobody would notice the end. */
const noticeableShare = 0.1;

/** Enough of a text to know it again. */
const shownLength = 80;

export interface Figures extends JsonObject {
  calls: number;
  total_exec_ms: number;
  mean_exec_ms: number;
  rows_per_call: number;
  blocks_per_call: number;
  /** Of the time of all statements of the database; null where they took none. */
  share_of_time: number | null;
}

function rounded(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

export function figuresOf(pattern: SeenPattern, allMs: number): Figures {
  const { calls, total_exec_ms, row_count, blocks } = pattern;
  return {
    calls,
    total_exec_ms: rounded(total_exec_ms, 3),
    mean_exec_ms: rounded(total_exec_ms / calls, 3),
    rows_per_call: rounded(row_count / calls, 3),
    blocks_per_call: rounded(blocks / calls, 1),
    share_of_time: allMs > 0 ? rounded(Math.min(1, total_exec_ms / allMs), 4) : null,
  };
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return shortened(line, shownLength);
}

function times(calls: number): string {
  return calls === 1 ? 'once' : `${calls} times`;
}

function because(helped: Helped): string {
  const reasons = helped.causes.map(({ reason }) => reason.replaceAll('_', ' '));
  return [...new Set(reasons)].join(', ');
}

function identity(
  kind: string,
  pattern: SeenPattern,
  table: Pick<QueryTable, 'schema' | 'table'> | undefined,
) {
  return {
    kind,
    schema: table?.schema ?? null,
    table: table?.table ?? null,
    object: table?.table ?? null,
    discriminator: pattern.key,
  };
}

function detailOf(pattern: SeenPattern, figures: Figures, tables: readonly string[]): JsonObject {
  return {
    pattern: pattern.key,
    text: pattern.text,
    tables: [...tables],
    statements: pattern.statements,
    roles: pattern.roles,
    ...figures,
  };
}

export interface Known {
  figures: Figures;
  /** Those that could be resolved, in the order of the text. */
  tables: readonly QueryTable[];
  /** Quoted, and as written with the reason where they could not be resolved. */
  tableNames: readonly string[];
  /** Why one of them could not be resolved; null where all could. */
  unresolved: string | null;
}

export function slowFinding(pattern: SeenPattern, known: Known, helped: Helped): Finding {
  const { figures, tables, tableNames } = known;
  const index = helped.suggestions.find(
    (one): one is IndexSuggestion => one.kind === 'create_index' && isWorthIt(one as IndexSuggestion),
  );
  const analyze = helped.suggestions.find(({ kind }) => kind === 'analyze');
  const remedy = index?.statement ?? (index ? null : (analyze?.statement ?? null));
  return {
    ...identity(
      slowPatternKind,
      pattern,
      index ?? tables.find(({ quoted }) => `analyze ${quoted};` === remedy) ?? tables[0],
    ),
    severity: (figures.share_of_time ?? 0) >= noticeableShare ? 'warning' : 'info',
    summary: `Called ${times(figures.calls)}, ${figures.mean_exec_ms} ms each (${because(helped)}): ${shown(pattern.text)}`,
    detail: {
      ...detailOf(pattern, figures, tableNames),
      reasons: helped.causes,
      suggestions: helped.suggestions,
      ...(index && { columns: index.columns }),
      ...(index?.statement === null && {
        no_remedy_because: 'an index on a partitioned table takes more than one statement',
      }),
    },
    remedy,
  };
}
