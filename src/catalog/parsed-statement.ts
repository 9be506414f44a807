/**
 * What a statement does, as a worker read it with the server's own grammar (src/worker/sql-parse.ts) and stored it in
 * maint.query_text.shape. Names are as written: what they mean is asked of the catalog when it is needed.
 */
import type { ColumnUse, Comparison, RelationUse, StatementShape } from './statement-shape.ts';

export type Verb = 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'utility';

/** One SELECT, UPDATE or DELETE of the statement, subqueries apart. */
export interface QueryBlock extends StatementShape {
  /** Columns of ORDER BY; empty where it sorts by anything but plain columns. */
  sort: { column: ColumnUse; descending: boolean }[];
  limit: boolean;
}

/** How often a part occurs in the statement, subqueries included. */
export interface StatementCounts {
  relations: number;
  joins: number;
  outer_joins: number;
  /** Comparisons and other conditions at the top of WHERE and ON. */
  conditions: number;
  /** Conditions below OR or NOT, which no single index search serves. */
  disjunctions: number;
  subqueries: number;
  with_queries: number;
  set_operations: number;
  aggregates: number;
  window_functions: number;
  groupings: number;
  sorts: number;
  distincts: number;
  limits: number;
  function_calls: number;
  like_conditions: number;
  row_locks: number;
}

export interface ParsedStatement {
  /** A SELECT whose WITH changes rows is what that does. */
  verb: Verb;
  /** The first is the outermost. */
  blocks: QueryBlock[];
  /** What it writes to; null where it only reads. */
  target: RelationUse | null;
  /** Columns that an UPDATE sets, ON CONFLICT DO UPDATE and MERGE included. */
  set_columns: string[];
  counts: StatementCounts;
}

export type { ColumnUse, Comparison, RelationUse };

/** A relation that is none of the catalog: a subquery, a function, a WITH query. */
export function isDerived(use: RelationUse): boolean {
  return use.name === '';
}

/** All relations of the catalog that it names, each once, in the order of the text. */
export function namedRelations(statement: ParsedStatement): RelationUse[] {
  const named = new Map<string, RelationUse>();
  for (const use of [
    ...(statement.target ? [statement.target] : []),
    ...statement.blocks.flatMap((block) => block.relations),
  ]) {
    const key = JSON.stringify([use.schema, use.name]);
    if (!isDerived(use) && !named.has(key)) named.set(key, use);
  }
  return [...named.values()];
}
