/**
 * Collations whose library has another version than the one objects were built with: text may sort differently now, so
 * that B-trees over it may miss rows and let duplicates in, and rows may violate constraints or be in the wrong partition.
 */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  schema: string | null;
  collation: string;
  quoted: string;
  recorded: string | null;
  actual: string | null;
  default_of_database: boolean;
  indexes: number;
  constraints: number;
  partition_keys: number;
  generated_columns: number;
  /** Quoted, the first of them. */
  index_names: string[];
  other_names: string[];
}

/** A remedy that lists more statements than this is not read any more; most drifts are of the database's default. */
const listedIndexes = 20;

/**
 * Only collations that something uses: the hundreds of others cannot have done harm. An index records the collations of
 * its keys, the operators and functions of its expressions and predicate theirs (inputcollid), as do those of
 * constraints, partition keys and stored generated columns. A range type has a collation of its own, and an array, a domain or a composite
 * type has those of what it is made of.
 */
const text = `
  with recursive stored as materialized (
    select x.indexrelid, x.indnkeyatts, x.indcollation, pg_catalog.concat(x.indexprs::text, x.indpred::text) as nodes
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid and c.relkind = 'i'
  ), key_type (indexrelid, type_oid) as (
    select distinct x.indexrelid, a.atttypid
    from stored as x
    join pg_catalog.pg_attribute as a on a.attrelid = x.indexrelid and a.attnum <= x.indnkeyatts
    join pg_catalog.pg_type as t on t.oid = a.atttypid and (t.typtype <> 'b' or t.typcategory = 'A')
    union
    select k.indexrelid, m.type_oid
    from key_type as k
    join pg_catalog.pg_type as t on t.oid = k.type_oid
    cross join lateral (
      select t.typbasetype where t.typtype = 'd'
      union all
      select t.typelem where t.typcategory = 'A' and t.typelem <> 0
      union all
      select r.rngsubtype from pg_catalog.pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
      union all
      select a.atttypid from pg_catalog.pg_attribute as a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) as m (type_oid)
  ), expression (kind, oid, nodes) as (
    select 'index', x.indexrelid, x.nodes from stored as x where x.nodes <> ''
    union all
    select 'constraint', k.oid, k.conbin::text from pg_catalog.pg_constraint as k where k.conbin is not null
    union all
    select 'partition_key', p.partrelid, p.partexprs::text from pg_catalog.pg_partitioned_table as p where p.partexprs is not null
    union all
    select 'generated_column', d.oid, d.adbin::text
    from pg_catalog.pg_attrdef as d
    join pg_catalog.pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum and a.attgenerated = 's'
  ), evaluated as (
    select distinct c.oid as collation_oid, e.kind, e.oid
    from expression as e
    cross join lateral pg_catalog.regexp_matches(e.nodes,
      '(?:\\{(?:OPEXPR|SCALARARRAYOPEXPR) :opno (\\d+) [^{}]*)?:inputcollid ([1-9]\\d*) ', 'g') as f (part)
    join pg_catalog.pg_collation as c on c.oid = f.part[2]::oid
    -- Equality of text (98 and 531) compares bytes, unless the collation is nondeterministic.
    where f.part[1] is null or f.part[1] not in ('98', '531') or not c.collisdeterministic
  ), used as materialized (
    select distinct key.collation_oid, 'index' as kind, x.indexrelid as oid
    from stored as x
    cross join lateral pg_catalog.unnest(x.indcollation) as key (collation_oid)
    where key.collation_oid <> 0
    union
    select e.collation_oid, e.kind, e.oid from evaluated as e
    union
    select r.rngcollation, 'index', k.indexrelid
    from key_type as k
    join pg_catalog.pg_range as r on k.type_oid in (r.rngtypid, r.rngmultitypid)
    where r.rngcollation <> 0
    union
    select a.attcollation, 'index', k.indexrelid
    from key_type as k
    join pg_catalog.pg_type as t on t.oid = k.type_oid and t.typtype = 'c'
    join pg_catalog.pg_attribute as a on a.attrelid = t.typrelid and a.attnum > 0 and a.attcollation <> 0
    union
    select key.collation_oid, 'partition_key', p.partrelid
    from pg_catalog.pg_partitioned_table as p
    cross join lateral pg_catalog.unnest(p.partcollation) as key (collation_oid)
    where key.collation_oid <> 0
  ), counted as materialized (
    select u.collation_oid,
      pg_catalog.count(*) filter (where u.kind = 'index') as indexes,
      pg_catalog.count(*) filter (where u.kind = 'constraint') as constraints,
      pg_catalog.count(*) filter (where u.kind = 'partition_key') as partition_keys,
      pg_catalog.count(*) filter (where u.kind = 'generated_column') as generated_columns
    from used as u
    group by u.collation_oid
  ), version as (
    select c.oid, n.nspname, c.collname, pg_catalog.format('%I.%I', n.nspname, c.collname) as quoted,
      c.collversion as recorded, pg_catalog.pg_collation_actual_version(c.oid) as actual, false as default_of_database
    from counted as u
    join pg_catalog.pg_collation as c on c.oid = u.collation_oid
    join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
    where c.collversion is not null
    union all
    select 100, null, d.datname, pg_catalog.quote_ident(d.datname), d.datcollversion,
      pg_catalog.pg_database_collation_actual_version(d.oid), true
    from pg_catalog.pg_database as d
    where d.datname = pg_catalog.current_database()
  )
  select pg_catalog.jsonb_build_object('schema', v.nspname, 'collation', v.collname, 'quoted', v.quoted,
      'recorded', v.recorded, 'actual', v.actual, 'default_of_database', v.default_of_database,
      'indexes', coalesce(u.indexes, 0), 'constraints', coalesce(u.constraints, 0),
      'partition_keys', coalesce(u.partition_keys, 0), 'generated_columns', coalesce(u.generated_columns, 0),
      'index_names', coalesce(drifted.index_names, '[]'), 'other_names', coalesce(drifted.other_names, '[]')) as row
  from version as v
  left join counted as u on u.collation_oid = v.oid
  left join lateral (
    select pg_catalog.jsonb_agg(o.name order by o.name) filter (where o.kind = 'index' and o.number <= ${listedIndexes + 1}) as index_names,
      pg_catalog.jsonb_agg(o.name order by o.name) filter (where o.kind <> 'index' and o.number <= ${listedIndexes}) as other_names
    from (
      select s.kind, s.name, pg_catalog.row_number() over (partition by s.kind = 'index' order by s.name) as number
      from (
        select w.kind, pg_catalog.format('%I.%I', n.nspname, i.relname) as name
        from used as w
        join pg_catalog.pg_class as i on i.oid = w.oid and i.relkind in ('i', 'p')
        join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
        where w.collation_oid = v.oid and w.kind in ('index', 'partition_key')
        union all
        select w.kind, pg_catalog.format('%I.%I', n.nspname, k.conname)
        from used as w
        join pg_catalog.pg_constraint as k on k.oid = w.oid
        join pg_catalog.pg_namespace as n on n.oid = k.connamespace
        where w.collation_oid = v.oid and w.kind = 'constraint'
        union all
        select w.kind, pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname)
        from used as w
        join pg_catalog.pg_attrdef as d on d.oid = w.oid
        join pg_catalog.pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
        join pg_catalog.pg_class as c on c.oid = d.adrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where w.collation_oid = v.oid and w.kind = 'generated_column'
      ) as s (kind, name)
    ) as o
  ) as drifted on v.recorded is distinct from v.actual
  order by v.default_of_database, v.quoted`;

function counted(count: number, one: string, many: string): string[] {
  return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
}

/** What may be wrong now, as the end of a sentence. */
function consequence(row: Row): string {
  const evaluated = [
    ...counted(row.constraints, 'check constraint', 'check constraints'),
    ...counted(row.partition_keys, 'partition key', 'partition keys'),
    ...counted(row.generated_columns, 'generated column', 'generated columns'),
  ];
  const indexes = `${row.indexes} ${row.indexes === 1 ? 'index' : 'indexes'} may be out of order`;
  if (evaluated.length === 0) return indexes;
  return `${indexes}, and ${evaluated.join(', ')} may disagree with the stored rows`;
}

function remedyOf(row: Row): string {
  const refresh = row.default_of_database
    ? `alter database ${row.quoted} refresh collation version;`
    : `alter collation ${row.quoted} refresh version;`;
  if (row.index_names.length > listedIndexes) return `-- reindex what uses it first, then:\n${refresh}`;
  return [...row.index_names.map((index) => `reindex index ${index};`), refresh].join('\n');
}

const name = 'collation_version_drift';

export const collationVersionDrift: IntegrityCheck = {
  name,
  title: 'Collations whose version changed under their indexes',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows
      .filter(({ recorded, actual }) => recorded !== null && recorded !== actual)
      .map((row) => {
        const what = row.default_of_database
          ? `The default collation of database ${row.quoted}`
          : `Collation ${row.quoted}`;
        return {
          kind: integrityKind(name),
          severity: 'warning' as const,
          schema: row.schema,
          table: null,
          object: row.collation,
          discriminator: row.default_of_database ? 'database' : 'collation',
          summary: `${what} changed from version ${row.recorded} to ${row.actual ?? 'none'}: ${consequence(row)}.`,
          detail: {
            recorded: row.recorded,
            actual: row.actual,
            indexes: row.indexes,
            constraints: row.constraints,
            partition_keys: row.partition_keys,
            generated_columns: row.generated_columns,
            index_names: row.index_names.slice(0, listedIndexes),
            other_names: row.other_names,
          },
          remedy: remedyOf(row),
        };
      });
    return wholeReport(rows.length, findings);
  },
};
