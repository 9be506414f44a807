/** Advisory locks of this database: who holds them, since when we have seen it, and whom they keep waiting. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { ofThisDatabase } from './sessions.ts';

/** As pg_locks shows it: two halves of a bigint (objsubid 1), or two ints (objsubid 2), unsigned. */
export interface LockTag {
  classid: number;
  objid: number;
  objsubid: number;
}

export interface AdvisoryLock extends LockTag {
  /** As it is given to pg_advisory_lock: "42", or "7, -1" for two ints. */
  key: string;
  modes: string[];
  /** Null for a prepared transaction's. */
  pid: number | null;
  virtual_transaction: string;
  waiters: { pid: number; mode: string; seconds: number | null }[];
}

/** The first key of all of pg-maint's own locks, as in sql/internal/start_run.sql: a run holds one while it looks. */
const ourLockClass = 1_835_100_526;

/** A waiter that wants to share is not kept waiting by one that shares, but by an exclusive one that is in the queue. */
export function advisoryLocks(now: string): Program<AdvisoryLock[]> {
  return query<AdvisoryLock>(
    `with advisory as materialized (
       select l.classid, l.objid, l.objsubid, l.virtualtransaction, l.pid, l.mode, l.granted, l.waitstart
       from pg_catalog.pg_locks as l
       where l.locktype = 'advisory' and ${ofThisDatabase('l.database')}
         -- Ours, which no other role can have: an installation, or the start of a worker.
         and not (l.classid = ${ourLockClass} and l.objsubid = 2 and exists (
           select from pg_catalog.pg_stat_activity as a
           join pg_catalog.pg_roles as r on r.oid = a.usesysid
           join pg_catalog.pg_namespace as n on n.nspname = 'maint'
           where a.pid = l.pid and (r.rolsuper or pg_catalog.pg_has_role(r.oid, n.nspowner, 'MEMBER'))))
     ), held as (
       select l.classid, l.objid, l.objsubid, l.virtualtransaction, l.pid,
         pg_catalog.jsonb_agg(l.mode order by l.mode) as modes
       from advisory as l
       where l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
       group by l.classid, l.objid, l.objsubid, l.virtualtransaction, l.pid
     )
     select pg_catalog.jsonb_build_object(
         'classid', h.classid::int8, 'objid', h.objid::int8, 'objsubid', h.objsubid,
         'key', case h.objsubid
           when 1 then ((h.classid::int8 << 32) | h.objid::int8)::text
           -- The view shows ints without their sign.
           else pg_catalog.format('%s, %s', ((h.classid::int8 << 32) >> 32)::text, ((h.objid::int8 << 32) >> 32)::text) end,
         'modes', h.modes, 'pid', h.pid, 'virtual_transaction', h.virtualtransaction,
         'waiters', coalesce(waiting.list, '[]')) as row
     from held as h
     cross join lateral (
       select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('pid', w.pid, 'mode', w.mode,
           'seconds', greatest(0, pg_catalog.round(extract(epoch from $1::timestamptz - w.waitstart), 3)))
         order by w.waitstart, w.pid) as list
       from advisory as w
       where not w.granted and w.pid is not null
         and w.classid = h.classid and w.objid = h.objid and w.objsubid = h.objsubid
         and not (w.mode = 'ShareLock' and h.modes = '["ShareLock"]'::jsonb)
     ) as waiting
     order by h.pid, h.virtualtransaction, h.classid, h.objid, h.objsubid`,
    [now],
  );
}

export interface Sighting extends LockTag {
  pid: number;
  /** Null where it may not be seen: such a lock keeps the sighting it has, but gets none. */
  backend_start: string | null;
}

/**
 * Remembers the locks held now and forgets all others. Returns for each of them the seconds since it was first seen,
 * in the order given.
 */
export function rememberLocks(now: string, held: readonly Sighting[]): Program<number[]> {
  return query<number>(
    `with held as (
       select h.position, h.lock_pid, h.backend_start, h.classid, h.objid, h.objsubid
       from rows from (pg_catalog.jsonb_to_recordset($2::jsonb)
         as (pid int, backend_start timestamptz, classid oid, objid oid, objsubid int))
         with ordinality as h (lock_pid, backend_start, classid, objid, objsubid, position)
     ), forgotten as (
       delete from maint.advisory_lock_sighting as s
       where not exists (
         select from held as h
         where h.lock_pid = s.pid and coalesce(h.backend_start, s.backend_start) = s.backend_start
           and h.classid = s.lock_classid and h.objid = s.lock_objid and h.objsubid = s.lock_objsubid)
     ), added as (
       insert into maint.advisory_lock_sighting
         (pid, backend_start, lock_classid, lock_objid, lock_objsubid, first_seen)
       select h.lock_pid, h.backend_start, h.classid, h.objid, h.objsubid, $1::timestamptz
       from held as h
       where h.backend_start is not null
       on conflict do nothing
     )
     select pg_catalog.to_jsonb(coalesce(
         pg_catalog.round(extract(epoch from $1::timestamptz - s.first_seen), 3), 0)) as row
     from held as h
     left join maint.advisory_lock_sighting as s
       on s.pid = h.lock_pid and s.backend_start = h.backend_start and s.lock_classid = h.classid
       and s.lock_objid = h.objid and s.lock_objsubid = h.objsubid
     order by h.position`,
    [now, held],
  );
}
