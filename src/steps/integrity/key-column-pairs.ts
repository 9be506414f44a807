/** Pairs of referring and referenced column whose types differ, and which of these differences matter. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { baseTypes } from '../../catalog/relations.ts';
import { userSchema } from './check.ts';

/** A type without the domains around it. */
export interface BaseType {
  oid: number;
  /** -1 where it has none. */
  modifier: number;
}

export interface ColumnPair {
  attnum: number;
  column: string;
  quoted_column: string;
  /** As declared. */
  type: string;
  base: BaseType;
  referenced_column: string;
  referenced_type: string;
  referenced_base: BaseType;
  /** The referenced type without domains, as SQL writes it. */
  target: string;
  /** ` collate …` where the column has another collation than its type gives; empty otherwise. */
  collation: string;
  /** An index on the referring column can serve the comparison of the key. */
  indexable: boolean;
}

export interface DifferingKey {
  /** The oid of the referring table. */
  relation: number;
  schema: string;
  table: string;
  constraint: string;
  quoted_table: string;
  quoted_constraint: string;
  quoted_referenced: string;
  pairs: ColumnPair[];
}

export interface KeyTypes {
  total: number;
  keys: DifferingKey[];
}

/**
 * An index serves the comparison where the referring column is passed to the key's operator without a function call, and
 * where the default operator family of its type knows that operator.
 */
const text = `
  with recursive ${baseTypes}, foreign_key as materialized (
    select k.oid, k.conname, k.conkey, k.confkey, k.conpfeqop, k.conrelid, k.confrelid, n.nspname, c.relname
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and ${userSchema}
  ), differing as materialized (
    -- Nearly all pairs are of one type, and go before anything is asked about types: the cost stays linear.
    select k.oid, key.position, key.operator, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation,
      f.attname as referenced_attname, f.atttypid as referenced_atttypid, f.atttypmod as referenced_atttypmod
    from foreign_key as k
    cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
      with ordinality as key (own, referenced, operator, position)
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = key.own
    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = key.referenced
    where a.atttypid <> f.atttypid or a.atttypmod <> f.atttypmod
  ), typed as materialized (
    select d.*, ab.base, case when d.atttypmod <> -1 then d.atttypmod else ab.modifier end as modifier,
      fb.base as referenced_base,
      case when d.referenced_atttypmod <> -1 then d.referenced_atttypmod else fb.modifier end as referenced_modifier
    from differing as d
    join base_type as ab on ab.oid = d.atttypid
    join base_type as fb on fb.oid = d.referenced_atttypid
  ), pair as (
    select p.oid, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'attnum', p.attnum, 'column', p.attname, 'quoted_column', pg_catalog.quote_ident(p.attname),
        'type', pg_catalog.format_type(p.atttypid, p.atttypmod),
        'base', pg_catalog.jsonb_build_object('oid', p.base::int8, 'modifier', p.modifier),
        'referenced_column', p.referenced_attname,
        'referenced_type', pg_catalog.format_type(p.referenced_atttypid, p.referenced_atttypmod),
        'referenced_base', pg_catalog.jsonb_build_object('oid', p.referenced_base::int8, 'modifier', p.referenced_modifier),
        'target', pg_catalog.format_type(p.referenced_base, p.referenced_modifier),
        'collation', coalesce((
          select pg_catalog.format(' collate %I.%I', cn.nspname, co.collname)
          from pg_catalog.pg_collation as co
          join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
          join pg_catalog.pg_type as t on t.oid = p.referenced_base
          where co.oid = p.attcollation and t.typcollation not in (0, co.oid)), ''),
        'indexable', p.base = p.referenced_base or exists (
          select from pg_catalog.pg_operator as o
          where o.oid = p.operator
            and (p.base = o.oprright
              or o.oprright in ('pg_catalog.anyarray'::regtype, 'pg_catalog.anyenum'::regtype, 'pg_catalog.anyrange'::regtype)
              or exists (
                select from pg_catalog.pg_cast as ca
                where ca.castsource = p.base and ca.casttarget = o.oprright and ca.castmethod = 'b'))
            and exists (
              select from pg_catalog.pg_amop as ao
              where ao.amopopr in (o.oid, o.oprcom) and ao.amopfamily = (
                select oc.opcfamily
                from pg_catalog.pg_opclass as oc
                join pg_catalog.pg_am as am on am.oid = oc.opcmethod and am.amname = 'btree'
                join pg_catalog.pg_type as t on t.oid = oc.opcintype
                where oc.opcdefault and (oc.opcintype = p.base or exists (
                  select from pg_catalog.pg_cast as ca
                  where ca.castsource = p.base and ca.casttarget = oc.opcintype and ca.castmethod = 'b'
                    and ca.castcontext = 'i'))
                order by oc.opcintype = p.base desc, t.typispreferred desc, oc.oid
                limit 1)))
        ) order by p.position) as pairs
    from typed as p
    where p.base <> p.referenced_base or p.modifier <> p.referenced_modifier
    group by p.oid
  )
  select pg_catalog.jsonb_build_object(
      'total', (select pg_catalog.count(*) from foreign_key),
      'keys', (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('relation', k.conrelid::int8,
            'schema', k.nspname, 'table', k.relname, 'constraint', k.conname,
            'quoted_table', pg_catalog.format('%I.%I', k.nspname, k.relname),
            'quoted_constraint', pg_catalog.quote_ident(k.conname),
            'quoted_referenced', pg_catalog.format('%I.%I', fn.nspname, fc.relname),
            'pairs', pair.pairs) order by k.nspname, k.relname, k.conname), '[]')
        from foreign_key as k
        join pair on pair.oid = k.oid
        join pg_catalog.pg_class as fc on fc.oid = k.confrelid
        join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace)) as row
  order by 1`;

/** All foreign keys, counted, and those that have a pair of columns whose types differ. */
export function differingKeys(): Program<KeyTypes> {
  return queryOne<KeyTypes>(text);
}

/**
 * `narrower`: the referring column cannot hold every referenced value. `shorter`: the same, but only because the
 * referenced text has no limit at all. `not_indexable`: no index on the referring column serves the comparison.
 * `time_zone`: what equals what depends on the session's time zone.
 */
export type Problem = 'narrower' | 'shorter' | 'not_indexable' | 'time_zone';

/** Built-in types, whose oids never change. */
const type = {
  int8: 20,
  int2: 21,
  int4: 23,
  name: 19,
  text: 25,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
} as const;

const integers: readonly number[] = [type.int2, type.int4, type.int8];
const texts: readonly number[] = [type.text, type.varchar, type.bpchar];
const moments: readonly number[] = [type.time, type.timetz, type.timestamp, type.timestamptz];
const zoned: readonly number[] = [type.date, type.timestamp, type.timestamptz];

/** The most digits of a second that the server stores. */
const fullPrecision = 6;

function isNarrowerNumeric(own: number, referenced: number): boolean {
  if (own === -1) return false;
  if (referenced === -1) return true;
  /** Precision in the upper half; the scale has 11 bits, the highest of them its sign. */
  const scaleOf = (modifier: number): number => (((modifier - 4) & 2047) ^ 1024) - 1024;
  const digitsOf = (modifier: number): number => (((modifier - 4) >> 16) & 65_535) - scaleOf(modifier);
  return digitsOf(own) < digitsOf(referenced) || scaleOf(own) < scaleOf(referenced);
}

function isNarrower(own: BaseType, referenced: BaseType): boolean {
  const [integer, referencedInteger] = [integers.indexOf(own.oid), integers.indexOf(referenced.oid)];
  if (integer >= 0 && referencedInteger >= 0) return integer < referencedInteger;
  if (texts.includes(own.oid) && texts.includes(referenced.oid))
    return own.modifier !== -1 && own.modifier < referenced.modifier;
  if (own.oid !== referenced.oid) {
    return (
      (own.oid === type.float4 && referenced.oid === type.float8) ||
      (own.oid === type.name && texts.includes(referenced.oid)) ||
      (own.oid === type.date && referenced.oid === type.timestamp)
    );
  }
  if (own.oid === type.numeric) return isNarrowerNumeric(own.modifier, referenced.modifier);
  if (own.oid === type.bit) return own.modifier !== referenced.modifier;
  if (own.oid === type.varbit)
    return own.modifier !== -1 && (referenced.modifier === -1 || own.modifier < referenced.modifier);
  if (moments.includes(own.oid))
    return (
      own.modifier !== -1 && own.modifier < (referenced.modifier === -1 ? fullPrecision : referenced.modifier)
    );
  return false;
}

/** Null where every referenced value fits and an index on the column can be used: a wider referring column is harmless. */
export function problemOf({ base, referenced_base: referenced, indexable }: ColumnPair): Problem | null {
  if (!indexable) return 'not_indexable';
  if (isNarrower(base, referenced)) return 'narrower';
  const differ = base.oid !== referenced.oid && zoned.includes(base.oid) && zoned.includes(referenced.oid);
  if (differ && (base.oid === type.timestamptz || referenced.oid === type.timestamptz)) return 'time_zone';
  const limited = texts.includes(base.oid) && base.modifier !== -1;
  return limited && texts.includes(referenced.oid) && referenced.modifier === -1 ? 'shorter' : null;
}

/** Whether `alter column type` writes the table anew; where it only lifts a limit, it does not. */
export function isRewritten({ base, referenced_base: target }: ColumnPair): boolean {
  const unpadded = [type.text, type.varchar, type.varbit] as readonly number[];
  const both = (types: readonly number[]): boolean => types.includes(base.oid) && types.includes(target.oid);
  if (both([type.text, type.varchar]))
    return target.modifier !== -1 && (base.modifier === -1 || base.modifier > target.modifier);
  if (base.oid !== target.oid) return true;
  if (unpadded.includes(base.oid) || moments.includes(base.oid)) return !isNarrower(base, target);
  if (base.oid !== type.numeric) return true;
  if (target.modifier === -1) return false;
  const sameScale = ((base.modifier - 4) & 2047) === ((target.modifier - 4) & 2047);
  return !sameScale || !isNarrower(base, target);
}
