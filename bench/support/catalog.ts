/** A catalog of many tables and indexes, made quickly. */
import type pg from 'pg';

export const indexesPerTable = 5;

/** Tables in one transaction: below what the default lock table holds with five indexes each. */
const batch = 100;

/**
 * Adds tables up to `tables`, each unlogged and empty with five indexes: a primary key, two plain ones, one that a
 * wider one makes redundant in every tenth table, a partial, an expression or a hash index. Every second table refers to
 * an earlier one, half of these without an index that serves the foreign key. 500 tables a schema, with the
 * same names in each.
 */
export async function growCatalog(client: pg.Client, from: number, tables: number): Promise<void> {
  for (let first = from; first < tables; first += batch) {
    const last = Math.min(first + batch, tables) - 1;
    await client.query(`do $make$
      declare
        s text;
        t text;
        parent text;
      begin
        for i in ${first}..${last} loop
          s := format('area_%s', i / 500);
          t := format('%I.%I', s, 'Table ' || i % 500);
          execute format('create schema if not exists %I', s);
          execute format('create unlogged table %s (id int primary key, a int, b int, c text, d int)', t);
          execute format('create index %I on %s (a)', 'first ' || i, t);
          execute format('create index %I on %s (a, b)', 'second ' || i, t);
          if i % 10 = 0 then
            execute format('create index %I on %s (d)', 'third ' || i, t);
          else
            execute format('create index %I on %s (b, a)', 'third ' || i, t);
          end if;
          execute format(
            case i % 3 when 0 then 'create index %I on %s (c) where c is not null'
              when 1 then 'create index %I on %s (lower(c))'
              else 'create index %I on %s using hash (c)' end, 'fourth ' || i, t);
          if i % 2 = 1 then
            parent := format('%I.%I', format('area_%s', (i - 1) / 500), 'Table ' || (i - 1) % 500);
            execute format('alter table %s add foreign key (%s) references %s', t,
              case i % 4 when 1 then 'a' else 'd' end, parent);
          end if;
        end loop;
      end $make$`);
  }
  await analyzeCatalog(client);
}

/** What autovacuum would have done by the time anyone runs maintenance. */
async function analyzeCatalog(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared`,
  );
  for (const { name } of rows) await client.query(`vacuum (analyze) ${name}`);
}
