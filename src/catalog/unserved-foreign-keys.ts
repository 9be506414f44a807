/** The foreign keys that no index serves, each judged once: one of a partitioned table over its whole tree. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import {
  agreeingRows,
  columnStatistics,
  distinctValues,
  foreignKeySupport,
  keyCollation,
  product,
} from './foreign-key-support.ts';
import { ambiguousNames, owningExtension } from './relations.ts';

export interface UnservedForeignKey {
  /** Of the table. */
  oid: number;
  schema: string;
  table: string;
  constraint: string;
  quoted_table: string;
  quoted_constraint: string;
  columns: string[];
  referenced_schema: string;
  referenced_table: string;
  quoted_referenced: string;
  referenced_columns: string[];
  /** The extension that owns the table. */
  extension: string | null;
  partitioned: boolean;
  /** Partitions that hold rows and have no serving index; quoted. */
  partitions: string[];
  validated: boolean;
  /** False only from PostgreSQL 18 on: nothing looks for referencing rows then. */
  enforced: boolean;
  /** Null where never vacuumed or analysed and no row was counted: unknown. */
  rows: number | null;
  pages: number;
  parent_deletes: number;
  parent_updates: number;
  /** Neither table's name stands for another relation of the database as well. */
  names_are_unique: boolean;
  /** Of the index that would serve it: `using gist` or nothing. */
  method: string;
  /** Of the index that would serve it, for each column: name, and collation and operator class where these need be said. */
  index_columns: string[];
  /** Statements that make a serving index; null where none on the columns can serve the key. */
  remedy: string | null;
  /** The index that finds the fewest rows of those that are searched by some of the columns; null where there is none. */
  searched_by: { index: string; columns: string[]; rows: number | null } | null;
  /** How many different values its columns have together, and the share of rows with a null in one; null where not known. */
  distinct_values: number | null;
  null_share: number | null;
}

/**
 * A B-tree on column a (of base type b) finds what operator f compares it with: the operator takes the column as it
 * is, without a cast to the referenced type.
 */
const comparesPlainColumn = `(
      o.oprright = b.base
      or o.oprright in ('pg_catalog.anyarray'::pg_catalog.regtype, 'pg_catalog.anyenum'::pg_catalog.regtype,
        'pg_catalog.anyrange'::pg_catalog.regtype, 'pg_catalog.anymultirange'::pg_catalog.regtype,
        'pg_catalog.record'::pg_catalog.regtype)
      or exists (select from pg_catalog.pg_cast as pc
        where pc.castsource = b.base and pc.casttarget = o.oprright and pc.castmethod = 'b'))`;

/** Of base type b the operator class c can be: the index keeps the column as it is. */
const takesPlainColumn = `(
        c.opcintype = b.base
        or exists (select from pg_catalog.pg_cast as pc
          where pc.castsource = b.base and pc.casttarget = c.opcintype and pc.castmethod = 'b' and pc.castcontext = 'i')
        or c.opcintype = case bt.typtype when 'e' then 'pg_catalog.anyenum'::pg_catalog.regtype
          when 'r' then 'pg_catalog.anyrange'::pg_catalog.regtype
          when 'm' then 'pg_catalog.anymultirange'::pg_catalog.regtype
          when 'c' then 'pg_catalog.record'::pg_catalog.regtype end
        or c.opcintype = 'pg_catalog.anyarray'::pg_catalog.regtype and bt.typcategory = 'A')`;

/** The operator class, of the method that the key needs, in which operator o is: the default one where that will do. */
const keyClass = `
          select c.opcname, n.nspname,
            c.opcdefault and (c.opcintype = b.base or not exists (
              select from pg_catalog.pg_opclass as d
              where d.opcmethod = c.opcmethod and d.opcdefault and d.opcintype = b.base)) as is_default
          from pg_catalog.pg_opclass as c
          join pg_catalog.pg_namespace as n on n.oid = c.opcnamespace
          join pg_catalog.pg_am as m on m.oid = c.opcmethod and m.amname = method.name
          where ${takesPlainColumn}
            and exists (
              select from pg_catalog.pg_amop as ao
              where ao.amopfamily = c.opcfamily and ao.amoppurpose = 's' and ao.amopopr in (o.oid, o.oprcom))
          order by 3 desc, c.opcintype = b.base desc, n.nspname, c.opcname limit 1`;

/** As the server reads it in CREATE INDEX: pg_catalog is on every search path. */
const qualified = (schema: string, name: string): string =>
  `case ${schema} when 'pg_catalog' then '' else pg_catalog.quote_ident(${schema}) || '.' end || pg_catalog.quote_ident(${name})`;

/**
 * On a partitioned table CREATE INDEX CONCURRENTLY is not possible: an empty index on each partitioned table, one
 * built concurrently on each partition (or taken, where an equal one is there), and each attached to the one above.
 */
const partitionedRemedy = `
    select pg_catalog.string_agg(step.statement, e'\\n' order by step.phase, step.place, step.name) as statements
    from (
      select 1 as phase, t.depth as place, r.quoted as name,
        pg_catalog.format('create index %I on only %s%s (%s);', r.new_index, r.quoted, keys.method, keys.list)
          as statement
      from table_tree as t cross join lateral (${relationNames()}) as r
      where t.root = k.conrelid and t.relkind = 'p'
      union all
      select 2, 0, r.quoted, pg_catalog.format('create index concurrently %I on %s%s (%s);', r.new_index, r.quoted, keys.method,
          keys.list)
      from table_tree as t cross join lateral (${relationNames()}) as r
      where t.root = k.conrelid and t.relkind = 'r' and r.equal_index is null
      union all
      select 3, -t.depth, r.quoted, pg_catalog.format('alter index %I.%I attach partition %I.%I;',
        pn.nspname, 'maint_fk_' || pg_catalog.left(pg_catalog.md5(pg_catalog.format('%I.%I', pn.nspname, pc.relname) || k.conname), 16),
        r.nspname, coalesce(r.equal_index, r.new_index))
      from table_tree as t
      cross join lateral (${relationNames()}) as r
      join pg_catalog.pg_class as pc on pc.oid = t.parent
      join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
      where t.root = k.conrelid and t.relkind in ('p', 'r')
    ) as step`;

/** Names for relation t: its own, the index to make, and an index on exactly the key's columns to take instead. */
function relationNames(): string {
  return `
        select rn.nspname, pg_catalog.format('%I.%I', rn.nspname, rc.relname) as quoted,
          'maint_fk_' || pg_catalog.left(pg_catalog.md5(pg_catalog.format('%I.%I', rn.nspname, rc.relname) || k.conname), 16)
            as new_index,
          case when t.relkind = 'r' and keys.plain then (
            select xc.relname
            from pg_catalog.pg_index as x
            join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
            join pg_catalog.pg_am as am on am.oid = xc.relam and am.amname = 'btree'
            where x.indrelid = t.relation and x.indisvalid and x.indisready and not x.indisunique
              and x.indpred is null and x.indexprs is null and not xc.relispartition and x.indnatts = x.indnkeyatts
              and x.indoption::text !~ '[1-9]'
              and array(
                select a.attname from rows from (pg_catalog.unnest(x.indkey::int2[])) with ordinality as u (attnum, position)
                join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum = u.attnum
                order by u.position) = keys.names
              and not exists (
                select from rows from (pg_catalog.unnest(x.indkey::int2[]), pg_catalog.unnest(x.indclass::oid[]),
                  pg_catalog.unnest(x.indcollation::oid[])) as u (attnum, class, collation_oid)
                join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum = u.attnum
                join pg_catalog.pg_opclass as oc on oc.oid = u.class
                where not oc.opcdefault or u.collation_oid <> a.attcollation)
            order by xc.relname limit 1) end as equal_index
        from pg_catalog.pg_class as rc join pg_catalog.pg_namespace as rn on rn.oid = rc.relnamespace
        where rc.oid = t.relation`;
}

const unservedQuery = `
  with recursive
  constraint_tree (root, constraint_oid, relation) as (
    select k.oid, k.oid, k.conrelid from pg_catalog.pg_constraint as k where k.contype = 'f' and k.conparentid = 0
    union all
    select t.root, k.oid, k.conrelid
    from constraint_tree as t
    join pg_catalog.pg_constraint as k on k.conparentid = t.constraint_oid and k.contype = 'f'
  ),
  table_tree (root, relation, parent, relkind, depth) as (
    select c.oid, c.oid, null::oid, c.relkind, 0
    from pg_catalog.pg_class as c
    where c.oid in (
      select k.conrelid from pg_catalog.pg_constraint as k where k.contype = 'f' and k.conparentid = 0
      union
      select k.confrelid from pg_catalog.pg_constraint as k where k.contype = 'f' and k.conparentid = 0)
    union all
    select t.root, c.oid, t.relation, c.relkind, t.depth + 1
    from table_tree as t
    join pg_catalog.pg_inherits as i on i.inhparent = t.relation
    join pg_catalog.pg_class as c on c.oid = i.inhrelid and c.relispartition
  ),
  support as materialized (${foreignKeySupport}),
  served as materialized (
    select distinct t.root, t.relation
    from constraint_tree as t
    join support as s on s.constraint_oid = t.constraint_oid and s.whole
  ),
  counted as materialized (
    select t.root,
      pg_catalog.count(*) filter (where t.relkind = 'r') as holders,
      pg_catalog.sum(c.relpages) as pages,
      case when pg_catalog.bool_and(t.relkind = 'p' or c.reltuples >= 0 or pg_catalog.pg_stat_get_live_tuples(c.oid) > 0)
        then pg_catalog.sum(greatest(c.reltuples, pg_catalog.pg_stat_get_live_tuples(c.oid), 0))
          filter (where t.relkind <> 'p') end as rows,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(c.oid)) as deletes,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(c.oid)) as updates
    from table_tree as t
    join pg_catalog.pg_class as c on c.oid = t.relation
    group by t.root
  ),
  ambiguous as materialized (${ambiguousNames}
  ),
  -- First and by hashing: what comes after is looked up one by one for those that are left.
  unserved as materialized (
    select k.oid
    from pg_catalog.pg_constraint as k
    where k.contype = 'f' and k.conparentid = 0
      and (k.oid, k.conrelid) not in (select s.root, s.relation from served as s)
  ),
  unserved_leaf as materialized (
    select u.oid as root, t.relation
    from unserved as u
    join pg_catalog.pg_constraint as k on k.oid = u.oid
    join table_tree as t on t.root = k.conrelid and t.parent is not null and t.relkind = 'r'
    where (u.oid, t.relation) not in (select s.root, s.relation from served as s)
  ),
  missing as materialized (
    select u.root, pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', n.nspname, c.relname)
      order by n.nspname, c.relname) as names
    from unserved_leaf as u
    join pg_catalog.pg_class as c on c.oid = u.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    group by u.root
  )
  select pg_catalog.jsonb_build_object(
      'oid', c.oid::int8, 'schema', n.nspname, 'table', c.relname, 'constraint', k.conname,
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_constraint', pg_catalog.quote_ident(k.conname),
      'columns', pg_catalog.to_jsonb(keys.names),
      'referenced_schema', fn.nspname, 'referenced_table', fc.relname,
      'quoted_referenced', pg_catalog.format('%I.%I', fn.nspname, fc.relname),
      'referenced_columns', (
        select pg_catalog.jsonb_agg(a.attname order by u.position)
        from rows from (pg_catalog.unnest(k.confkey)) with ordinality as u (attnum, position)
        join pg_catalog.pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.attnum),
      'extension', ${owningExtension('c.oid')},
      'partitioned', c.relkind = 'p',
      'partitions', coalesce(missing.names, '[]'),
      'validated', k.convalidated,
      'enforced', coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true),
      'rows', own.rows, 'pages', own.pages,
      'parent_deletes', coalesce(parent.deletes, 0), 'parent_updates', coalesce(parent.updates, 0),
      'names_are_unique', c.relname not in (select a.relname from ambiguous as a)
        and fc.relname not in (select a.relname from ambiguous as a),
      'remedy', case
        when not keys.servable then null
        when c.relkind = 'p' then (${partitionedRemedy})
        else pg_catalog.format('create index concurrently on %I.%I%s (%s);', n.nspname, c.relname, keys.method, keys.list) end,
      'method', keys.method, 'index_columns', pg_catalog.to_jsonb(keys.index_columns),
      'searched_by', (
        select pg_catalog.jsonb_build_object('index', pg_catalog.format('%I.%I', xn.nspname, xc.relname), 'columns', f.columns,
          'rows', pg_catalog.round(f.rows))
        from support as p
        join pg_catalog.pg_class as xc on xc.oid = p.index_oid
        join pg_catalog.pg_namespace as xn on xn.oid = xc.relnamespace
        cross join lateral (
          select ${agreeingRows('p.table_oid', 'p.attnums', 'own.rows')} as rows, (
            select pg_catalog.jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = p.table_oid and a.attnum = any (p.attnums)) as columns
        ) as f
        where p.constraint_oid = k.oid and not p.whole
        order by f.rows nulls last, xn.nspname, xc.relname limit 1),
      'distinct_values', keys.distinct_values, 'null_share', keys.null_share
    ) as row
  from unserved
  join pg_catalog.pg_constraint as k on k.oid = unserved.oid
  join pg_catalog.pg_class as c on c.oid = k.conrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_class as fc on fc.oid = k.confrelid
  join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
  join counted as own on own.root = k.conrelid
  join counted as parent on parent.root = k.confrelid
  cross join lateral (
    select case when coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::boolean, false) then 'gist' else 'btree' end as name
  ) as method
  cross join lateral (
    select pg_catalog.array_agg(one.attname order by one.position) as names,
      case method.name when 'btree' then '' else ' using ' || method.name end as method,
      pg_catalog.array_agg(one.written order by one.position) as index_columns,
      pg_catalog.string_agg(one.written, ', ' order by one.position) as list,
      pg_catalog.bool_and(one.servable) as servable, pg_catalog.bool_and(one.plain) as plain,
      ${product('one.distinct_values')} as distinct_values,
      pg_catalog.max(one.null_share) as null_share
    from (
      select distinct on (a.attname) a.attname, u.position,
        ${comparesPlainColumn} and class.opcname is not null as servable,
        class.is_default and needed.collation_oid = a.attcollation as plain,
        pg_catalog.quote_ident(a.attname)
          || case when needed.collation_oid = a.attcollation then '' else (
            select ' collate ' || ${qualified('cn.nspname', 'co.collname')}
            from pg_catalog.pg_collation as co join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
            where co.oid = needed.collation_oid) end
          || case when class.is_default then '' else coalesce(' ' || ${qualified('class.nspname', 'class.opcname')}, '') end
          as written,
        case when s.found[2] < 1 then ${distinctValues('s.found', 'own.rows')} end as distinct_values, s.found[2] as null_share
      from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop)) with ordinality
        as u (attnum, referenced, operator, position)
      join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum
      join pg_catalog.pg_attribute as r on r.attrelid = k.confrelid and r.attnum = u.referenced
      join pg_catalog.pg_operator as o on o.oid = u.operator
      cross join lateral (
        select case t.typtype when 'd' then (
            with recursive domain (oid, kind) as (
              select t.typbasetype, 'd'::"char"
              union all
              select d.typbasetype, d.typtype from domain join pg_catalog.pg_type as d
                on d.oid = domain.oid and d.typtype = 'd')
            select domain.oid from domain join pg_catalog.pg_type as last on last.oid = domain.oid
            where last.typtype <> 'd' order by domain.oid limit 1)
          else t.oid end as base
        from pg_catalog.pg_type as t where t.oid = a.atttypid
      ) as b
      join pg_catalog.pg_type as bt on bt.oid = b.base
      cross join lateral (select ${keyCollation} as collation_oid) as needed
      left join lateral (${keyClass}) as class on true
      cross join lateral (select ${columnStatistics} as found offset 0) as s
      order by a.attname, u.position
    ) as one
  ) as keys
  left join missing on missing.root = k.oid
  where c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'maint_boss')
    and (c.relkind <> 'p' or own.holders = 0 or missing.names is not null)
  order by n.nspname, c.relname, k.conname`;

const countQuery = `
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as c on c.oid = k.conrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where k.contype = 'f' and k.conparentid = 0 and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'maint_boss')
  order by 1`;

export function unservedForeignKeys(): Program<UnservedForeignKey[]> {
  return query<UnservedForeignKey>(unservedQuery);
}

/** How many foreign keys were judged. */
export function* foreignKeyCount(): Program<number> {
  const [count] = yield* query<number>(countQuery);
  return count ?? 0;
}
