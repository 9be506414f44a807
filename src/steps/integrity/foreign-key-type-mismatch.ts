/** Foreign keys whose columns have another type than the ones they reference: joins cast, and values may not fit. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, userSchema, wholeReport } from './check.ts';

interface Mismatch {
  column: string;
  type: string;
  referenced_column: string;
  referenced_type: string;
}

interface Row {
  schema: string;
  table: string;
  constraint: string;
  quoted_table: string;
  quoted_constraint: string;
  mismatches: Mismatch[] | null;
  remedy: string | null;
}

/** A domain counts as the type it is made of. Of two integers the remedy widens the narrower: the other way fails. */
const text = `
  with recursive base_type (oid, base) as (
    select t.oid, t.oid from pg_catalog.pg_type as t where t.typtype <> 'd'
    union all
    select t.oid, b.base from base_type as b
    join pg_catalog.pg_type as t on t.typbasetype = b.oid and t.typtype = 'd'
  ), foreign_key as materialized (
    select k.oid, k.conname, k.conkey, k.confkey, k.conrelid, k.confrelid, n.nspname, c.relname,
      fn.nspname as referenced_schema, fc.relname as referenced_table
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_class as fc on fc.oid = k.confrelid
    join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and ${userSchema}
  ), differing as materialized (
    -- Nearly all pairs are of one type, and go before anything is asked about types: the cost stays linear.
    select k.oid, key.position, k.nspname, k.relname, k.referenced_schema, k.referenced_table,
      a.attname, a.atttypid, f.attname as referenced_attname, f.atttypid as referenced_atttypid,
      f.atttypmod as referenced_atttypmod
    from foreign_key as k
    cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey))
      with ordinality as key (own, referenced, position)
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = key.own
    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = key.referenced
    where a.atttypid <> f.atttypid
  ), mismatched as materialized (
    select d.oid,
      pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'column', d.attname, 'type', pg_catalog.format_type(d.atttypid, null),
        'referenced_column', d.referenced_attname,
        'referenced_type', pg_catalog.format_type(d.referenced_atttypid, null)) order by d.position) as mismatches,
      pg_catalog.string_agg(case
        when fb.base in ('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype)
            and (ab.base = 'pg_catalog.int8'::regtype
              or ab.base = 'pg_catalog.int4'::regtype and fb.base = 'pg_catalog.int2'::regtype)
          then pg_catalog.format('alter table %I.%I alter column %I type %s;', d.referenced_schema,
            d.referenced_table, d.referenced_attname, pg_catalog.format_type(ab.base, null))
        else pg_catalog.format('alter table %I.%I alter column %I type %s;', d.nspname, d.relname, d.attname,
            pg_catalog.format_type(d.referenced_atttypid, d.referenced_atttypmod))
        end, e'\\n' order by d.position) as remedy
    from differing as d
    join base_type as ab on ab.oid = d.atttypid
    join base_type as fb on fb.oid = d.referenced_atttypid
    where ab.base <> fb.base
    group by d.oid
  )
  select pg_catalog.jsonb_build_object('schema', k.nspname, 'table', k.relname, 'constraint', k.conname,
      'quoted_table', pg_catalog.format('%I.%I', k.nspname, k.relname),
      'quoted_constraint', pg_catalog.quote_ident(k.conname),
      'mismatches', m.mismatches,
      'remedy', m.remedy) as row
  from foreign_key as k
  left join mismatched as m on m.oid = k.oid
  order by k.nspname, k.relname, k.conname`;

const name = 'foreign_key_type_mismatch';

export const foreignKeyTypeMismatch: IntegrityCheck = {
  name,
  title: 'Foreign keys whose column types differ',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows.flatMap((row) => {
      const [first] = row.mismatches ?? [];
      if (!first || !row.mismatches) return [];
      return {
        kind: integrityKind(name),
        severity: 'warning' as const,
        schema: row.schema,
        table: row.table,
        object: row.constraint,
        summary: `Foreign key ${row.quoted_constraint} of ${row.quoted_table} compares ${first.type} with ${first.referenced_type}.`,
        detail: { columns: row.mismatches.map((pair) => ({ ...pair })) },
        remedy: row.remedy,
      };
    });
    return wholeReport(rows.length, findings);
  },
};
