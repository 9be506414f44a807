/** The tables that statements name, with what tells how they are read: size, columns, indexes. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { RelationUse } from './parsed-statement.ts';
import { baseTypes, isSortable, lockedRelations } from './relations.ts';

export interface QueryColumn {
  name: string;
  quoted: string;
  /** A B-tree can hold it. */
  sortable: boolean;
  /** n_distinct of pg_stats: below 0 a share of the rows; null where there are no statistics, or none to be read. */
  distinct: number | null;
}

export interface QueryIndex {
  name: string;
  /** Key columns in order; null for an expression. */
  columns: (string | null)[];
  /** Finds rows by its leading columns: valid, of all rows, B-tree or hash. */
  searchable: boolean;
}

/** One relation that a name may mean. */
export interface QueryTable {
  oid: number;
  schema: string;
  table: string;
  quoted: string;
  /** r: table, p: partitioned table, m: materialized view, v: view, f: foreign table. */
  kind: string;
  system: boolean;
  /** Null where nobody has ever counted them. */
  rows: number | null;
  pages: number;
  columns: QueryColumn[];
  indexes: QueryIndex[];
}

export interface NamedTables {
  schema: string | null;
  name: string;
  candidates: QueryTable[];
}

/** As relpages of a table that was never vacuumed is 0, the file is looked at, unless a lock is in the way. */
const tablesQuery = `
  with recursive ${baseTypes},
  locked as materialized (
    ${lockedRelations}
  ), named as materialized (
    select distinct u.schema, u.name
    from pg_catalog.jsonb_to_recordset($1::jsonb) as u (schema text, name text)
  ), candidate as materialized (
    select u.schema, u.name, c.oid, c.relkind, n.nspname, c.relname, c.reltuples, c.relpages
    from named as u
    join pg_catalog.pg_class as c on c.relname = u.name and c.relkind in ('r', 'p', 'm', 'v', 'f')
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and (u.schema is null or n.nspname = u.schema)
    where c.relpersistence <> 't'
  )
  select pg_catalog.jsonb_build_object('schema', u.schema, 'name', u.name,
      'candidates', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'oid', c.oid::int8, 'schema', c.nspname, 'table', c.relname,
            'quoted', pg_catalog.format('%I.%I', c.nspname, c.relname), 'kind', c.relkind,
            'system', c.nspname in ('pg_catalog', 'information_schema', 'maint', 'maint_boss'),
            'rows', size.rows, 'pages', size.pages,
            'columns', coalesce(columns.list, '[]'), 'indexes', coalesce(indexes.list, '[]')) order by c.nspname)
        from candidate as c
        cross join lateral (
          select pg_catalog.sum(case
                when p.reltuples >= 0 or pg_catalog.pg_stat_get_live_tuples(p.oid) > 0
                then greatest(p.reltuples, pg_catalog.pg_stat_get_live_tuples(p.oid), 0) end) as rows,
              coalesce(pg_catalog.sum(case
                when p.relpages > 0 or exists (select from locked as l where l.relation = p.oid) then p.relpages
                else pg_catalog.pg_relation_size(p.oid) / pg_catalog.current_setting('block_size')::int end), 0) as pages
          from pg_catalog.pg_class as p
          where p.relkind in ('r', 'm') and (p.oid = c.oid or c.relkind = 'p' and p.oid in (
            select t.relid from pg_catalog.pg_partition_tree(c.oid) as t where t.isleaf))
        ) as size
        left join lateral (
          select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', a.attname,
              'quoted', pg_catalog.quote_ident(a.attname), 'sortable', ${isSortable},
              'distinct', s.n_distinct) order by a.attnum) as list
          from pg_catalog.pg_attribute as a
          join base_type as b on b.oid = a.atttypid
          join pg_catalog.pg_type as bt on bt.oid = b.base
          left join pg_catalog.pg_stats as s
            on s.schemaname = c.nspname and s.tablename = c.relname and s.attname = a.attname
              and s.inherited = (c.relkind = 'p')
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ) as columns on true
        left join lateral (
          select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', xc.relname,
              'columns', (
                select pg_catalog.jsonb_agg(a.attname order by k.position)
                from rows from (pg_catalog.unnest(x.indkey)) with ordinality as k (attnum, position)
                left join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.attnum
                where k.position <= x.indnkeyatts),
              'searchable', x.indisvalid and x.indpred is null and am.amname in ('btree', 'hash')) order by xc.relname) as list
          from pg_catalog.pg_index as x
          join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
          join pg_catalog.pg_am as am on am.oid = xc.relam
          where x.indrelid = c.oid
        ) as indexes on true
        where c.name = u.name and c.schema is not distinct from u.schema), '[]')) as row
  from named as u
  order by u.schema nulls first, u.name`;

export type Resolved = { table: QueryTable } | { because: string } | { system: true };

/** Resolves what statements name. One that stands for several relations is not guessed at. */
export function* tablesNamed(
  uses: readonly RelationUse[],
): Program<(use: { schema: string | null; name: string }) => Resolved> {
  const known = new Map<string, NamedTables>();
  if (uses.length > 0) {
    const names = uses.map(({ schema, name }) => ({ schema, name }));
    for (const one of yield* query<NamedTables>(tablesQuery, [names]))
      known.set(JSON.stringify([one.schema, one.name]), one);
  }
  return ({ schema, name }) => {
    const candidates = known.get(JSON.stringify([schema, name]))?.candidates ?? [];
    // The catalogs come first on every search path that does not say otherwise.
    if (candidates.some(({ system, schema: of }) => system && (schema !== null || of === 'pg_catalog')))
      return { system: true };
    const [table, ...more] = candidates.filter(({ system }) => !system);
    if (!table) return { because: 'there is no such table' };
    if (more.length > 0) {
      const schemas = [table, ...more].map((each) => each.schema);
      return {
        because: `it stands for tables in ${schemas.length} schemas: ${schemas.slice(0, 5).join(', ')}`,
      };
    }
    return { table };
  };
}
