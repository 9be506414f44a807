/**
 * Why a shape of statements is slow and what would help, from its counters, its parse tree and its tables. Pure: what is
 * planned and verified comes on top. A cause that is not seen is not guessed at.
 */
import type { JsonObject } from '../steps/step.ts';
import { isColumnOf } from './statement-shape.ts';
import type { ColumnUse, QueryBlock, RelationUse } from './parsed-statement.ts';
import { isDerived } from './parsed-statement.ts';
import type { SeenPattern } from './query-patterns.ts';
import type { QueryColumn, QueryTable, Resolved } from './query-tables.ts';
import type { TableStatistics } from './table-statistics.ts';

/**
 * A table of fewer pages is read from memory in a millisecond: nothing to mend. Too low blames a scan that costs
 * nothing, too high leaves one unnamed that others will still show.
 */
export const largeTablePages = 100;

/**
 * Looks at this share of the table's pages in one call: it reads it from end to end, or as good as. Too low calls a search
 * of many rows a scan, too high misses a scan that a LIMIT ends early.
 */
const shareThatIsAScan = 0.5;

/** An equality that leaves more of the table than this is not searched by an index but scanned. */
const leastSelective = 0.1;

/** Blocks of temporary files that one call must write on average to be called a spill: less is a rare large parameter. */
const spilledBlocks = 1;

export interface Cause extends JsonObject {
  reason: string;
  detail: string;
}

/** An index that would find the rows of one of its conditions. */
export interface IndexIdea {
  table: QueryTable;
  columns: QueryColumn[];
}

export interface Judged {
  causes: Cause[];
  ideas: IndexIdea[];
}

export interface JudgedWith {
  resolve(use: { schema: string | null; name: string }): Resolved;
  statisticsOf(table: QueryTable): TableStatistics | undefined;
  /** Of the whole database in the window; null where not known. */
  transactions: number | null;
  chattyCallsPerTransaction: number;
  /** Calls below this can't be called chatty. */
  chattyMinimumCalls: number;
  slowMs: number;
  blockSize: number;
}

function per(total: number, calls: number): number {
  return calls === 0 ? 0 : total / calls;
}

function rounded(value: number, digits = 1): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

/** Calls of single rows by the dozen in each transaction, as a loop in a client or an ORM makes them. */
export function isChatty(
  pattern: SeenPattern,
  with_: Pick<JudgedWith, 'transactions' | 'chattyCallsPerTransaction' | 'chattyMinimumCalls'>,
): boolean {
  const { transactions, chattyCallsPerTransaction, chattyMinimumCalls } = with_;
  return (
    transactions !== null &&
    transactions > 0 &&
    pattern.calls >= chattyMinimumCalls &&
    pattern.row_count <= pattern.calls &&
    pattern.calls / transactions >= chattyCallsPerTransaction
  );
}

function spill(pattern: SeenPattern, blockSize: number): Cause[] {
  const blocks = per(pattern.temp_blocks_written, pattern.calls);
  if (blocks < spilledBlocks) return [];
  const megabytes = rounded((blocks * blockSize) / 1024 / 1024);
  return [
    {
      reason: 'spills_to_disk',
      detail: `each call writes ${megabytes} MB of temporary files: a sort or hash does not fit into work_mem`,
      temporary_mb_per_call: megabytes,
    },
  ];
}

function chatty(pattern: SeenPattern, with_: JudgedWith): Cause[] {
  if (!isChatty(pattern, with_) || with_.transactions === null) return [];
  const calls = rounded(pattern.calls / with_.transactions);
  return [
    {
      reason: 'row_by_row',
      detail: `called ${calls} times for each transaction of the database, for one row at most: one statement for all rows saves the round trips`,
      calls_per_transaction: calls,
      rows_per_call: rounded(per(pattern.row_count, pattern.calls), 3),
    },
  ];
}

function staleStatistics(tables: readonly QueryTable[], with_: JudgedWith): Cause[] {
  return tables.flatMap((table) => {
    const statistics = with_.statisticsOf(table);
    if (!statistics || table.pages < largeTablePages) return [];
    const never = statistics.rows === null;
    if (!never && statistics.changes <= statistics.threshold) return [];
    return [
      {
        reason: 'stale_statistics',
        detail: never
          ? `the planner has no statistics of ${table.quoted}`
          : `${statistics.changes} rows of ${table.quoted} changed since its statistics were made, more than autovacuum waits for (${Math.floor(statistics.threshold)})`,
        table: table.quoted,
        changes: statistics.changes,
        threshold: Math.floor(statistics.threshold),
      },
    ];
  });
}

interface Use {
  use: RelationUse;
  table: QueryTable;
  block: QueryBlock;
}

/** The block with a qualifier before each column that only one of its tables has. */
function qualified(block: QueryBlock, resolve: JudgedWith['resolve']): QueryBlock {
  const tables = block.relations.map((use) => {
    const resolved = isDerived(use) ? null : resolve(use);
    return resolved !== null && 'table' in resolved ? { label: use.label, table: resolved.table } : null;
  });
  // Where one is not known, so is not whether it has the column.
  if (tables.length < 2 || tables.includes(null)) return block;
  const column = (use: ColumnUse): ColumnUse => {
    if (use.qualifier !== null) return use;
    const having = tables.filter((one) => one?.table.columns.some(({ name }) => name === use.column));
    return having.length === 1 ? { qualifier: having[0]?.label ?? null, column: use.column } : use;
  };
  return {
    ...block,
    comparisons: block.comparisons.map(({ left, kind, right }) => ({
      left: column(left),
      kind,
      right: right && column(right),
    })),
    sort: block.sort.map((one) => ({ ...one, column: column(one.column) })),
  };
}

function usesOfTables(pattern: SeenPattern, resolve: JudgedWith['resolve']): Use[] {
  return (pattern.shape?.blocks ?? []).flatMap((each) => {
    const block = qualified(each, resolve);
    return block.relations.flatMap((use) => {
      if (isDerived(use)) return [];
      const resolved = resolve(use);
      return 'table' in resolved ? [{ use, table: resolved.table, block }] : [];
    });
  });
}

/** Whether the other side of a join is narrowed down by a value: only then a search for each of its rows pays. */
function isRestricted(block: QueryBlock, use: RelationUse): boolean {
  return block.comparisons.some(({ left, right }) => right === null && isColumnOf(block, left, use));
}

function otherSide(block: QueryBlock, { qualifier }: ColumnUse): RelationUse | null {
  return block.relations.find(({ label }) => label === qualifier) ?? null;
}

/** Columns of the table that the block compares, as far as an index could find rows by them. */
function comparedColumns({ use, table, block }: Use): { equal: QueryColumn[]; range: QueryColumn[] } {
  const found = { equal: new Set<string>(), range: new Set<string>() };
  for (const { left, right, kind } of block.comparisons) {
    if (right === null) {
      if (isColumnOf(block, left, use)) found[kind].add(left.column);
      continue;
    }
    for (const [mine, other] of [
      [left, right],
      [right, left],
    ] as const) {
      if (!isColumnOf(block, mine, use) || (mine.qualifier === null && other.qualifier === null)) continue;
      // A column of no relation here is one of an outer query: a value while this one runs.
      const partner = otherSide(block, other);
      if (partner === null || (partner !== use && isRestricted(block, partner))) found.equal.add(mine.column);
    }
  }
  const columns = (names: Set<string>): QueryColumn[] =>
    table.columns.filter(({ name, sortable }) => sortable && names.has(name));
  const equal = columns(found.equal);
  return { equal, range: columns(found.range).filter((column) => !equal.includes(column)) };
}

/** The share of the rows that one value of a column has; null where not known. */
function shareOfOneValue({ distinct }: QueryColumn, rows: number | null): number | null {
  if (distinct === null || distinct === 0) return null;
  if (distinct > 0) return 1 / distinct;
  return rows === null || rows === 0 ? null : 1 / (-distinct * rows);
}

/** Together, as if they were independent; null where nothing is known of any. */
function selectivity(columns: readonly QueryColumn[], rows: number | null): number | null {
  const known = columns.flatMap((column) => shareOfOneValue(column, rows) ?? []);
  return known.length === 0 ? null : known.reduce((all, share) => all * share, 1);
}

function mostSelectiveFirst(columns: readonly QueryColumn[], rows: number | null): QueryColumn[] {
  const share = (column: QueryColumn): number => shareOfOneValue(column, rows) ?? 1;
  return [...columns].sort((a, b) => share(a) - share(b));
}

function isServed(table: QueryTable, wanted: readonly QueryColumn[]): boolean {
  const names = wanted.map(({ name }) => name);
  return table.indexes.some(
    ({ searchable, columns: [first] }) => searchable && first != null && names.includes(first),
  );
}

/** Columns of ORDER BY … LIMIT in one direction, if all are of this relation: an index in that order ends the search early. */
function sortColumns({ use, table, block }: Use): QueryColumn[] {
  const { sort, limit } = block;
  if (
    !limit ||
    sort.some(
      ({ column, descending }) => descending !== sort[0]?.descending || !isColumnOf(block, column, use),
    )
  )
    return [];
  const columns = sort.map(({ column }) => table.columns.find(({ name }) => name === column.column));
  return columns.every((column) => column?.sortable === true) ? (columns as QueryColumn[]) : [];
}

/** The columns an index would have: those compared for equality, then those of the sort, or else one range. */
function indexColumns(use: Use): QueryColumn[] | null {
  const { equal, range } = comparedColumns(use);
  const sort = sortColumns(use).filter((column) => !equal.includes(column));
  const { rows } = use.table;
  if (equal.length === 0 && range.length === 0 && sort.length === 0) return null;
  if (isServed(use.table, [...equal, ...range, ...(equal.length === 0 ? sort.slice(0, 1) : [])])) return null;
  if (equal.length > 0 && range.length === 0 && sort.length === 0) {
    const share = selectivity(equal, rows);
    if (share !== null && share > leastSelective) return null;
  }
  return [...mostSelectiveFirst(equal, rows), ...(sort.length > 0 ? sort : range.slice(0, 1))];
}

function scans(pattern: SeenPattern, uses: readonly Use[]): Judged {
  const causes: Cause[] = [];
  const ideas: IndexIdea[] = [];
  const blocks = per(pattern.blocks, pattern.calls);
  const seen = new Set<number>();
  for (const use of uses) {
    const { table } = use;
    if (seen.has(table.oid) || !['r', 'p', 'm'].includes(table.kind)) continue;
    if (table.pages < largeTablePages || blocks < table.pages * shareThatIsAScan) continue;
    seen.add(table.oid);
    const columns = indexColumns(use);
    const evidence = {
      table: table.quoted,
      blocks_per_call: rounded(blocks),
      table_pages: table.pages,
      rows_per_call: rounded(per(pattern.row_count, pattern.calls), 2),
    };
    if (columns !== null) {
      ideas.push({ table, columns });
      causes.push({
        reason: 'missing_index',
        detail: `no index finds rows of ${table.quoted} by ${columns.map(({ quoted }) => quoted).join(', ')}, and a call looks at ${Math.round(blocks)} blocks, the table has ${table.pages}`,
        columns: columns.map(({ name }) => name),
        ...evidence,
      });
    } else {
      causes.push({
        reason: 'sequential_scan',
        detail: `a call looks at ${Math.round(blocks)} blocks, and ${table.quoted} has ${table.pages}: it reads the table from end to end, as none of its conditions on plain columns is one that an index could find few rows by; conditions on expressions, such as lower(name) = $1, which an index on the expression may serve, are not looked at`,
        ...evidence,
      });
    }
  }
  return { causes, ideas };
}

/** The tables it names, each once. */
export function tablesOf(pattern: SeenPattern, resolve: JudgedWith['resolve']): QueryTable[] {
  const found = new Map<number, QueryTable>();
  for (const use of [
    ...(pattern.shape?.target ? [pattern.shape.target] : []),
    ...(pattern.shape?.blocks ?? []).flatMap(({ relations }) => relations),
  ]) {
    if (isDerived(use)) continue;
    const resolved = resolve(use);
    if ('table' in resolved) found.set(resolved.table.oid, resolved.table);
  }
  return [...found.values()];
}

export function judgeSlow(pattern: SeenPattern, with_: JudgedWith): Judged {
  if (pattern.shape === null) {
    const detail =
      pattern.parse_error === null
        ? 'not parsed yet: a worker reads what statements do, and none has read this one'
        : `it could not be parsed: ${pattern.parse_error}`;
    return {
      causes: [
        ...spill(pattern, with_.blockSize),
        ...chatty(pattern, with_),
        { reason: 'not_parsed', detail },
      ],
      ideas: [],
    };
  }
  const slow = per(pattern.total_exec_ms, pattern.calls) >= with_.slowMs;
  const { causes, ideas } = slow
    ? scans(pattern, usesOfTables(pattern, with_.resolve))
    : { causes: [], ideas: [] };
  const all = [
    ...causes,
    ...spill(pattern, with_.blockSize),
    ...chatty(pattern, with_),
    ...(slow ? staleStatistics(tablesOf(pattern, with_.resolve), with_) : []),
  ];
  return {
    causes:
      all.length > 0
        ? all
        : [{ reason: 'not_known', detail: 'none of the causes that pg-maint looks for was seen' }],
    ideas,
  };
}
