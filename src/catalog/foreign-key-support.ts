/**
 * Which indexes serve which foreign keys on the referencing side: what finds the referencing rows when a referenced
 * row is deleted or its key is updated. Step 12 reports foreign keys without one, step 6 keeps one for each.
 */

/**
 * A predicate, as the server stores it, that says no more than that columns are not null: each `NULLTEST` of a plain
 * column, and what is left of the text when all are taken out. Read from the stored form, because deparsing it would
 * wait for a lock on the table.
 */
const notNullTest =
  '\\{NULLTEST :arg \\{VAR :varno 1 :varattno ([0-9]+) [^{}]*\\} :nulltesttype 1 :argisrow false :location -?[0-9]+\\}';
const nothingElse = '^\\s*(\\{BOOLEXPR :boolop and :args \\(\\s*\\) :location -?[0-9]+\\})?\\s*$';

/**
 * The collation under which the server's own query compares a referencing column `a` with the referenced `r`: the referenced
 * one's where that is nondeterministic (ri_GenerateQual in ri_triggers.c), else the column's.
 */
export const keyCollation = `
          case when r.attcollation <> a.attcollation and exists (
              select from pg_catalog.pg_collation as rc where rc.oid = r.attcollation and not rc.collisdeterministic)
            then r.attcollation else a.attcollation end`;

/**
 * A subquery with one row for each pair of foreign key and index that finds its rows: `constraint_oid`, `index_oid`,
 * `table_oid`, `attnums`, the columns of the key that it is searched by, and `whole`. All foreign keys are in it, those of
 * single partitions too (their `conparentid` is not 0).
 *
 * `whole`: searched by all columns of the key, or by some that are unique together. Otherwise it finds the rows that agree
 * in these columns: how many those are, only statistics tell.
 *
 * Searched by a column is an index whose operator class has the operator with which the server compares it, under the
 * collation that it names; the leading columns of a B-tree, the one of a hash or SP-GiST index, any of a GIN index, and
 * any of a GiST index that begins with one. It must hold every row whose columns are not null: a null in the key
 * references nothing, so `where column is not null` leaves nothing out. BRIN and the methods of extensions read too much
 * or tell too little: calling a key served that is not costs a delete that reads the table, the other way a notice.
 */
export const foreignKeySupport = `
  select k.oid as constraint_oid, x.indexrelid as index_oid, k.conrelid as table_oid, found.attnums,
    found.attnums @> k.conkey
      or x.indisunique and pg_catalog.cardinality(found.attnums) = x.indnkeyatts as whole
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_index as x on x.indrelid = k.conrelid and x.indkey::int2[] && k.conkey
  -- Not joined: the planner would pair every index with every other one of its method.
  cross join lateral (
    select am.amname as name from pg_catalog.pg_class as c join pg_catalog.pg_am as am on am.oid = c.relam
    where c.oid = x.indexrelid
    offset 0
  ) as method
  cross join lateral (
    select pg_catalog.array_agg(p.position order by p.position) as positions
    from pg_catalog.generate_series(0, x.indnkeyatts - 1) as p (position)
    where x.indkey[p.position] = any (k.conkey)
      and exists (
        select
        from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
          as f (attnum, referenced, operator)
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = f.attnum
        join pg_catalog.pg_attribute as r on r.attrelid = k.confrelid and r.attnum = f.referenced
        join pg_catalog.pg_operator as o on o.oid = f.operator
        join pg_catalog.pg_opclass as oc on oc.oid = x.indclass[p.position]
        join pg_catalog.pg_amop as ao on ao.amopfamily = oc.opcfamily and ao.amopopr in (o.oid, o.oprcom)
          and ao.amoppurpose = 's'
        where f.attnum = x.indkey[p.position] and x.indcollation[p.position] in (0, ${keyCollation}))
  ) as usable
  cross join lateral (
    select pg_catalog.array_agg(distinct x.indkey[u.position]) as attnums
    from pg_catalog.unnest(usable.positions) with ordinality as u (position, place)
    where case method.name
        when 'btree' then u.position = u.place - 1
        when 'gist' then usable.positions[1] = 0
        else method.name in ('hash', 'spgist', 'gin') end
  ) as found
  where k.contype = 'f'
    and x.indisvalid and x.indisready and x.indislive
    and found.attnums is not null
    and (
      x.indpred is null
      or (
        pg_catalog.regexp_replace(x.indpred::text, '${notNullTest}', '', 'g') ~ '${nothingElse}'
        and not exists (
          select from pg_catalog.regexp_matches(x.indpred::text, '${notNullTest}', 'g') as t (found)
          where t.found[1]::int2 <> all (k.conkey))))`;

/**
 * What an index on some of the columns finds is searched row by row: up to so many rows the key counts as served, with a
 * notice. Too high makes a notice of a delete that reads much, too low warns of one that reads little.
 */
export const fewRows = 100;

/**
 * Share of different values (below zero: of the rows) and of nulls of column `a` of relation `c` in schema `n`, over the whole tree where that is
 * partitioned; null where there are no statistics. A scalar, so that the names are looked up: a join reads all of pg_stats once for each column.
 */
export const columnStatistics = `(
            select array[ps.n_distinct, ps.null_frac]
            from pg_catalog.pg_stats as ps
            where ps.schemaname = n.nspname and ps.tablename = c.relname and ps.attname = a.attname and ps.inherited = (c.relkind = 'p'))`;

/** Different values of a column by its statistics, of so many rows. At least one. */
export function distinctValues(statistics: string, rows: string): string {
  return `greatest(1, case when ${statistics}[1] < 0 then -${statistics}[1] * ${rows} else ${statistics}[1] end)`;
}

/**
 * The product of a column over a group: a scalar; null where one of them is. No more than exp(690), which is nearly the largest float8: the
 * owner of a table may claim any number of different values, and `exp` raises an error beyond.
 */
export function product(values: string): string {
  return `case when pg_catalog.bool_and(${values} is not null)
        then pg_catalog.exp(least(pg_catalog.sum(pg_catalog.ln((${values})::float8)), 690)) end`;
}

/** Of `rows` rows of table `oid`, how many agree in the columns `attnums`: a scalar; null where statistics are missing. */
export function agreeingRows(oid: string, attnums: string, rows: string): string {
  return `(
          select case when s.distinct_values is not null
            then greatest(1, ${rows} * (1 - s.null_share) / s.distinct_values) end
          from (
            select ${product(`case when f.found is not null then ${distinctValues('f.found', rows)} end`)} as distinct_values,
              pg_catalog.max(f.found[2]) as null_share
            from (
              select ${columnStatistics} as found
              from pg_catalog.unnest(${attnums}) as u (attnum)
              join pg_catalog.pg_attribute as a on a.attrelid = ${oid} and a.attnum = u.attnum
              join pg_catalog.pg_class as c on c.oid = ${oid}
              join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
              offset 0
            ) as f
          ) as s)`;
}
