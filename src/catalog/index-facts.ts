/** What the checks that judge indexes one by one or against each other share: which indexes, and what to say of them. */
import { attempt, FailureError, query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { unexaminedReason } from '../core/sqlstate.ts';
import { lockedRelations } from './relations.ts';

/**
 * A condition on namespace n and index class c: indexes that belong to the database's user. Ours and the queue's are
 * left out: nobody should change them by hand, and our own work would count as their use.
 */
export const usersIndex = `
  n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'maint', 'maint_boss')
    and c.relpersistence <> 't'`;

/**
 * A subquery with one row for each partitioned index at the root of its tree and each index below it: `root_oid`,
 * `oid`, `relkind`. The root itself is in it.
 */
export const indexTrees = `
  with recursive tree as (
    select c.oid as root_oid, c.oid, c.relkind
    from pg_catalog.pg_class as c
    where c.relkind = 'I' and not c.relispartition
    union all
    select tree.root_oid, c.oid, c.relkind
    from tree
    join pg_catalog.pg_inherits as i on i.inhparent = tree.oid
    join pg_catalog.pg_class as c on c.oid = i.inhrelid
  )
  select tree.root_oid, tree.oid, tree.relkind from tree`;

export interface IndexDetail {
  /** Null where the index or its table was locked when asked. */
  definition: string | null;
  /** Of a partitioned index: of all indexes of its tree that were not locked. */
  size_bytes: number | null;
}

/** Both functions wait behind an AccessExclusiveLock and those who wait for one: such relations are passed over. */
const detailsQuery = `
  with locked as materialized (
    ${lockedRelations}
  ), wanted as materialized (
    select w.oid::oid as oid from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid)
  ), tree as materialized (
    select t.root_oid, t.oid from (${indexTrees}) as t
    join wanted as w on w.oid = t.root_oid
    where t.relkind = 'i'
  )
  select pg_catalog.jsonb_build_object('oid', x.indexrelid::bigint,
      'definition', case when not exists (select from locked as l where l.relation in (x.indexrelid, x.indrelid))
        then pg_catalog.pg_get_indexdef(x.indexrelid) end,
      'size_bytes', case c.relkind
        when 'i' then case when not exists (select from locked as l where l.relation = c.oid)
          then pg_catalog.pg_relation_size(c.oid) end
        else (
          select pg_catalog.sum(pg_catalog.pg_relation_size(t.oid))
          from tree as t
          where t.root_oid = c.oid and not exists (select from locked as l where l.relation = t.oid))
      end) as row
  from wanted as w
  join pg_catalog.pg_index as x on x.indexrelid = w.oid
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  order by x.indexrelid`;

/** Definition and size of these indexes; nulls where a lock is in the way. For the few that are reported. */
export function* indexDetails(oids: readonly number[]): Program<(oid: number) => IndexDetail> {
  const known = new Map<number, IndexDetail>();
  if (oids.length > 0) {
    const outcome = yield* attempt(() =>
      query<IndexDetail & { oid: number }>(detailsQuery, [oids.map(String)]),
    );
    if (outcome.ok) {
      for (const { oid, ...detail } of outcome.value) known.set(oid, detail);
    } else if (unexaminedReason(outcome.failure.sqlstate) === null) {
      throw new FailureError(outcome.failure);
    }
    // Else a lock was taken between our look at pg_locks and the functions, and nothing is known.
  }
  return (oid) => known.get(oid) ?? { definition: null, size_bytes: null };
}
