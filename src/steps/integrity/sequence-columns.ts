/**
 * Which columns a sequence fills, and what these columns can hold. A sequence fills a column whose default is its nextval
 * and nothing more, and its identity column. A column that merely owns it is not filled.
 */
import { query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { baseTypes } from '../../catalog/relations.ts';

interface FilledColumn {
  /** Null where the default has the sequence's name as text. */
  sequence: number | null;
  name: string | null;
  /** Of the table. */
  schema: string;
  column: string;
  /** As text: numeric columns hold more than JavaScript counts exactly. */
  minimum: string;
  maximum: string;
}

/** A sequence as names are looked up. */
export interface NamedSequence {
  oid: number;
  schema: string;
  name: string;
}

/** The narrowest range of the columns that a sequence fills. */
export interface ColumnBound {
  oid: number;
  minimum: string;
  maximum: string;
  /** The columns that give the range, quoted. */
  lowest_of: string;
  highest_of: string;
}

/**
 * Defaults are read as the server stores them, as deparsing would wait for locks. 1574 is nextval(regclass), 1079 the cast
 * of text to regclass. What has a node or function besides these and casts gives the column another value than the
 * sequence's next one. A name as text (consttype 25) is stored as bytes behind four of length.
 */
const text = `
  with recursive ${baseTypes}, expression as materialized (
    select f.adrelid as relation, f.adnum as attnum, 'pg_catalog.pg_attrdef'::regclass as class, f.oid, f.adbin::text as nodes
    from pg_catalog.pg_attrdef as f
    where f.adbin::text like '%:funcid 1574 %'
    union all
    select d.objid, d.objsubid::int2, 'pg_catalog.pg_type'::regclass, t.oid, t.typdefaultbin::text
    from pg_catalog.pg_type as t
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid = t.oid
      and d.classid = 'pg_catalog.pg_class'::regclass and d.objsubid > 0
    join pg_catalog.pg_attribute as a on a.attrelid = d.objid and a.attnum = d.objsubid and not a.atthasdef
    where t.typtype = 'd' and t.typdefaultbin::text like '%:funcid 1574 %'
  ), filled (relation, attnum, sequence, name) as (
    select e.relation, e.attnum, case when found.bytes is null then d.refobjid end, found.bytes
    from expression as e
    left join pg_catalog.pg_depend as d on d.classid = e.class and d.objid = e.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass
      and exists (select from pg_catalog.pg_sequence as s where s.seqrelid = d.refobjid)
    cross join lateral (
      select (pg_catalog.regexp_match(e.nodes, '\\{CONST :consttype 25 [^{}]*:constvalue \\d+ \\[ ([-0-9 ]+) \\]'))[1] as bytes
    ) as found
    where e.nodes !~ '\\{(?!FUNCEXPR |CONST |RELABELTYPE |COERCEVIAIO |COERCETODOMAIN )'
      and not exists (
        select from pg_catalog.regexp_matches(e.nodes, ':funcid (\\d+) ', 'g') as f (id)
        where f.id[1] not in ('1574', '1079')
          and not exists (select from pg_catalog.pg_cast as ca where ca.castfunc = f.id[1]::oid))
    union
    select d.refobjid, d.refobjsubid::int2, s.seqrelid, null
    from pg_catalog.pg_sequence as s
    join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = s.seqrelid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0 and d.deptype = 'i'
  ), typed as (
    select f.*, n.nspname, pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname) as quoted, b.base,
      case when a.atttypmod <> -1 then a.atttypmod else b.modifier end as modifier
    from filled as f
    join pg_catalog.pg_attribute as a on a.attrelid = f.relation and a.attnum = f.attnum
    join pg_catalog.pg_class as c on c.oid = f.relation and c.relpersistence <> 't'
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join base_type as b on b.oid = a.atttypid
  ), digits as (
    -- A numeric(p, s) has p - s digits before the point, a varchar(n) n characters, one of them for a sign.
    select t.*, case
        when t.base = 'pg_catalog.numeric'::regtype and t.modifier <> -1
          then greatest(0, (((t.modifier - 4) >> 16) & 65535) - ((((t.modifier - 4) & 2047) # 1024) - 1024))
        when t.base in ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype) and t.modifier <> -1
          then t.modifier - 4
      end as digits,
      t.base <> 'pg_catalog.numeric'::regtype as is_text
    from typed as t
  ), limited as (
    select d.*, r.minimum, r.maximum
    from digits as d
    cross join lateral (
      select -32768::numeric, 32767::numeric where d.base = 'pg_catalog.int2'::regtype
      union all
      select -2147483648, 2147483647 where d.base = 'pg_catalog.int4'::regtype
      union all
      select -9223372036854775808, 9223372036854775807 where d.base = 'pg_catalog.int8'::regtype
      union all
      select 1 - pg_catalog.power(10::numeric, case when d.is_text then d.digits - 1 else d.digits end),
        pg_catalog.power(10::numeric, d.digits) - 1
      where d.digits is not null
    ) as r (minimum, maximum)
  )
  select pg_catalog.jsonb_build_object('sequence', l.sequence::int8,
      'name', (
        select pg_catalog.convert_from(
          pg_catalog.decode(pg_catalog.string_agg(
            pg_catalog.lpad(pg_catalog.to_hex((b.byte::int4 + 256) % 256), 2, '0'), '' order by b.position), 'hex'),
          pg_catalog.getdatabaseencoding())
        from pg_catalog.unnest(pg_catalog.string_to_array(l.name, ' ')) with ordinality as b (byte, position)
        where b.position > 4),
      'schema', l.nspname, 'column', l.quoted,
      'minimum', pg_catalog.trunc(l.minimum)::text, 'maximum', pg_catalog.trunc(l.maximum)::text) as row
  from limited as l
  where l.sequence is not null or l.name is not null
  order by l.quoted, l.sequence, l.name`;

const identifier = /"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/y;

/** The parts of a name as SQL writes it, at most two; null where the text is no such name. */
export function partsOfName(written: string): string[] | null {
  const parts: string[] = [];
  let position = 0;
  for (;;) {
    identifier.lastIndex = position;
    const match = identifier.exec(written);
    if (!match) return null;
    const [whole, quoted, plain] = match;
    parts.push(
      quoted === undefined
        ? (plain ?? '').replace(/[A-Z]/g, (letter) => letter.toLowerCase())
        : quoted.replaceAll('""', '"'),
    );
    position += whole.length;
    if (position === written.length) return parts.length <= 2 ? parts : null;
    if (written[position] !== '.') return null;
    position += 1;
  }
}

/**
 * The sequence that a name stands for. A session finds one without a schema by its own search_path: here it is the one in
 * the table's schema, or the only one of that name.
 */
function resolver(
  sequences: readonly NamedSequence[],
): (written: string, schema: string) => number | undefined {
  const qualified = new Map(sequences.map(({ schema, name, oid }) => [JSON.stringify([schema, name]), oid]));
  const byName = new Map<string, number[]>();
  for (const { name, oid } of sequences) byName.set(name, [...(byName.get(name) ?? []), oid]);
  return (written, tableSchema) => {
    const [first, second] = partsOfName(written.trim()) ?? [];
    if (first === undefined) return undefined;
    if (second !== undefined) return qualified.get(JSON.stringify([first, second]));
    const candidates = byName.get(first) ?? [];
    const only = candidates.length === 1 ? candidates[0] : undefined;
    return qualified.get(JSON.stringify([tableSchema, first])) ?? only;
  };
}

/** The bound of each sequence that fills a column with one, by its oid. */
export function* columnBounds(sequences: readonly NamedSequence[]): Program<Map<number, ColumnBound>> {
  const resolve = resolver(sequences);
  const bounds = new Map<number, ColumnBound>();
  for (const filled of yield* query<FilledColumn>(text)) {
    const { column, minimum, maximum } = filled;
    const oid = filled.sequence ?? resolve(filled.name ?? '', filled.schema);
    if (oid === undefined) continue;
    const bound = bounds.get(oid) ?? { oid, minimum, maximum, lowest_of: column, highest_of: column };
    bounds.set(oid, {
      oid,
      ...(BigInt(minimum) > BigInt(bound.minimum)
        ? { minimum, lowest_of: column }
        : { minimum: bound.minimum, lowest_of: bound.lowest_of }),
      ...(BigInt(maximum) < BigInt(bound.maximum)
        ? { maximum, highest_of: column }
        : { maximum: bound.maximum, highest_of: bound.highest_of }),
    });
  }
  return bounds;
}
