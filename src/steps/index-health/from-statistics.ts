/**
 * Bloat of B-trees from the planner's statistics, where no page may be read. Rows times the average width of their keys:
 * wrong by tens of points where keys repeat, are mostly null, or are expressions, so these are left unknown.
 */
import { attempt, clock, query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { aligned } from './btree-page.ts';
import { bytesOnFullPage, pagesOfIndex } from './btree-rebuild.ts';
import type { Measured, MeasuredIndex, Surroundings } from './measurement.ts';
import { unmeasured } from './whole-index.ts';

interface KeyColumn {
  /** Bytes of an integer and the like; null where values differ in length. */
  fixed: number | null;
  alignment: number;
  /** Null where ANALYZE has not seen it, or this role may not. */
  average: number | null;
  nulls: number | null;
  distinct: number | null;
}

interface StatisticsRow {
  oid: number;
  rows: number;
  partial: boolean;
  expressions: boolean;
  columns: KeyColumn[];
}

const statisticsQuery = `
  select pg_catalog.jsonb_build_object('oid', x.indexrelid::int8, 'rows', t.reltuples, 'partial', x.indpred is not null,
      'expressions', x.indexprs is not null,
      'columns', (
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'fixed', case when a.attlen > 0 then a.attlen end,
          'alignment', case a.attalign when 'd' then 8 when 'i' then 4 when 's' then 2 else 1 end,
          'average', s.avg_width, 'nulls', s.null_frac, 'distinct', s.n_distinct) order by k.place)
        from pg_catalog.unnest(x.indkey) with ordinality as k (number, place)
        join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.number
        left join pg_catalog.pg_stats as s
          on s.schemaname = n.nspname and s.tablename = t.relname and s.attname = a.attname and not s.inherited)) as row
  from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid)
  join pg_catalog.pg_index as x on x.indexrelid = w.oid::oid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
  order by x.indexrelid`;

/** In points. Keys of one length are as long as they say; averages of others are of the sample that ANALYZE took. */
const errorOfFixed = 4;
const errorOfVarying = 10;
/** From this share of nulls on, what is not null decides, and its width is told with the nulls in it. */
const mostlyNull = 0.3;
/** Rows for each value of the leading key beyond which deduplication decides the size. */
const repeats = 1.1;

/** Why the estimate is not to be trusted here, or null. */
function weakBecause(index: MeasuredIndex, row: StatisticsRow): string | null {
  if (row.expressions) return 'an expression has no statistics of its own width';
  if (row.partial) return 'how many rows a partial index holds is not known';
  if (row.rows < 0) return 'the table was never analyzed';
  if (row.columns.some(({ average }) => average === null))
    return 'there are no statistics of its columns that this role may read';
  if (row.columns.some(({ nulls }) => (nulls ?? 0) > mostlyNull)) return 'its keys are mostly null';
  if (index.unique || !index.deduplicates) return null;
  const values = Math.max(
    ...row.columns.map(({ distinct }) => {
      const told = distinct ?? 0;
      return told < 0 ? -told * row.rows : told;
    }),
  );
  return row.rows > values * repeats
    ? 'its keys repeat, and how a new index would put them together is not known'
    : null;
}

/** Tuple with its line pointer. */
function entryBytes(columns: readonly KeyColumn[]): number {
  let bytes = 8;
  for (const { fixed, alignment, average } of columns) {
    if (fixed !== null) bytes = Math.ceil(bytes / alignment) * alignment + fixed;
    else bytes += average ?? 0;
  }
  return aligned(Math.ceil(bytes)) + 4;
}

export function* estimateFromStatistics(
  indexes: readonly MeasuredIndex[],
  reason: string,
  { blockSize }: Surroundings,
): Program<Map<number, Measured>> {
  const all = new Map<number, Measured>();
  if (indexes.length === 0) return all;
  const started = yield* clock();
  const outcome = yield* attempt(() =>
    query<StatisticsRow>(statisticsQuery, [indexes.map(({ oid }) => String(oid))]),
  );
  const milliseconds = ((yield* clock()) - started) / indexes.length;
  const rowOf = new Map(outcome.ok ? outcome.value.map((row) => [row.oid, row]) : []);
  for (const index of indexes) {
    const row = rowOf.get(index.oid);
    if (row === undefined) {
      if (!outcome.ok) all.set(index.oid, unmeasured(outcome.failure));
      continue;
    }
    const weak = weakBecause(index, row);
    if (weak !== null) {
      all.set(index.oid, { ok: false, reason: `${reason}; no estimate either: ${weak}` });
      continue;
    }
    const bytes = entryBytes(row.columns);
    const perPage = bytesOnFullPage([{ bytes, truncated: 0 }], {
      blockSize,
      fillfactor: index.fillfactor,
      deduplicates: false,
    });
    const after = pagesOfIndex(Math.max(1, Math.ceil((row.rows * bytes) / perPage)), bytes, blockSize);
    const bloatPercent = 100 * (1 - after / index.pages);
    const varying = row.columns.some(({ fixed }) => fixed === null);
    const error = varying ? errorOfVarying : errorOfFixed;
    all.set(index.oid, {
      ok: true,
      method: 'statistics',
      bloatPercent,
      low: bloatPercent - error,
      high: Math.min(100, bloatPercent + error),
      leafDensity: null,
      pagesRead: 0,
      milliseconds,
    });
  }
  return all;
}
