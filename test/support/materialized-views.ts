/** What the tests of step 14 share. */
import type { TestDatabase } from './database.ts';
import { requireDone, run } from './maintenance.ts';

/** The step's part of the result. */
export interface Result {
  count: number | null;
  index_suggestions: number | null;
  index_suggestions_basis: { reason: string | null };
  unpopulated: number;
  no_unique_index: number;
  stale: number;
  staleness_unknown: { view: string; because: string }[];
  refresh_order: { count: number; names: string[] };
}

/** Runs step 14 alone. */
export async function check(database: TestDatabase): Promise<Result> {
  const result = await run(database, { only: ['materialized_views'] });
  requireDone(result, 'materialized_views');
  return result.cleanup['materialized_views'] as unknown as Result;
}

/** A table, and a view of all its rows that can be refreshed concurrently. */
export const sales = `
  create table sale (id int primary key, region text, amount int);
  insert into sale select i, 'r' || i % 5, i from generate_series(1, 100) as i;
  create materialized view total as select id, region, amount from sale;
  create unique index total_id on total (id);
  analyze;
  -- Else these rows may be counted as changed later.
  select pg_stat_force_next_flush();
`;
