/** The tables that hold rows, and for partitions which constants of the key lead there. */
import type pg from 'pg';

export interface Leaf {
  oid: number;
  /** Quoted. */
  name: string;
  /** The uppermost table of its tree: itself where it is in none. */
  root: number;
  /** What to insert into: itself, or its root where the server has to choose (hash). */
  into: string;
  /** Columns of the partition key, quoted, with a value that lies within the bounds. */
  fixed: ReadonlyMap<string, string>;
  /** Why no row can be made for it, or null. */
  problem: string | null;
}

interface Row {
  oid: number;
  name: string;
  root: number;
  root_name: string;
  /** From the root down: strategy, columns (null: an expression) and the bound as the server writes it. */
  levels: { strategy: string; columns: (string | null)[]; bound: string }[] | null;
}

const leavesQuery = `
  with recursive up as (
    select c.oid, c.oid as at, 0 as distance from pg_catalog.pg_class as c where c.relkind = 'r'
    union all
    select u.oid, i.inhparent, u.distance + 1 from up as u
    join pg_catalog.pg_inherits as i on i.inhrelid = u.at
    join pg_catalog.pg_class as c on c.oid = u.at and c.relispartition
  )
  select c.oid::int8::float8 as oid, c.oid::regclass::text as name,
    (select u.at::int8::float8 from up as u where u.oid = c.oid order by u.distance desc limit 1) as root,
    (select u.at::regclass::text from up as u where u.oid = c.oid order by u.distance desc limit 1) as root_name,
    (
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'strategy', p.partstrat,
          'columns', array(select pg_catalog.quote_ident(a.attname) from pg_catalog.unnest(p.partattrs::int2[]) with ordinality as k (attnum, place)
            left join pg_catalog.pg_attribute as a on a.attrelid = p.partrelid and a.attnum = k.attnum order by k.place),
          'bound', pg_catalog.pg_get_expr(b.relpartbound, b.oid)) order by u.distance desc)
      from up as u
      join pg_catalog.pg_class as b on b.oid = u.at and b.relispartition
      join pg_catalog.pg_inherits as i on i.inhrelid = b.oid
      join pg_catalog.pg_partitioned_table as p on p.partrelid = i.inhparent
      where u.oid = c.oid) as levels
  from pg_catalog.pg_class as c
  where c.relkind = 'r'
  order by c.oid`;

/** The values of the first list in a bound: `FROM ('a', 1)` or `IN ('a', 'b')`. */
function literals(bound: string): string[] {
  const list = /\((?<list>(?:[^()']|'(?:[^']|'')*')*)\)/.exec(bound)?.groups?.['list'] ?? '';
  return list.match(/'(?:[^']|'')*'|[^,\s][^,]*/g) ?? [];
}

function leafOf({ oid, name, root, root_name, levels }: Row): Leaf {
  const fixed = new Map<string, string>();
  const leaf = {
    oid,
    name,
    root,
    into: name,
    fixed,
    problem: null as string | null,
  };
  for (const { strategy, columns, bound } of levels ?? []) {
    if (bound === 'DEFAULT') leaf.problem = 'a default partition';
    else if (strategy === 'h') leaf.into = root_name;
    else {
      const values = literals(bound);
      for (const [place, column] of columns.entries()) {
        const value = values[strategy === 'l' ? 0 : place];
        if (column === null || value === undefined || /^(MINVALUE|MAXVALUE)$/.test(value))
          leaf.problem = `no value is known for ${bound}`;
        else fixed.set(column, value);
      }
    }
  }
  return leaf;
}

export async function leaves(client: pg.Client): Promise<Leaf[]> {
  const { rows } = await client.query<Row>(leavesQuery);
  return rows.map(leafOf);
}
