/**
 * Fills the tables of any schema with rows, so that the planner and the steps have something to judge: keys refer to rows that
 * exist, what is unique is, what may be null is sometimes. Row `n` of a table has the `n`-th value of each type.
 */
import type pg from 'pg';
import { leaves } from './partition-bounds.ts';

export interface Filled {
  tables: number;
  /** Tables that got no row, with the server's reason. */
  empty: string[];
  /** Check constraints that were dropped because no row met them. */
  dropped: string[];
}

interface Column {
  name: string;
  /** Of its type, or of what its domain is over. */
  type: string;
  base: string;
  /** Characters that fit, or null. */
  length: number | null;
  not_null: boolean;
  labels: string[] | null;
  element: string | null;
  /** Of one foreign key that it is in: `schema.table.column` as the server quotes it. */
  refers_to: string | null;
  /** The name of that key: its columns refer to one row. */
  foreign_key: string | null;
  /** It takes part in a unique index; `alone` when it is the last column of one that can hold many values. */
  unique: 'no' | 'part' | 'alone';
}

interface Table {
  oid: number;
  /** Quoted. */
  name: string;
  columns: Column[];
}

const tablesQuery = `
  with recursive base as (
    select t.oid as of, t.oid, t.typtype, t.typbasetype, t.typtypmod as modifier from pg_catalog.pg_type as t
    union all
    select b.of, t.oid, t.typtype, t.typbasetype, case when b.modifier >= 0 then b.modifier else t.typtypmod end
    from base as b join pg_catalog.pg_type as t on t.oid = b.typbasetype
    where b.typtype = 'd'
  ), unique_column as (
    select i.indrelid, a.attnum,
      bool_or(a.attnum = (
        select k.attnum from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
        join pg_catalog.pg_attribute as c on c.attrelid = i.indrelid and c.attnum = k.attnum
        where k.place <= i.indnkeyatts
        -- What has few values comes last: another column must tell the rows apart.
        order by c.atttypid in ('bool'::regtype, 'char'::regtype, '"char"'::regtype),
          exists (select from pg_catalog.pg_type as t where t.oid = c.atttypid and t.typtype = 'e'), k.place desc limit 1)) as alone
    from pg_catalog.pg_index as i
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indisunique
    group by 1, 2
  )
  select c.oid::int8::float8 as oid, c.oid::regclass::text as name, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'name', pg_catalog.quote_ident(a.attname),
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'base', pg_catalog.format_type(b.oid, null),
      'length', case when b.oid in ('varchar'::regtype, 'bpchar'::regtype) then
        nullif(greatest(a.atttypmod, b.modifier), -1) - 4 end,
      'not_null', a.attnotnull,
      'labels', (select pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum as e
        where e.enumtypid = b.oid),
      'element', (select pg_catalog.format_type(e.typelem, null) from pg_catalog.pg_type as e
        where e.oid = b.oid and e.typcategory = 'A' and e.typelem <> 0),
      'refers_to', k.refers_to, 'foreign_key', k.name,
      'unique', case when u.alone then 'alone' when u.attnum is null then 'no' else 'part' end
    ) order by a.attnum) as columns
  from pg_catalog.pg_class as c
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  join base as b on b.of = a.atttypid and b.typtype <> 'd'
  left join unique_column as u on u.indrelid = c.oid and u.attnum = a.attnum
  left join lateral (
    select k.conname::text as name, k.confrelid::regclass::text || '.' || pg_catalog.quote_ident(r.attname) as refers_to
    from pg_catalog.pg_constraint as k
    join rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) as p (attnum, referenced) on p.attnum = a.attnum
    join pg_catalog.pg_attribute as r on r.attrelid = k.confrelid and r.attnum = p.referenced
    where k.conrelid = c.oid and k.contype = 'f'
    -- Those of several columns first: their columns must refer to one row.
    order by pg_catalog.cardinality(k.conkey) desc, k.conname limit 1) as k on true
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and n.nspname !~ '^maint(_|$)'
    and not exists (select from pg_catalog.pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  group by c.oid
  order by c.oid`;

/** The value number `number` of a type, as an expression; null where this knows none. */
function valueOf(column: Column, number: string): string | null {
  const { base, length, labels, type } = column;
  if (labels !== null)
    return `(array[${labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(', ')}])[1 + (${number})::int % ${labels.length}]::${type}`;
  const narrow = length !== null && length < 8;
  switch (base) {
    case 'smallint':
      return `((${number}) % 32000)::int2`;
    case 'integer':
    case 'bigint':
    case 'numeric':
    case 'real':
    case 'double precision':
      return `(${number})::${type}`;
    case 'oid':
      return `(${number})::int8::oid`;
    case 'boolean':
      return `(${number}) % 2 = 0`;
    case 'text':
    case 'character varying':
    case 'character':
    case 'citext':
    case 'name':
      return narrow
        ? `right(lpad(to_hex((${number})::int), ${length}, '0'), ${length})::${type}`
        : `('v' || (${number}))::${type}`;
    case 'uuid':
      return `md5((${number})::text)::uuid`;
    case 'bytea':
      return `md5((${number})::text)::bytea`;
    case 'date':
      return `(date '2020-01-01' + ((${number}) % 3000)::int)`;
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return `(timestamp '2020-01-01' + (${number}) * interval '1 minute')::${type}`;
    case 'time without time zone':
    case 'time with time zone':
      return `(time '00:00' + (${number}) * interval '1 second')::${type}`;
    case 'interval':
      return `(${number}) * interval '1 second'`;
    case 'json':
    case 'jsonb':
      return `jsonb_build_object('n', ${number})::${type}`;
    case 'inet':
    case 'cidr':
      return `('10.' || (${number}) / 65536 % 256 || '.' || (${number}) / 256 % 256 || '.' || (${number}) % 256)::${base}`;
    case 'int4range':
    case 'int8range':
    case 'numrange':
      return `${base}((${number})::${base === 'int4range' ? 'int' : base === 'int8range' ? 'int8' : 'numeric'}, (${number} + 1)::${base === 'int4range' ? 'int' : base === 'int8range' ? 'int8' : 'numeric'})`;
    case 'daterange':
      return `daterange(date '2020-01-01' + (${number})::int, date '2020-01-02' + (${number})::int)`;
    case 'tsrange':
    case 'tstzrange': {
      const at = base === 'tsrange' ? 'timestamp' : 'timestamptz';
      return `${base}(${at} '2020-01-01' + (${number}) * interval '1 hour', ${at} '2020-01-01' + (${number} + 1) * interval '1 hour')`;
    }
    case 'tsvector':
      return `to_tsvector('simple', 'v' || (${number}))`;
    case 'point':
      return `point(${number}, ${number})`;
    default:
      return column.element === null ? null : `'{}'::${type}`;
  }
}

/** What varies with the row: a key's columns with the row that it refers to. */
class Numbers {
  readonly #tables: Map<string, Table>;
  readonly #rows: number;

  constructor(tables: readonly Table[], rows: number) {
    this.#tables = new Map(tables.map((table) => [table.name, table]));
    this.#rows = rows;
  }

  /** The number of the value of a column in row `row`. */
  of(column: Column, row: string, depth = 0): string {
    const referenced = column.refers_to === null || depth > 8 ? undefined : this.#find(column.refers_to);
    if (referenced !== undefined) {
      const far = column.unique === 'alone' ? row : this.#other(row, column.foreign_key ?? '');
      return this.of(referenced, far, depth + 1);
    }
    return column.unique === 'part' ? `(1 + (${row}) % 50)` : row;
  }

  #find(refersTo: string): Column | undefined {
    for (const [name, { columns }] of this.#tables) {
      if (!refersTo.startsWith(`${name}.`)) continue;
      const found = columns.find((column) => refersTo === `${name}.${column.name}`);
      if (found) return found;
    }
    return undefined;
  }

  /** Some other row, the same for all columns of one key. */
  #other(row: string, key: string): string {
    const factor = [7919, 6151, 4561, 3571][key.length % 4]!;
    return `(1 + (${row}) * ${factor} % ${this.#rows})`;
  }
}

/** Soft deletes and the like: most rows have none. */
const rarely = /(deleted|archived|removed|cancel|expire|revoked|closed)\w*_(at|on|date)/i;

function valuesOf(table: Table, numbers: Numbers, fixed: ReadonlyMap<string, string>): Map<string, string> {
  const values = new Map<string, string>();
  for (const column of table.columns) {
    const constant = fixed.get(column.name);
    const value = constant ?? valueOf(column, numbers.of(column, 'n'));
    if (value === null) continue;
    const every = rarely.test(column.name) ? 'n % 10 <> 3' : 'n % 10 = 3';
    const mayBeNull = !column.not_null && column.unique === 'no' && constant === undefined;
    values.set(column.name, mayBeNull ? `case when ${every} then null else ${value} end` : value);
  }
  return values;
}

interface ServerError {
  code?: string;
  constraint?: string;
  dataType?: string;
  schema?: string;
  message: string;
}

async function insert(
  client: pg.Client,
  into: string,
  table: Table,
  values: ReadonlyMap<string, string>,
  rows: number,
  filled: Filled,
): Promise<void> {
  const insertion = `insert into ${into} (${[...values.keys()].join(', ')}) overriding system value
    select ${[...values.values()].join(', ')} from generate_series(1::int8, ${rows}) as n`;
  let conflicts = ' on conflict do nothing';
  for (let left = 30; ; left -= 1) {
    try {
      await client.query(insertion + conflicts);
      return;
    } catch (thrown) {
      const error = thrown as ServerError;
      // A deferrable constraint is no arbiter.
      if (error.code === '55000' && conflicts !== '') {
        conflicts = '';
        continue;
      }
      if (error.code !== '23514' || error.constraint === undefined || left === 0) {
        filled.empty.push(`${into}: ${error.message}`);
        return;
      }
      // Also of a domain: then the error names the type.
      const named = `"${error.constraint.replaceAll('"', '""')}"`;
      const statement =
        error.dataType === undefined
          ? `alter table ${table.name} drop constraint ${named} cascade`
          : `alter domain "${error.schema}"."${error.dataType}" drop constraint ${named}`;
      try {
        await client.query(statement);
      } catch (other) {
        filled.empty.push(`${into}: ${error.message}; ${(other as Error).message}`);
        return;
      }
      filled.dropped.push(`${table.name}.${error.constraint}`);
    }
  }
}

/** Fills each table with so many rows at most, then vacuums and analyses. Triggers and foreign keys are not asked. */
export async function fill(client: pg.Client, rows: number): Promise<Filled> {
  const { rows: tables } = await client.query<Table>(tablesQuery);
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const numbers = new Numbers(tables, rows);
  const filled: Filled = { tables: 0, empty: [], dropped: [] };
  await client.query('set session_replication_role = replica');
  for (const leaf of await leaves(client)) {
    const table = byOid.get(leaf.root) ?? byOid.get(leaf.oid);
    if (table === undefined) continue;
    filled.tables += 1;
    if (leaf.problem !== null) {
      filled.empty.push(`${leaf.name}: ${leaf.problem}`);
      continue;
    }
    await insert(client, leaf.into, table, valuesOf(table, numbers, leaf.fixed), rows, filled);
  }
  await client.query('reset session_replication_role');
  await client.query('vacuum (analyze)');
  return filled;
}
