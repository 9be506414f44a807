/** Makes some of the indexes of a database used, by searches for values that are there. */
import type pg from 'pg';
import type { Random } from '../property/random.ts';
import type { Search } from './served.ts';

/** Runs the longest search of each chosen index three times and returns what was run. */
export async function use(
  client: pg.Client,
  all: readonly Search[],
  random: Random,
  share: number,
): Promise<Search[]> {
  const longest = new Map(all.map((search) => [search.index, search]));
  const ran: Search[] = [];
  await client.query('set enable_seqscan = off');
  for (const search of longest.values()) {
    if (!random.chance(share)) continue;
    try {
      for (let time = 0; time < 3; time += 1) await client.query(search.run);
      ran.push(search);
    } catch {
      // The operator takes another type than the column's, or a function of the schema fails: nothing that is asked here.
    }
  }
  await client.query('reset enable_seqscan; select pg_stat_force_next_flush()');
  await client.query('select 1');
  return ran;
}
