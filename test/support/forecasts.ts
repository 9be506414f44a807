/** Histories of index bloat for tests of forecasts. */
import pg from 'pg';
import { performForecast } from '../../src/worker/forecast/forecast-job.ts';
import type { TestDatabase } from './database.ts';
import { run } from './maintenance.ts';

/** What a worker does for step 16. */
export async function forecast(database: TestDatabase): Promise<void> {
  await performForecast(await database.client(), new AbortController().signal);
}

/**
 * An index with a history of `days` days up to yesterday: `bloat` gives its bloat on each, `days` ago counting down to 1.
 */
export async function withHistory(
  database: TestDatabase,
  name: string,
  days: number,
  bloat: (ago: number) => number,
  schema = 'public',
): Promise<void> {
  const table = `${name.slice(0, 50)} t`;
  const quoted = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
  await database.query(`create table ${quoted} (a int);
    create index ${pg.escapeIdentifier(name)} on ${quoted} (a)`);
  // The sample of step 6 makes it known.
  await run(database, { only: ['unused_indexes'] });
  await database.query(
    `with used as (
       update maint.index_usage as u set first_seen = now() - interval '200 days'
       from pg_class as c
       join pg_namespace as n on n.oid = c.relnamespace and n.nspname = $1
       where c.relname = $2 and u.index_oid = c.oid
       returning u.usage_id, u.index_oid
     ), measured as (
       insert into maint.index_measurement (usage_id, relfilenode, size_bytes, table_writes, writes_counter, seen_at, verdict,
         why)
       select usage_id, pg_relation_filenode(index_oid), 50000000, 0, 0, now(), 'healthy', 'test' from used
     )
     insert into maint.index_sample_day (usage_id, day, sampled_at, samples, size_bytes, bloat_percent, scans, table_writes,
       rebuilt)
     select u.usage_id, (now() - h.ago * interval '1 day')::date, now() - h.ago * interval '1 day', 1, 50000000, h.bloat, 0, 0,
       false
     from used as u, jsonb_to_recordset($3::jsonb) as h (ago int, bloat numeric)`,
    [
      schema,
      name,
      JSON.stringify(
        Array.from({ length: days }, (_, index) => ({ ago: days - index, bloat: bloat(days - index) })),
      ),
    ],
  );
}

/** The same number for the same index and day, about 0 on average. */
export const noise = (seed: number, ago: number): number =>
  ((Math.imul(seed * 7919 + ago, 0x9e37_79b1) >>> 16) / 65_536 - 0.5) * 1.2;

/** Enough indexes that grew, for a backtest to choose by: in weeks, so that neither naive forecast is good. */
export async function grow(database: TestDatabase, schema = 'public', noisiness = 1): Promise<void> {
  for (let index = 0; index < 8; index += 1) {
    const rate = 0.35 + index * 0.05;
    // By weeks of 60 days: five days of growth, two of none; about 3 points below the threshold of 20 by now.
    const grown = (ago: number): number => {
      const day = 60 - ago;
      const worked = Math.floor(day / 7) * 5 + Math.min(5, day % 7);
      return worked * rate;
    };
    const offset = 18.6 - grown(1);
    await withHistory(
      database,
      `grows ${index}`,
      60,
      (ago) => Math.max(0, offset + grown(ago) + noisiness * noise(index, ago)),
      schema,
    );
  }
}
