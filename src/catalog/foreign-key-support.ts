/**
 * Which indexes serve which foreign keys on the referencing side: what finds the referencing rows when a referenced
 * row is deleted or its key is updated. Step 12 reports foreign keys without one, step 6 never reports one as unused.
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
 * A subquery with one row for each pair of foreign key and serving index: `constraint_oid`, `index_oid`, and with
 * them `table_oid`. All foreign keys are in it, those of single partitions too (their `conparentid` is not 0).
 *
 * An index serves a foreign key on n columns if its first n key columns are exactly those, in any order, if it is
 * valid and searched by equality on them (B-tree; hash where there is one column; GiST for a key with a period), with
 * the column's own collation and an operator class that knows the key's operator, and if it holds every row whose
 * columns are not null. A null in the key references nothing, so `where column is not null` leaves nothing out.
 */
export const foreignKeySupport = `
  select k.oid as constraint_oid, x.indexrelid as index_oid, k.conrelid as table_oid
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_index as x on x.indrelid = k.conrelid
  cross join lateral (
    select pg_catalog.array_agg(distinct u.attnum) as attnums, pg_catalog.count(distinct u.attnum) as number
    from pg_catalog.unnest(k.conkey) as u (attnum)
  ) as needed
  where k.contype = 'f'
    and x.indisvalid and x.indisready and x.indislive
    and x.indnkeyatts >= needed.number
    and needed.attnums <@ (x.indkey::int2[])[0:needed.number - 1]
    -- Not joined: the planner would pair every index with every other one of its method.
    and case (
          select am.amname from pg_catalog.pg_class as c join pg_catalog.pg_am as am on am.oid = c.relam
          where c.oid = x.indexrelid)
        when 'btree' then true
        when 'hash' then needed.number = 1
        when 'gist' then coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::boolean, false)
        else false
      end
    and not exists (
      select from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.conpfeqop)) as f (attnum, operator)
      join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = f.attnum
      join pg_catalog.pg_operator as o on o.oid = f.operator
      where not exists (
        select from pg_catalog.generate_series(0, needed.number - 1) as p (position)
        join pg_catalog.pg_opclass as oc on oc.oid = x.indclass[p.position]
        join pg_catalog.pg_amop as ao on ao.amopfamily = oc.opcfamily and ao.amopopr in (o.oid, o.oprcom)
        where x.indkey[p.position] = f.attnum
          and x.indcollation[p.position] in (0, a.attcollation)))
    and (
      x.indpred is null
      or (
        pg_catalog.regexp_replace(x.indpred::text, '${notNullTest}', '', 'g') ~ '${nothingElse}'
        and not exists (
          select from pg_catalog.regexp_matches(x.indpred::text, '${notNullTest}', 'g') as t (found)
          where t.found[1]::int2 <> all (k.conkey))))`;
