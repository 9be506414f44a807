/** What refuses `alter column type`, or makes the change create new problems: then there is no automatic fix. */
import { query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { baseTypes } from '../../catalog/relations.ts';

/** A column and the type that it would get. */
export interface TypeChange {
  relation: number;
  attnum: number;
  target: number;
  modifier: number;
}

interface Row {
  relation: number;
  attnum: number;
  obstacle: string;
}

/** The number of names that a sentence about obstacles gives. */
const namedObstacles = 3;

/** An int2, int4 or int8, or a text or varchar: two types of one of these groups compare, and the wider holds the narrower. */
const integers = `('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype)`;
const texts = `('pg_catalog.text'::regtype, 'pg_catalog.varchar'::regtype)`;

/**
 * The server refuses to change a column that a view, rule, trigger, policy, SQL function, publication, generated column
 * or partition key uses, one that is inherited or of a typed table, and a table whose row type another table stores. The same holds for
 * the columns of partitions and children, which the change would reach. An expression that calls a function, and an
 * operator class that was named, may not exist for the new type. A key that refers to the column would become narrower
 * than it; one that goes out from it may have no operator for the new type.
 */
const text = `
  with recursive ${baseTypes}, change as materialized (
    select c.relation::oid as relation, c.attnum, c.target::oid as target, c.modifier, a.attname, a.attinhcount, a.attgenerated, a.atttypid
    from pg_catalog.jsonb_to_recordset($1::jsonb) as c (relation int8, attnum int2, target int8, modifier int4)
    join pg_catalog.pg_attribute as a on a.attrelid = c.relation::oid and a.attnum = c.attnum
  ), family (relation, member) as (
    select distinct c.relation, c.relation from change as c
    union
    select f.relation, i.inhrelid from family as f join pg_catalog.pg_inherits as i on i.inhparent = f.member
  ), reached as materialized (
    select c.relation, c.attnum, c.target, a.attrelid as member, a.attnum as member_attnum
    from change as c
    join family as f on f.relation = c.relation
    join pg_catalog.pg_attribute as a on a.attrelid = f.member and a.attname = c.attname
  ), dependent as materialized (
    select r.relation, r.attnum, r.target, r.member, r.member_attnum, d.classid, d.objid, d.objsubid, d.refobjsubid, d.deptype
    from reached as r
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = r.member
      and d.refobjsubid = r.member_attnum
  ), obstacle (relation, attnum, obstacle) as (
    select d.relation, d.attnum, case when v.relkind in ('v', 'm')
        then pg_catalog.format('%s %I.%I uses it', case v.relkind when 'm' then 'materialized view' else 'view' end, n.nspname, v.relname)
        else pg_catalog.format('rule %I of %I.%I uses it', w.rulename, n.nspname, v.relname) end
    from dependent as d
    join pg_catalog.pg_rewrite as w on w.oid = d.objid
    join pg_catalog.pg_class as v on v.oid = w.ev_class
    join pg_catalog.pg_namespace as n on n.oid = v.relnamespace
    where d.classid = 'pg_catalog.pg_rewrite'::regclass
    union
    select d.relation, d.attnum, pg_catalog.format('trigger %I of %I.%I uses it', g.tgname, n.nspname, t.relname)
    from dependent as d
    join pg_catalog.pg_trigger as g on g.oid = d.objid
    join pg_catalog.pg_class as t on t.oid = g.tgrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    where d.classid = 'pg_catalog.pg_trigger'::regclass
    union
    select d.relation, d.attnum, pg_catalog.format('policy %I of %I.%I uses it', p.polname, n.nspname, t.relname)
    from dependent as d
    join pg_catalog.pg_policy as p on p.oid = d.objid
    join pg_catalog.pg_class as t on t.oid = p.polrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    where d.classid = 'pg_catalog.pg_policy'::regclass
    union
    select d.relation, d.attnum, pg_catalog.format('function %I.%I uses it', n.nspname, p.proname)
    from dependent as d
    join pg_catalog.pg_proc as p on p.oid = d.objid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    where d.classid = 'pg_catalog.pg_proc'::regclass
    union
    select d.relation, d.attnum, pg_catalog.format('publication %I filters by it', p.pubname)
    from dependent as d
    join pg_catalog.pg_publication_rel as pr on pr.oid = d.objid
    join pg_catalog.pg_publication as p on p.oid = pr.prpubid
    where d.classid = 'pg_catalog.pg_publication_rel'::regclass
    union
    select d.relation, d.attnum, pg_catalog.format('generated column %I of %I.%I is computed from it', a.attname, n.nspname, t.relname)
    from dependent as d
    left join pg_catalog.pg_attrdef as f on d.classid = 'pg_catalog.pg_attrdef'::regclass and f.oid = d.objid
    join pg_catalog.pg_attribute as a on a.attrelid = coalesce(f.adrelid, d.objid) and a.attnum = coalesce(f.adnum, d.objsubid)
    join pg_catalog.pg_class as t on t.oid = a.attrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    where d.classid in ('pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_class'::regclass)
      and a.attgenerated <> '' and (a.attrelid, a.attnum) <> (d.member, d.member_attnum)
    union
    select r.relation, r.attnum, pg_catalog.format('%I.%I is partitioned by it', n.nspname, t.relname)
    from reached as r
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = r.member
      and d.objsubid = r.member_attnum and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = r.member
      and d.refobjsubid = 0 and d.deptype = 'i'
    join pg_catalog.pg_class as t on t.oid = r.member
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    union
    select c.relation, c.attnum, 'it is inherited'
    from change as c where c.attinhcount > 0
    union
    select c.relation, c.attnum, 'it is generated'
    from change as c where c.attgenerated <> ''
    union
    select c.relation, c.attnum, pg_catalog.format('it is of domain %I.%I', n.nspname, t.typname)
    from change as c
    join pg_catalog.pg_type as t on t.oid = c.atttypid and t.typtype = 'd'
    join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    union
    select r.relation, r.attnum, pg_catalog.format('%I.%I is a table of a type', n.nspname, t.relname)
    from reached as r
    join pg_catalog.pg_class as t on t.oid = r.member and t.reloftype <> 0
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    union
    select r.relation, r.attnum, pg_catalog.format('column %I of %I.%I stores rows of its table', a.attname, n.nspname, s.relname)
    from reached as r
    join pg_catalog.pg_class as t on t.oid = r.member
    join pg_catalog.pg_type as y on y.oid = t.reltype
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid in (y.oid, y.typarray)
      and d.classid = 'pg_catalog.pg_class'::regclass and d.objsubid > 0
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind in ('r', 'p', 'm')
    join pg_catalog.pg_namespace as n on n.oid = s.relnamespace
    join pg_catalog.pg_attribute as a on a.attrelid = d.objid and a.attnum = d.objsubid
    union
    select d.relation, d.attnum, pg_catalog.format('constraint %I calls a function', k.conname)
    from dependent as d
    join pg_catalog.pg_constraint as k on k.oid = d.objid and k.conbin is not null
    where d.classid = 'pg_catalog.pg_constraint'::regclass and k.conbin::text like '%{FUNCEXPR %'
    union
    select d.relation, d.attnum, pg_catalog.format('index %I calls a function', i.relname)
    from dependent as d
    join pg_catalog.pg_index as x on x.indexrelid = d.objid
    join pg_catalog.pg_class as i on i.oid = x.indexrelid
    where d.classid = 'pg_catalog.pg_class'::regclass
      and pg_catalog.concat(x.indexprs::text, x.indpred::text) like '%{FUNCEXPR %'
    union
    select d.relation, d.attnum, pg_catalog.format('index %I has an operator class for its type', i.relname)
    from dependent as d
    join pg_catalog.pg_index as x on x.indexrelid = d.objid
    join pg_catalog.pg_class as i on i.oid = x.indexrelid
    cross join lateral rows from (pg_catalog.unnest(x.indkey::int2[]), pg_catalog.unnest(x.indclass::oid[])) as key (attnum, class)
    join pg_catalog.pg_opclass as oc on oc.oid = key.class
    where d.classid = 'pg_catalog.pg_class'::regclass and key.attnum = d.member_attnum
      and not oc.opcdefault and oc.opcintype <> d.target
    union
    select c.relation, c.attnum, pg_catalog.format('key %I of %I.%I refers to it', k.conname, n.nspname, t.relname)
    from change as c
    join pg_catalog.pg_constraint as k on k.contype = 'f' and k.conparentid = 0 and k.confrelid = c.relation
      and c.attnum = any (k.confkey)
    join pg_catalog.pg_class as t on t.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid
      and a.attnum = k.conkey[pg_catalog.array_position(k.confkey, c.attnum)]
    join base_type as b on b.oid = a.atttypid
    cross join lateral (select case when a.atttypmod <> -1 then a.atttypmod else b.modifier end) as own (modifier)
    where not coalesce(
      (b.base = c.target and own.modifier in (-1, c.modifier))
      or (b.base in ${integers} and c.target in ${integers}
        and (select t.typlen from pg_catalog.pg_type as t where t.oid = b.base)
          >= (select t.typlen from pg_catalog.pg_type as t where t.oid = c.target))
      or (b.base in ${texts} and c.target in ${texts}
        and (own.modifier = -1 or (c.modifier <> -1 and own.modifier >= c.modifier))), false)
    union
    select c.relation, c.attnum, pg_catalog.format('key %I refers from it to another type', k.conname)
    from change as c
    join pg_catalog.pg_constraint as k on k.contype = 'f' and k.conparentid = 0 and k.conrelid = c.relation
      and c.attnum = any (k.conkey)
    join pg_catalog.pg_attribute as a on a.attrelid = k.confrelid
      and a.attnum = k.confkey[pg_catalog.array_position(k.conkey, c.attnum)]
    join base_type as b on b.oid = a.atttypid
    where not (b.base = c.target or (b.base in ${integers} and c.target in ${integers})
      or (b.base in ${texts} and c.target in ${texts}))
  )
  select pg_catalog.jsonb_build_object('relation', o.relation::int8, 'attnum', o.attnum, 'obstacle', o.obstacle) as row
  from obstacle as o
  order by o.relation, o.attnum, o.obstacle`;

/** The obstacles to a change of type, by `relation.attnum`, as sentences about the column. */
export function* obstaclesTo(changes: readonly TypeChange[]): Program<Map<string, string[]>> {
  const byColumn = new Map<string, string[]>();
  if (changes.length === 0) return byColumn;
  for (const { relation, attnum, obstacle } of yield* query<Row>(text, [changes])) {
    const key = `${relation}.${attnum}`;
    byColumn.set(key, [...(byColumn.get(key) ?? []), obstacle]);
  }
  return byColumn;
}

/** The first obstacles as one clause. */
export function obstaclesText(obstacles: readonly string[]): string {
  const more = obstacles.length - namedObstacles;
  return obstacles.slice(0, namedObstacles).join('; ') + (more > 0 ? `; and ${more} more` : '');
}
