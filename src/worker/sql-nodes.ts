/** Nodes of the parse tree, and what single ones of them say. */
import type { ColumnUse, Comparison, QueryBlock, RelationUse } from '../catalog/parsed-statement.ts';

/** A node of the tree as JSON: an object whose only key is the node's type, or one with fields. */
export type Tree = Record<string, unknown>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function field(node: Tree, name: string): Tree | null {
  const value = node[name];
  return isTree(value) ? value : null;
}

export function list(node: Tree, name: string): Tree[] {
  const value = node[name];
  return Array.isArray(value) ? value.filter(isTree) : [];
}

export function text(node: Tree, name: string): string | null {
  const value = node[name];
  return typeof value === 'string' ? value : null;
}

/** The fields of a node of this type; null where it is of another. */
export function as(type: string, node: Tree | null): Tree | null {
  return node === null ? null : field(node, type);
}

/** A node's type and its fields. */
export function typed(node: Tree): [string, Tree] {
  const [type, body] = Object.entries(node)[0] ?? [];
  return type !== undefined && isTree(body) ? [type, body] : ['', {}];
}

/** The parts of a dotted name; null where one is no plain name, such as *. */
export function nameParts(nodes: readonly Tree[]): string[] | null {
  const parts = nodes.map((node) => {
    const string = field(node, 'String');
    return string === null ? null : text(string, 'sval');
  });
  return parts.includes(null) ? null : (parts as string[]);
}

const ranges = new Set(['<', '<=', '>', '>=']);
/** What the operator is with its sides changed. */
const mirrored: Record<string, true> = { '=': true, '<': true, '<=': true, '>': true, '>=': true };

export function relationOf(body: Tree): RelationUse {
  const name = text(body, 'relname') ?? '';
  return {
    schema: text(body, 'schemaname'),
    name,
    label: text(field(body, 'alias') ?? {}, 'aliasname') ?? name,
  };
}

function columnOf(node: Tree | null): ColumnUse | null {
  const parts = nameParts(list(as('ColumnRef', node) ?? {}, 'fields'));
  const column = parts?.at(-1);
  if (parts === null || column === undefined || parts.length > 2) return null;
  return { qualifier: parts.length === 2 ? (parts[0] ?? null) : null, column };
}

/** Whether it is computed without any column: it stays the same while the table is read. */
function isValue(node: unknown): boolean {
  const waiting: unknown[] = [node];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (Array.isArray(next)) waiting.push(...(next as unknown[]));
    if (!isTree(next)) continue;
    if ('ColumnRef' in next || 'SubLink' in next) return false;
    waiting.push(...Object.values(next));
  }
  return true;
}

/** A comparison of a plain column that an index can serve; null for all others. */
export function comparisonOf(expression: Tree | null): Comparison | null {
  if (expression === null) return null;
  const [operator, ...more] = nameParts(list(expression, 'name')) ?? [];
  if (operator === undefined || more.length > 0) return null;
  const left = field(expression, 'lexpr');
  const right = expression['rexpr'];
  const column = columnOf(left);
  switch (text(expression, 'kind')) {
    case 'AEXPR_OP': {
      if (!(operator in mirrored)) return null;
      const kind = ranges.has(operator) ? 'range' : 'equal';
      const other = isTree(right) ? columnOf(right) : null;
      if (column !== null && other !== null)
        return kind === 'equal' ? { left: column, kind, right: other } : null;
      if (column !== null && isValue(right)) return { left: column, kind, right: null };
      if (other !== null && isValue(left)) return { left: other, kind, right: null };
      return null;
    }
    case 'AEXPR_OP_ANY':
      return column !== null && operator === '=' && isValue(right)
        ? { left: column, kind: 'equal', right: null }
        : null;
    case 'AEXPR_IN':
      return column !== null && operator === '=' && isValue(right)
        ? { left: column, kind: 'equal', right: null }
        : null;
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
      return column !== null && isValue(right) ? { left: column, kind: 'range', right: null } : null;
    default:
      return null;
  }
}

export function sortColumns(items: readonly Tree[]): QueryBlock['sort'] {
  const columns = items.map((item) => {
    const by = as('SortBy', item);
    const column = by === null ? null : columnOf(field(by, 'node'));
    return by === null || column === null
      ? null
      : { column, descending: text(by, 'sortby_dir') === 'SORTBY_DESC' };
  });
  return columns.includes(null) ? [] : (columns as QueryBlock['sort']);
}
