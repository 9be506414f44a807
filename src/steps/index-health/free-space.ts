/**
 * GIN, GiST and SP-GiST: what fills a sample of their pages. How full the server will pack them when it builds the index
 * again depends on the keys and their order, so that the answer is a wide interval: enough to tell the clear cases.
 */
import type { PageReader } from '../../catalog/index-tools.ts';
import { attempt, clock, queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import type { Measured, MeasuredIndex, Surroundings } from './measurement.ts';
import { unmeasured } from './whole-index.ts';
import { meanOfStrata, sampleBlocks, seedOf, studentQuantile } from './page-sample.ts';

const pagesCounted = 300;

/**
 * Share of a page that is filled after a build, from and to: pages that were split in the middle at the worst, and filled
 * to the end at the best. Too narrow, and an index is rebuilt that comes out as large as it was.
 */
const filledByBuild = { least: 0.45, most: 0.98 };

const pagesQuery = ({ privileged, schema }: PageReader): string =>
  privileged
    ? `
  select pg_catalog.to_jsonb(maint_privileged.index_free_space($1::pg_catalog.oid, array(
    select b.block::pg_catalog.int8
    from pg_catalog.jsonb_array_elements_text($2::pg_catalog.jsonb) with ordinality as b (block, place)
    order by b.place))) as row
  order by 1`
    : `
  select pg_catalog.to_jsonb(pg_catalog.array_agg(h.upper - h.lower order by b.place)) as row
  from pg_catalog.jsonb_array_elements_text($2::pg_catalog.jsonb) with ordinality as b (block, place)
  cross join lateral ${schema}.page_header(${schema}.get_raw_page(
    $1::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text, b.block::pg_catalog.int8)::pg_catalog.bytea) as h
  order by 1`;

/**
 * `keepsKeys`: VACUUM leaves keys without rows where they are, as in GIN, or marks in the place of entries, as in SP-GiST:
 * what fills the pages may be all of no use.
 */
export function* measureFreeSpace(
  indexes: readonly MeasuredIndex[],
  reader: PageReader,
  keepsKeys: boolean,
  { now, blockSize, budget }: Surroundings,
): Program<Map<number, Measured>> {
  const all = new Map<number, Measured>();
  for (const index of indexes) {
    const started = yield* clock();
    if (started >= budget.deadline || budget.pages <= 0) break;
    const blocks = sampleBlocks(1, index.pages - 1, pagesCounted, seedOf(index.oid, now));
    const outcome = yield* attempt(() => queryOne<number[] | null>(pagesQuery(reader), [index.oid, blocks]));
    const milliseconds = (yield* clock()) - started;
    budget.pages -= blocks.length;
    if (!outcome.ok) {
      all.set(index.oid, unmeasured(outcome.failure));
      continue;
    }
    const room = blockSize - 40;
    // A page that was never written has neither lower nor upper end.
    const filled = (outcome.value ?? []).map((free) =>
      free <= 0 ? (free < 0 ? 0 : 1) : 1 - Math.min(1, free / room),
    );
    const { mean, error } = meanOfStrata(filled, Math.max(1, index.pages - 1));
    const spread = error * studentQuantile(Math.max(1, filled.length - 1)) + index.deadShareError;
    const live = mean * (1 - index.deadShare);
    const points = (share: number): number => 100 * (1 - Math.min(1, Math.max(0, share)));
    const low = Math.max(0, points((live + spread) / filledByBuild.least));
    const high = keepsKeys && index.churned ? 100 : points((live - spread) / filledByBuild.most);
    all.set(index.oid, {
      ok: true,
      method: blocks.length >= index.pages - 1 ? 'all_pages' : 'sampled_pages',
      bloatPercent: (low + high) / 2,
      low,
      high,
      leafDensity: null,
      pagesRead: blocks.length,
      milliseconds,
    });
  }
  return all;
}

/** What waits in the pending lists of GIN indexes: oid -> pages. From their meta pages alone. */
export function* pendingPages(oids: readonly number[], schema: string): Program<Map<number, number>> {
  if (oids.length === 0) return new Map();
  const outcome = yield* attempt(() =>
    queryOne<{ oid: number; pages: number }[] | null>(
      `select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('oid', w.oid::int8, 'pages', g.pending_pages)
         order by w.oid) as row
       from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid)
       cross join lateral ${schema}.pgstatginindex(w.oid::pg_catalog.oid::pg_catalog.regclass) as g
       order by 1`,
      [oids.map(String)],
    ),
  );
  return new Map(outcome.ok ? (outcome.value ?? []).map(({ oid, pages }) => [oid, pages]) : []);
}
