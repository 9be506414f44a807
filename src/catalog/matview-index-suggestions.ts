/** Indexes that the statements seen would use on a materialized view: only of columns that they compare. */
import { isColumnOf, usesOf } from './statement-shape.ts';
import type { RelationUse, StatementShape } from './statement-shape.ts';
import { shapesOf } from './statements.ts';
import type { SeenStatement } from './statements.ts';
import type { MaterializedView } from './materialized-views.ts';

export interface MatviewIndexSuggestion {
  columns: string[];
  statement: string;
  calls: number;
  /** The most called of the statements that would use it. */
  example: string;
}

interface Pattern {
  columns: string[];
  calls: number;
  example: string;
}

/** Columns that one index would find the rows by: those compared for equality, and one that is compared by range. */
function comparedColumns(view: MaterializedView, shape: StatementShape, use: RelationUse): string[] {
  const compared = shape.comparisons.flatMap(({ left, right, kind }) =>
    [left, right].flatMap((side) =>
      side && isColumnOf(shape, side, use) ? { column: side.column, kind } : [],
    ),
  );
  const ofKind = (wanted: 'equal' | 'range'): string[] =>
    view.columns
      .filter(
        ({ name, sortable }) =>
          sortable && compared.some(({ column, kind }) => column === name && kind === wanted),
      )
      .map(({ name }) => name);
  const equal = ofKind('equal');
  const range = ofKind('range').filter((name) => !equal.includes(name));
  return [...equal, ...range.slice(0, 1)];
}

function isServed(view: MaterializedView, columns: readonly string[]): boolean {
  return view.indexes.some(
    ({ searchable, leading_column: leading }) => searchable && leading !== null && columns.includes(leading),
  );
}

export function matviewIndexSuggestions(
  view: MaterializedView,
  statements: readonly SeenStatement[],
  minimumCalls: number,
): MatviewIndexSuggestion[] {
  const relation = { schema: view.schema, name: view.name, nameIsUnique: view.name_is_unique };
  const patterns = new Map<string, Pattern>();
  for (const statement of statements) {
    const { text, calls } = statement;
    const uses = shapesOf(statement).flatMap((shape) =>
      usesOf(shape, relation).map((use) => ({ shape, use })),
    );
    for (const { shape, use } of uses) {
      const columns = comparedColumns(view, shape, use);
      if (columns.length === 0 || isServed(view, columns)) continue;
      const key = JSON.stringify(columns);
      const known = patterns.get(key);
      if (known) known.calls += calls;
      else patterns.set(key, { columns, calls, example: text });
    }
  }
  const wanted = [...patterns.values()].filter(({ calls }) => calls >= minimumCalls);
  wanted.sort((a, b) => b.calls - a.calls || (a.columns.join() < b.columns.join() ? -1 : 1));
  const chosen: Pattern[] = [];
  for (const pattern of wanted) {
    // What a suggestion before it already finds by its first column needs no index of its own.
    if (!chosen.some(({ columns: [first] }) => first !== undefined && pattern.columns.includes(first)))
      chosen.push(pattern);
  }
  return chosen.map(({ columns, calls, example }) => ({
    columns,
    calls,
    example,
    statement: createIndex(view, columns),
  }));
}

/** Names were quoted by the server. */
function createIndex(view: MaterializedView, columns: readonly string[]): string {
  const quoted = columns.map((name) => view.columns.find((column) => column.name === name)?.quoted ?? '');
  return `create index concurrently on ${view.quoted} (${quoted.join(', ')});`;
}
