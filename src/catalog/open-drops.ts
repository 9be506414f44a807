/**
 * The open findings whose remedy drops an index. Each index has at most one of them, and none drops the index in favour of which another
 * one drops its own, so that all remedies can be run, in any order: steps 2, 3, 6 and 10 ask here, whichever of them run together.
 */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

export interface OpenDrop {
  /** The finding's key. */
  key: string;
  step: number;
  /** Scans on standbys are not known: the index may be in use there. */
  unsure: boolean;
  /** The oids of the index and of all indexes attached below it. */
  loses: number[];
  /** The oids of the index that does its work, and of those that this one is attached to; empty where none has to. */
  needs: number[];
}

/** By name where the oid is gone: REINDEX CONCURRENTLY gives an index a new one, which the finding does not know yet. */
const openDropsQuery = `
  with recursive open_drop as materialized (
    select f.finding_key, f.step_number, f.detail ? 'standby_scans' as unsure, f.schema_name, f.table_name, f.object_name,
      f.detail ->> 'covered_by' as keeper_name, (f.detail ->> 'index_oid')::int8::oid as index_oid,
      coalesce(f.detail ->> 'covered_by_oid', f.detail ->> 'original_oid')::int8::oid as keeper_oid
    from maint.finding as f
    where f.resolved_at is null and f.detail ? 'index_oid'
      and f.kind in ('index.orphaned', 'index.invalid', 'index.unused', 'index.redundant')
  ), named as materialized (
    select n.nspname, t.relname as table_name, c.relname, c.oid
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relname in (
      select pg_catalog.unnest(array[o.object_name, o.keeper_name]) from open_drop as o
      where o.index_oid not in (select g.indexrelid from pg_catalog.pg_index as g)
        or o.keeper_oid not in (select g.indexrelid from pg_catalog.pg_index as g))
  ), lost (finding_key, oid) as (
    select o.finding_key, o.index_oid from open_drop as o
    union
    select o.finding_key, n.oid
    from open_drop as o
    join named as n on n.nspname = o.schema_name and n.relname = o.object_name and n.table_name = o.table_name
    union
    select l.finding_key, i.inhrelid from lost as l join pg_catalog.pg_inherits as i on i.inhparent = l.oid
  ), needed (finding_key, oid) as (
    select o.finding_key, o.keeper_oid from open_drop as o where o.keeper_oid is not null
    union
    select o.finding_key, n.oid
    from open_drop as o
    join named as n on n.nspname = o.schema_name and n.relname = o.keeper_name and n.table_name = o.table_name
    union
    select k.finding_key, i.inhparent from needed as k join pg_catalog.pg_inherits as i on i.inhrelid = k.oid
  )
  select pg_catalog.jsonb_build_object('key', o.finding_key, 'step', o.step_number, 'unsure', o.unsure,
      'loses', l.oids, 'needs', coalesce(k.oids, '[]')) as row
  from open_drop as o
  join (
    select l.finding_key, pg_catalog.jsonb_agg(l.oid::int8 order by l.oid) as oids from lost as l group by l.finding_key
  ) as l on l.finding_key = o.finding_key
  left join (
    select k.finding_key, pg_catalog.jsonb_agg(k.oid::int8 order by k.oid) as oids from needed as k group by k.finding_key
  ) as k on k.finding_key = o.finding_key
  order by o.finding_key`;

export function openDrops(): Program<OpenDrop[]> {
  return query<OpenDrop>(openDropsQuery);
}

/** The oids of indexes that findings of earlier steps drop already. */
export function droppedBefore(step: number, drops: readonly OpenDrop[]): ReadonlySet<number> {
  return new Set(drops.filter((drop) => drop.step < step && !drop.unsure).flatMap(({ loses }) => loses));
}

/**
 * The oids of indexes that an unused one may not be: dropped already by a finding of an earlier step, or doing the work of one that is.
 * Where scans on standbys are not known (`unsure`), what step 10 says of an index is surer, and goes first as well.
 */
export function decidedBefore(
  step: number,
  drops: readonly OpenDrop[],
  unsure: boolean,
): ReadonlySet<number> {
  return new Set(
    drops
      .filter((drop) => drop.step < step || (unsure && drop.step > step))
      .flatMap(({ loses, needs }) => [...loses, ...needs]),
  );
}

/** What `superseded` gives for a step that looks at no other findings: these are asked for where it has found something. */
export function* supersededBy(step: number, indexes: readonly number[]): Program<string[]> {
  return indexes.length === 0 ? [] : superseded(step, yield* openDrops(), new Set(indexes));
}

/** The oids of indexes that findings drop which an unused one gives way to: no foreign key can rely on them. */
export function droppedElsewhere(
  step: number,
  drops: readonly OpenDrop[],
  unsure: boolean,
): readonly number[] {
  return drops
    .filter((drop) => drop.step < step || (unsure && drop.step > step))
    .flatMap(({ loses }) => loses);
}

/** The keys of findings of later steps, or of unsure ones, that drop one of these indexes too, or drop another in favour of one. */
export function superseded(step: number, drops: readonly OpenDrop[], indexes: ReadonlySet<number>): string[] {
  return drops
    .filter((drop) => drop.step > step || (drop.unsure && drop.step < step))
    .filter(({ loses, needs }) => [...loses, ...needs].some((oid) => indexes.has(oid)))
    .map(({ key }) => key);
}

export interface TakenOver {
  /** The index that does the work of one that was dropped as redundant, or one that it is attached to. */
  oid: number;
  /** The index that was dropped; quoted. */
  dropped: string;
  /** Since when, at the latest. */
  days: number;
}

/**
 * Indexes that took over the work of one that was dropped in favour of them. Their own scans from before do not count that work, so
 * that they may not be called unused until a window has passed.
 */
export function takenOver(now: string): Program<TakenOver[]> {
  return query<TakenOver>(
    `with recursive dropped as materialized (
       select pg_catalog.format('%I.%I', f.schema_name, f.object_name) as quoted,
         coalesce(f.resolved_at, $1::timestamptz) as at, f.schema_name, f.detail ->> 'covered_by' as keeper_name,
         (f.detail ->> 'covered_by_oid')::int8::oid as keeper_oid
       from maint.finding as f
       where f.kind = 'index.redundant' and f.detail ? 'covered_by_oid'
         and not exists (
           select from pg_catalog.pg_class as c where c.oid = (f.detail ->> 'index_oid')::int8::oid)
         and not exists (
           select from pg_catalog.pg_class as c
           join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
           where c.relname = f.object_name and n.nspname = f.schema_name and c.relkind in ('i', 'I'))
     ), keeper (quoted, at, oid) as (
       select d.quoted, d.at, d.keeper_oid from dropped as d
       union
       select d.quoted, d.at, c.oid
       from dropped as d
       join pg_catalog.pg_namespace as n on n.nspname = d.schema_name
       join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = d.keeper_name and c.relkind in ('i', 'I')
       union
       select k.quoted, k.at, i.inhparent from keeper as k join pg_catalog.pg_inherits as i on i.inhrelid = k.oid
     )
     select distinct on (k.oid) pg_catalog.jsonb_build_object('oid', k.oid::int8, 'dropped', k.quoted,
       'days', pg_catalog.extract('epoch', $1::timestamptz - k.at) / 86400) as row
     from keeper as k
     order by k.oid, k.at desc, k.quoted`,
    [now],
  );
}
