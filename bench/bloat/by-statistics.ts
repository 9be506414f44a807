/** The usual estimate from statistics, column by column, in our own words: no page of the index is read. */
import type pg from 'pg';

/**
 * Rows × (line pointer + tuple, aligned to 8 bytes) ÷ what the fillfactor leaves of a page: the size that the index would
 * have, had it just been built and did B-trees not put equal keys together. Widths and shares of nulls are those of pg_stats,
 * which must be fresh: ANALYZE first. Index -> bloat in percent.
 */
export async function estimateByStatistics(client: pg.Client, schema: string): Promise<Map<string, number>> {
  const { rows } = await client.query<{ name: string; bloat: number }>(
    `with columns as (
       select c.oid, c.relname, c.reltuples, c.relpages, s.null_frac, s.avg_width,
         coalesce((select o.option_value::float8 from pg_options_to_table(c.reloptions) as o
           where o.option_name = 'fillfactor'), 90) as fillfactor
       from pg_index as i
       join pg_class as c on c.oid = i.indexrelid
       join pg_class as t on t.oid = i.indrelid
       join pg_attribute as a on a.attrelid = c.oid
       left join pg_attribute as k on k.attrelid = t.oid and k.attnum = i.indkey[a.attnum - 1]
       left join pg_stats as s on s.schemaname = $1
         and (s.tablename, s.attname) = (case when k.attname is null then c.relname else t.relname end,
           coalesce(k.attname, a.attname))
       where c.relnamespace = $1::regnamespace and c.relam = (select oid from pg_am where amname = 'btree')
     ), widths as (
       select oid, relname, reltuples, relpages, fillfactor,
         case when max(null_frac) > 0 then 16 else 8 end + sum((1 - null_frac) * avg_width) as tuple
       from columns
       group by 1, 2, 3, 4, 5
     )
     select relname::text as name,
       greatest(0, 100 * (1 - (1 + ceil(reltuples * (4 + ceil(tuple / 8) * 8) / ((8192 - 24 - 16) * fillfactor / 100)))
         / nullif(relpages, 0)))::float8 as bloat
     from widths`,
    [schema],
  );
  return new Map(rows.map(({ name, bloat }) => [name, bloat]));
}
