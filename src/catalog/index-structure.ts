/** What an index is made of, in a form in which two indexes of a table can be compared without deparsing them. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { usersIndex } from './index-facts.ts';
import { owningExtension } from './relations.ts';
import { splitNodes, withoutLocations } from './node-text.ts';

interface IndexFacts {
  oid: number;
  /** The partitioned index it is attached to. */
  parent: number | null;
  table_oid: number;
  schema: string;
  table: string;
  index: string;
  /** Schema and name as psql needs them. */
  quoted: string;
  quoted_table: string;
  method: string;
  partitioned: boolean;
  unique: boolean;
  nulls_not_distinct: boolean;
  /** False for a deferrable constraint: duplicates are allowed for a while. */
  immediate: boolean;
  /** A constraint owns it or a foreign key references it. */
  constrained: boolean;
  replica_identity: boolean;
  clustered: boolean;
  extension: string | null;
  /** Storage parameters, as `name=value`. */
  storage: string[];
  /** As the server counts them; 0 for a partitioned index, and where no other one is like it, so that nobody asks. */
  scans: number;
}

interface StructureRow {
  facts: IndexFacts;
  /** How many of `attributes` are key columns; the others are included. */
  keys: number;
  /** Attribute numbers of the table; 0 for an expression. */
  attributes: number[];
  /** Family and types, which decide; some classes have a second name, as varchar_ops for text_ops. */
  operator_classes: string[];
  collations: string[];
  /** Bit 0: descending, bit 1: nulls first. */
  sort_options: number[];
  /** Parameters of operator classes by position, from 1. */
  class_options: Record<string, string[]> | null;
  /** As the server stores them; null where there are none. */
  expressions: string | null;
  predicate: string | null;
  /** Numbers of the table's columns that can never be null, where there is a predicate. */
  not_null: number[] | null;
}

/** One key column. Two are interchangeable in a search if `what` is equal. */
export interface KeyColumn {
  what: string;
  sort: number;
}

export interface IndexStructure extends IndexFacts {
  key: KeyColumn[];
  /** Table columns in the key, and those that are only included. */
  keyAttributes: ReadonlySet<number>;
  included: number[];
  /** Equal text, equal predicate; null where every row is indexed, also where it only says that a NOT NULL column is not null. */
  predicate: string | null;
  /** As the planner compares it with a query, which has to say all of it: null only where there is none. */
  stored_predicate: string | null;
}

/** Only indexes that share table, method and first key column (all expressions alike) with another can be alike. */
const structuresQuery = `
  select pg_catalog.jsonb_build_object('facts', pg_catalog.jsonb_build_object(
      'oid', x.indexrelid::bigint,
      'parent', (
        select i.inhparent::bigint from pg_catalog.pg_inherits as i where i.inhrelid = x.indexrelid and c.relispartition),
      'table_oid', x.indrelid::bigint,
      'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, t.relname),
      'method', am.amname,
      'partitioned', c.relkind = 'I',
      'unique', x.indisunique,
      'nulls_not_distinct', x.indnullsnotdistinct,
      'immediate', x.indimmediate,
      'constrained', x.indisprimary or x.indisexclusion or k.conindid is not null,
      'replica_identity', x.indisreplident,
      'clustered', x.indisclustered,
      'extension', ${owningExtension('c.oid', 't.oid')},
      'storage', coalesce(pg_catalog.to_jsonb(c.reloptions), '[]'),
      'scans', case when x.twins > 1 then pg_catalog.pg_stat_get_numscans(x.indexrelid) else 0 end),
      'keys', x.indnkeyatts,
      'attributes', pg_catalog.to_jsonb(x.indkey::int2[]),
      'operator_classes', (
        select pg_catalog.jsonb_agg(pg_catalog.concat_ws(' ', oc.opcfamily, oc.opcintype, oc.opckeytype) order by o.place)
        from pg_catalog.unnest(x.indclass) with ordinality as o (opclass, place)
        join pg_catalog.pg_opclass as oc on oc.oid = o.opclass),
      'collations', pg_catalog.to_jsonb(x.indcollation::oid[]),
      'sort_options', pg_catalog.to_jsonb(x.indoption::int2[]),
      'class_options', (
        select pg_catalog.jsonb_object_agg(a.attnum, pg_catalog.to_jsonb(a.attoptions))
        from pg_catalog.pg_attribute as a
        where a.attrelid = x.indexrelid and a.attoptions is not null),
      'expressions', x.indexprs::text,
      'predicate', x.indpred::text,
      'not_null', case when x.indpred is not null then (
        select pg_catalog.jsonb_agg(a.attnum order by a.attnum)
        from pg_catalog.pg_attribute as a
        where a.attrelid = x.indrelid and a.attnum > 0 and a.attnotnull and not exists (
          -- From PostgreSQL 18 on it may not have been checked for the rows that are there.
          select from pg_catalog.pg_constraint as o
          where o.conrelid = x.indrelid and o.contype = 'n' and not o.convalidated and o.conkey = array[a.attnum])) end
    ) as row
  from (
    select p.*, pg_catalog.count(*) over (partition by p.indrelid, pc.relam, p.indkey[0]) as alike,
      pg_catalog.count(*) over (partition by p.indrelid, pc.relam, p.indkey[0], p.indnatts) as twins
    from pg_catalog.pg_index as p
    join pg_catalog.pg_class as pc on pc.oid = p.indexrelid
    where p.indisvalid and p.indisready and p.indislive
  ) as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_am as am on am.oid = c.relam
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join (
    select distinct o.conindid from pg_catalog.pg_constraint as o where o.conindid <> 0
  ) as k on k.conindid = x.indexrelid
  where x.alike > 1
    and ${usersIndex}
  order by n.nspname, c.relname`;

const conjunction = /^\{BOOLEXPR :boolop and :args \((.*)\)\}$/s;
const notNullTest =
  /^\{NULLTEST :arg \{VAR :varno 1 :varattno (\d+) [^{}]*\} :nulltesttype 1 :argisrow false\}$/;

/** The predicate without the conditions that a NOT NULL column is not null: they leave no row out. */
function predicateOf({ predicate, not_null: notNull }: StructureRow): string | null {
  if (predicate === null) return null;
  const whole = withoutLocations(predicate);
  const members = conjunction.exec(whole)?.[1];
  const conditions = members === undefined ? [whole] : splitNodes(members);
  const left = conditions.filter((condition) => {
    const column = notNullTest.exec(condition)?.[1];
    return column === undefined || !(notNull ?? []).includes(Number(column));
  });
  if (left.length === conditions.length) return whole;
  return left.length > 1 ? `{BOOLEXPR :boolop and :args (${left.join(' ')})}` : (left[0] ?? null);
}

function structureOf(row: StructureRow): IndexStructure {
  const expressions = row.expressions === null ? [] : splitNodes(withoutLocations(row.expressions));
  let nextExpression = 0;
  const key = row.attributes.slice(0, row.keys).map((attribute, position): KeyColumn => {
    const what = [
      attribute === 0 ? expressions[nextExpression++] : attribute,
      row.operator_classes[position],
      row.collations[position],
      row.class_options?.[String(position + 1)] ?? null,
    ];
    return { what: JSON.stringify(what), sort: row.sort_options[position] ?? 0 };
  });
  if (nextExpression !== expressions.length) {
    throw new Error(`${row.facts.quoted}: ${expressions.length} expressions for ${nextExpression} columns`);
  }
  return {
    ...row.facts,
    key,
    keyAttributes: new Set(row.attributes.slice(0, row.keys)),
    included: row.attributes.slice(row.keys),
    predicate: predicateOf(row),
    stored_predicate: row.predicate === null ? null : withoutLocations(row.predicate),
  };
}

/** All valid indexes that may be alike to another one of their table. */
export function* comparableIndexes(): Program<IndexStructure[]> {
  return (yield* query<StructureRow>(structuresQuery)).map(structureOf);
}

/** Null where the server could not say now; `not_safe` where it would have to run code that is not its own. */
export type Implication = boolean | 'not_safe' | null;

/** For each pair of partial indexes whether all rows of the first must be in the second, by the server's own prover. */
export function* provenImplications(
  pairs: readonly { premise: number; conclusion: number }[],
): Program<Implication[]> {
  if (pairs.length === 0) return [];
  return yield* query<Implication>(
    `select case
         when maint.predicate_is_safe((p.pair ->> 'premise')::oid)
             and maint.predicate_is_safe((p.pair ->> 'conclusion')::oid)
           then coalesce(pg_catalog.to_jsonb(maint.predicate_implied(
             (p.pair ->> 'premise')::oid, (p.pair ->> 'conclusion')::oid)), 'null')
         else '"not_safe"' end as row
     from pg_catalog.jsonb_array_elements($1::jsonb) with ordinality as p (pair, place)
     order by p.place`,
    [pairs],
  );
}
