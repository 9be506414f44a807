/**
 * What a database's indexes do, asked of the server and of nothing else: the searches each can serve, the uniqueness each
 * enforces, and the query that the server itself sends for a foreign key. Asked before and after a remedy.
 */
import type pg from 'pg';

/** A query with no constants: a parameter stands for each value, so that a plan is made for any. */
export interface Search {
  /** The index that it was made of, `schema.name` as the server quotes it. */
  index: string;
  /** The uppermost index of its tree: itself where it is in none. */
  root: string;
  text: string;
  /** The same for a value that is there. */
  run: string;
}

interface IndexRow {
  oid: number;
  name: string;
  root: string;
  table_name: string;
  method: string;
  predicate: string | null;
  keys: { value: string; operator: string | null; right: string | null; collation: string | null }[];
}

const userSchemas = `n.nspname !~ '^(pg_|maint$|maint_)' and n.nspname <> 'information_schema'`;

/** One operator a key column: equality where the class has one, else its first. */
const indexesQuery = `
  select i.indexrelid::int8 as oid, i.indexrelid::regclass::text as name,
    coalesce(pg_catalog.pg_partition_root(i.indexrelid), i.indexrelid)::regclass::text as root, i.indrelid::regclass::text as table_name,
    m.amname as method, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate,
    array(
      select pg_catalog.jsonb_build_object(
          'value', pg_catalog.pg_get_indexdef(i.indexrelid, k.place::int, false),
          'operator', o.name, 'right', o.right_type,
          'collation', case when i.indcollation[k.place - 1] <> 0 then
            (select pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.collname) from pg_catalog.pg_collation as c
              join pg_catalog.pg_namespace as s on s.oid = c.collnamespace where c.oid = i.indcollation[k.place - 1]) end)
      from pg_catalog.generate_series(1, i.indnkeyatts) as k (place)
      join pg_catalog.pg_opclass as c on c.oid = i.indclass[k.place - 1]
      left join lateral (
        select 'operator(' || pg_catalog.quote_ident(s.nspname) || '.' || p.oprname || ')' as name,
          case when (select t.typtype from pg_catalog.pg_type as t where t.oid = a.amoprighttype) = 'p'
            then (select pg_catalog.format_type(t.atttypid, null) from pg_catalog.pg_attribute as t
              where t.attrelid = i.indexrelid and t.attnum = k.place)
            else pg_catalog.format_type(a.amoprighttype, null) end as right_type
        from pg_catalog.pg_amop as a
        join pg_catalog.pg_operator as p on p.oid = a.amopopr
        join pg_catalog.pg_namespace as s on s.oid = p.oprnamespace
        where a.amopfamily = c.opcfamily and a.amoppurpose = 's' and a.amoplefttype = c.opcintype
        order by (a.amoprighttype = c.opcintype) desc, (p.oprname = '=') desc, a.amopstrategy limit 1) as o on true
      order by k.place) as keys
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as x on x.oid = i.indexrelid
  join pg_catalog.pg_am as m on m.oid = x.relam
  join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
  where ${userSchemas} and i.indisvalid and x.relpersistence <> 't'
  order by i.indexrelid`;

/** Searches by each leading part of a B-tree's key, by all of any other's. */
export async function searches(client: pg.ClientBase): Promise<Search[]> {
  const { rows } = await client.query<IndexRow>(indexesQuery);
  return rows.flatMap((index) => {
    const { table_name: table, predicate } = index;
    const also = predicate === null ? [] : [predicate];
    const conditions = index.keys.map(({ value, operator, right, collation }) => {
      if (operator === null || right === null) return null;
      const left = `(${value})${collation === null ? '' : ` collate ${collation}`} ${operator}`;
      const present = [`(${value}) is not null`, ...also].join(' and ');
      return {
        any: `${left} (select null::${right})`,
        one: `${left} (select (${value})::${right} from ${table} where ${present} limit 1)`,
      };
    });
    const known = conditions.filter((one) => one !== null);
    if (known.length < conditions.length) return [];
    const wholes = index.method === 'btree' ? known.map((_, place) => known.slice(0, place + 1)) : [known];
    return wholes.map((some) => ({
      index: index.name,
      root: index.root,
      text: `select 1 from ${table} where ${[...some.map(({ any }) => any), ...also].join(' and ')}`,
      run: `select count(*) from ${table} where ${[...some.map(({ one }) => one), ...also].join(' and ')}`,
    }));
  });
}

interface PlanNode {
  'Node Type': string;
  'Total Cost': number;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: PlanNode[];
}

export interface Plan {
  /** Every table is read through an index that is searched, not read through. */
  indexed: boolean;
  cost: number;
  indexes: string[];
}

function nodes(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodes)];
}

/** Plans with sequential scans as the last resort, or as the server would. */
export async function plan(
  client: pg.ClientBase,
  text: string,
  resort: 'index' | 'any' = 'index',
): Promise<Plan> {
  await client.query(`begin; set local plan_cache_mode = force_generic_plan; set local jit = off;
    set local max_parallel_workers_per_gather = 0; set local enable_seqscan = ${resort === 'index' ? 'off' : 'on'}`);
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
      `explain (format json) ${text}`,
    );
    const top = rows[0]!['QUERY PLAN'][0]!.Plan;
    const all = nodes(top);
    const unsearched = all.some(
      (node) =>
        node['Node Type'] === 'Seq Scan' ||
        (/Index/.test(node['Node Type']) && node['Index Cond'] === undefined),
    );
    return {
      indexed: !unsearched,
      cost: top['Total Cost'],
      indexes: all.flatMap((node) => node['Index Name'] ?? []),
    };
  } finally {
    await client.query('rollback');
  }
}

export interface Unique {
  index: string;
  table_name: string;
  keys: string[];
  predicate: string | null;
  nulls_not_distinct: boolean;
}

/** What the valid unique indexes enforce. Nulls not distinct are read from the definition: 15 has the column, too. */
export async function uniques(client: pg.ClientBase): Promise<Unique[]> {
  const { rows } = await client.query<Unique>(`
    select i.indexrelid::regclass::text as index, i.indrelid::regclass::text as table_name,
      array(select pg_catalog.pg_get_indexdef(i.indexrelid, k, false) from pg_catalog.generate_series(1, i.indnkeyatts) as k order by k) as keys,
      pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate, i.indnullsnotdistinct as nulls_not_distinct
    from pg_catalog.pg_index as i
    join pg_catalog.pg_class as x on x.oid = i.indexrelid
    join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
    where ${userSchemas} and i.indisunique and i.indisvalid
    order by 1`);
  return rows;
}

/** Something as strong is still there. */
export function stillUnique(before: Unique, after: readonly Unique[]): boolean {
  return after.some(
    (now) =>
      now.table_name === before.table_name &&
      now.keys.every((key) => before.keys.includes(key)) &&
      (now.predicate === null || now.predicate === before.predicate) &&
      (now.nulls_not_distinct || !before.nulls_not_distinct),
  );
}

export interface ForeignKey {
  /** `table.constraint`, quoted. */
  name: string;
  table_name: string;
  constraint_name: string;
  schema_name: string;
  bare_table: string;
  /** What a delete in the referenced table asks of the referencing one. */
  text: string;
}

/**
 * As ri_triggers.c writes it: the operators of the key with the referenced columns to the left; a column is cast where its
 * type is not the operator's, and takes the referenced column's collation where that is nondeterministic and another one.
 */
export async function foreignKeys(client: pg.ClientBase): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(`
    select k.conrelid::regclass::text || '.' || pg_catalog.quote_ident(k.conname) as name,
      k.conrelid::regclass::text as table_name, k.conname::text as constraint_name, n.nspname::text as schema_name,
      c.relname::text as bare_table,
      'select 1 from ' || case c.relkind when 'p' then '' else 'only ' end || k.conrelid::regclass::text || ' where ' || (
        select pg_catalog.string_agg(
          '(select null::' || pg_catalog.format_type(r.atttypid, null) || ') operator(' || pg_catalog.quote_ident(s.nspname) || '.' || o.oprname || ') '
            || pg_catalog.quote_ident(a.attname)
            || case when a.atttypid <> o.oprright and not exists (select from pg_catalog.pg_cast as t
                where t.castsource = a.atttypid and t.casttarget = o.oprright and t.castmethod = 'b' and t.castcontext = 'i')
                and (select t.typtype from pg_catalog.pg_type as t where t.oid = o.oprright) <> 'p'
              then '::' || pg_catalog.format_type(o.oprright, null) else '' end
            || coalesce((select ' collate ' || pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(l.collname) from pg_catalog.pg_collation as l
                join pg_catalog.pg_namespace as s on s.oid = l.collnamespace
                where l.oid = r.attcollation and not l.collisdeterministic and a.attcollation <> r.attcollation), ''),
          ' and ' order by p.place)
        from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop)) with ordinality as p (attnum, referenced, operator, place)
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
        join pg_catalog.pg_attribute as r on r.attrelid = k.confrelid and r.attnum = p.referenced
        join pg_catalog.pg_operator as o on o.oid = p.operator
        join pg_catalog.pg_namespace as s on s.oid = o.oprnamespace) as text
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and ${userSchemas}
    order by 1`);
  return rows;
}

/** What a search of any table costs through an index, about: below this the share says nothing of a small table. */
const costOfSearch = 15;

/**
 * How much of the table the query for a key still reads: the cost through an index as a share of that of reading it all; 1
 * where no index serves.
 */
export async function shareRead(client: pg.ClientBase, key: ForeignKey): Promise<number> {
  const through = await plan(client, key.text);
  if (!through.indexed) return 1;
  if (through.cost < costOfSearch) return 0;
  const all = await plan(
    client,
    `select 1 from ${key.text.startsWith('select 1 from only ') ? 'only ' : ''}${key.table_name}`,
    'any',
  );
  return all.cost === 0 ? 0 : Math.min(1, through.cost / all.cost);
}
