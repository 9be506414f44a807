/** What the catalog says of one index: what the actions on indexes probe again, and what would bring it back. */
import type pg from 'pg';
import { runAsync } from '../../core/drivers.ts';
import { connectionHost } from '../host.ts';
import { asOwnerOf } from '../act-as.ts';
import { dropHeld, giveNameBack, holdName } from './hold-name.ts';
import { HeldUp } from '../errors.ts';
import { workInProgress } from '../../catalog/invalid-indexes.ts';
import type { JsonObject } from '../../steps/step.ts';
import type { ActionRow, Refusal } from './action.ts';
import { recheck } from './recheck.ts';

export interface IndexState {
  oid: number;
  table_oid: number;
  schema: string;
  table: string;
  index: string;
  quoted: string;
  quoted_schema: string;
  quoted_name: string;
  quoted_table: string;
  /** relkind of the table. */
  table_kind: string;
  /** The owner of the table may give the index another name. */
  renamable: boolean;
  kind: 'i' | 'I';
  valid: boolean;
  ready: boolean;
  temporary: boolean;
  system: boolean;
  exclusion: boolean;
  /** Attached to an index of the partitioned table. */
  attached: boolean;
  /** A constraint that needs it; quoted. */
  constraint: string | null;
  extension: string | null;
  replica_identity: boolean;
  file: number;
  size_bytes: number;
  definition: string;
  inverse: JsonObject;
}

/** Functions that its expressions and predicate call, by OID: replaced by their owner they keep it. The server's own left out. */
const indexFunctions = `(
            select pg_catalog.jsonb_agg(distinct p.oid::int8)
            from pg_catalog.pg_depend as d
            left join pg_catalog.pg_operator as r
              on d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass and r.oid = d.refobjid
            join pg_catalog.pg_proc as p
              on p.oid = case when d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass then d.refobjid else r.oprcode end
            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid)`;

/**
 * What an index is, in names and without the text of its definition: that leaves out an operator class or a collation while it is
 * the default, and says nothing of the tablespace. A jsonb object for index x, of class c, in tablespace s.
 */
const indexFacts = `pg_catalog.jsonb_build_object(
          'access method', (select m.amname from pg_catalog.pg_am as m where m.oid = c.relam),
          'unique', x.indisunique, 'nulls not distinct', x.indnullsnotdistinct,
          'operator classes', (
            select pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', cn.nspname, oc.opcname) order by o.place)
            from pg_catalog.unnest(x.indclass) with ordinality as o (opclass, place)
            join pg_catalog.pg_opclass as oc on oc.oid = o.opclass
            join pg_catalog.pg_namespace as cn on cn.oid = oc.opcnamespace),
          'collations', (
            select pg_catalog.jsonb_agg(case when co.oid is not null then pg_catalog.format('%I.%I', cn.nspname, co.collname) end
              order by o.place)
            from pg_catalog.unnest(x.indcollation) with ordinality as o (coll, place)
            left join pg_catalog.pg_collation as co on co.oid = o.coll
            left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace),
          'order', pg_catalog.to_jsonb(x.indoption::int2[]),
          'storage options', (
            select pg_catalog.jsonb_agg(r.option order by r.option) from pg_catalog.unnest(c.reloptions) as r (option)),
          'tablespace', coalesce(s.spcname, ''),
          'functions', ${indexFunctions})`;

/** One jsonb column `row` for each index x; a condition and an order come behind it. */
export const stateQuery = `
  select pg_catalog.jsonb_build_object(
      'oid', x.indexrelid::int8, 'table_oid', x.indrelid::int8,
      'schema', n.nspname, 'table', t.relname, 'index', c.relname, 'quoted', q.index,
      'quoted_schema', pg_catalog.quote_ident(n.nspname), 'quoted_name', pg_catalog.quote_ident(c.relname),
      'quoted_table', q."table", 'table_kind', t.relkind,
      -- The server renames nothing of TOAST, not even for a superuser.
      'renamable', t.relkind <> 't' and pg_catalog.has_schema_privilege(t.relowner, n.oid, 'CREATE'),
      'kind', c.relkind, 'valid', x.indisvalid, 'ready', x.indisready and x.indislive,
      'temporary', c.relpersistence = 't', -- What a REINDEX CONCURRENTLY that was cut off left of a TOAST table is the one index there that the server lets go.
      'system', n.nspname = 'pg_catalog' or n.nspname = 'pg_toast' and x.indisvalid,
      'exclusion', x.indisexclusion, 'attached', c.relispartition,
      'constraint', (
        select pg_catalog.quote_ident(k.conname) from pg_catalog.pg_constraint as k
        where k.conindid = x.indexrelid order by k.oid limit 1),
      'extension', (
        select e.extname
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid in (c.oid, t.oid)
          and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e'
        order by e.extname limit 1),
      'replica_identity', x.indisreplident,
      'file', c.relfilenode::int8,
      'size_bytes', pg_catalog.pg_relation_size(c.oid),
      'definition', pg_catalog.pg_get_indexdef(c.oid),
      'inverse', pg_catalog.jsonb_build_object(
        'table_oid', x.indrelid::int8, 'facts', ${indexFacts},
        -- pg_get_indexdef leaves the tablespace out.
        'settings', pg_catalog.jsonb_build_object('default_tablespace', coalesce(s.spcname, '')),
        'statements', pg_catalog.to_jsonb(pg_catalog.array_remove(array[
            pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(c.oid),
              '^CREATE (UNIQUE )?INDEX ', 'CREATE \\1INDEX CONCURRENTLY '),
            'COMMENT ON INDEX ' || q.index || ' IS '
              || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_class')),
            case when x.indisclustered
              then pg_catalog.format('ALTER TABLE %s CLUSTER ON %I', q.table, c.relname) end,
            case when x.indisreplident
              then pg_catalog.format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', q.table, c.relname) end
          ], null) || coalesce((
            select pg_catalog.array_agg(pg_catalog.format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', q.index,
              a.attnum, a.attstattarget) order by a.attnum)
            from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attstattarget >= 0), '{}')
          || coalesce((
            select pg_catalog.array_agg(pg_catalog.format('ALTER INDEX %s DEPENDS ON EXTENSION %I', q.index, e.extname)
              order by e.extname)
            from pg_catalog.pg_depend as d
            join pg_catalog.pg_extension as e on e.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'x'
              and d.refclassid = 'pg_catalog.pg_extension'::regclass), '{}')
          -- What the planner knows of its expressions goes with it; only ANALYZE brings that back.
          || case when x.indexprs is null then '{}' else array['ANALYZE ' || q.table] end))
    ) as row
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_tablespace as s on s.oid = c.reltablespace
  cross join lateral (values (
    pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format('%I.%I', n.nspname, t.relname))) as q (index, "table")`;

export async function indexByOid(client: pg.ClientBase, oid: number): Promise<IndexState | null> {
  const { rows } = await client.query<{ row: IndexState }>(`${stateQuery} where c.oid = $1::oid`, [oid]);
  return rows[0]?.row ?? null;
}

export async function indexByName(
  client: pg.ClientBase,
  schema: string,
  index: string,
): Promise<IndexState | null> {
  const { rows } = await client.query<{ row: IndexState }>(
    `${stateQuery} where n.nspname = $1 and c.relname = $2`,
    [schema, index],
  );
  return rows[0]?.row ?? null;
}

/** What tells whether an index was built anew. */
export interface BuiltIndex extends Record<string, unknown> {
  oid: number;
  table_oid: number;
  definition: string;
  quoted: string;
  /** Valid, and complete enough to be so. */
  usable: boolean;
  size_bytes: number;
}

export async function builtIndex(
  client: pg.ClientBase,
  schema: string,
  index: string,
): Promise<BuiltIndex | null> {
  const { rows } = await client.query<BuiltIndex>(
    `select c.oid::int8::float8 as oid, x.indrelid::int8::float8 as table_oid,
       pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted, pg_catalog.pg_get_indexdef(c.oid) as definition,
       x.indisvalid and x.indisready and x.indislive as usable,
       pg_catalog.pg_relation_size(c.oid)::float8 as size_bytes
     from pg_catalog.pg_namespace as n
     join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = $2
     join pg_catalog.pg_index as x on x.indexrelid = c.oid
     where n.nspname = $1`,
    [schema, index],
  );
  return rows[0] ?? null;
}

/** The oids of the invalid indexes of a table. */
export async function invalidOidsOf(client: pg.ClientBase, tableOid: number): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select x.indexrelid::int8::float8 as oid
     from pg_catalog.pg_index as x where x.indrelid = $1::oid and not x.indisvalid order by x.indexrelid`,
    [tableOid],
  );
  return rows.map(({ oid }) => oid);
}

/** The invalid indexes of a table, for those that look for what a build has left. */
export async function invalidIndexesOf(client: pg.ClientBase, tableOid: number): Promise<IndexState[]> {
  const { rows } = await client.query<{ row: IndexState }>(
    `${stateQuery} where x.indrelid = $1::oid and not x.indisvalid order by c.relname`,
    [tableOid],
  );
  return rows.map(({ row }) => row);
}

/** Who builds, drops or locks one of these now, in words; null where nobody does. Vacuum and ANALYZE do not count. */
export async function workOn(client: pg.ClientBase, oids: readonly number[]): Promise<string | null> {
  // Each statement by itself: none is to see the activity as another saw it.
  const working = await runAsync(workInProgress(), connectionHost(client));
  const oid = oids.find((each) => working.has(each));
  if (oid === undefined) return null;
  const pid = working.get(oid) ?? null;
  return `${pid === null ? 'a prepared transaction' : `process ${pid}`} works on the table or its index`;
}

export interface IndexTarget {
  schema: string;
  table: string;
  index: string;
  oid: number;
}

/** The index by its oid, if it has still the name and the definition that the decision was made for. */
async function sameIndex(
  client: pg.ClientBase,
  target: IndexTarget,
  definition: unknown,
): Promise<IndexState | Refusal> {
  const expired = (reason: string): Refusal => ({ ok: false, outcome: 'expired', reason });
  const found = await indexByOid(client, target.oid);
  if (found === null) {
    const other = await indexByName(client, target.schema, target.index);
    return expired(other === null ? 'the index is gone' : 'another index has that name now');
  }
  if (found.schema !== target.schema || found.index !== target.index || found.table !== target.table)
    return expired(`the index has another name now: ${found.quoted}`);
  if (typeof definition === 'string' && definition !== found.definition)
    return expired(`the index has another definition now: ${found.definition}`);
  return found;
}

/**
 * What every action on an index that is there begins with: the index as it was when the decision was made, which
 * nothing keeps from being acted on, and which is still wanted to be. Otherwise why not.
 */
export async function wantedIndex(
  client: pg.ClientBase,
  action: ActionRow<'drop_index' | 'reindex_index'>,
  keptBecause: (index: IndexState) => string | null,
): Promise<IndexState | Refusal> {
  const index = await sameIndex(client, action.target, action.evidence['definition']);
  if ('ok' in index) return index;
  const kept = keptBecause(index);
  if (kept !== null) return { ok: false, outcome: 'skipped', reason: kept };
  const work = await workOn(client, [index.oid, index.table_oid]);
  if (work !== null) return { ok: false, outcome: 'later', reason: work };
  return (await recheck(client, action, index)) ?? index;
}

/**
 * Drops an invalid index that a failed or cut-off build of ours has left; returns its name. Throws HeldUp, or the
 * server's error, where it can't now.
 */
export async function dropLeftover(client: pg.Client, index: IndexState): Promise<string> {
  const work = await workOn(client, [index.oid, index.table_oid]);
  if (work !== null) throw new HeldUp(`${index.quoted}: ${work}`);
  await holdName(client, index);
  try {
    await asOwnerOf(client, index.table_oid, 'own', () => client.query(dropHeld(index)));
  } catch (error) {
    const left = await indexByOid(client, index.oid);
    if (left !== null) await giveNameBack(client, left, index.quoted_name);
    throw error;
  }
  return index.quoted;
}
