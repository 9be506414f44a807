/** Prepared transactions of this database: they have no session, and keep their locks and snapshot until resolved. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { ofThisDatabase } from './sessions.ts';

export interface PreparedTransaction {
  /** The transaction id, as text: it is only compared. */
  transaction: string;
  gid: string;
  quoted_gid: string;
  owner: string;
  /** ISO 8601. */
  prepared: string;
  age_seconds: number;
  /** Transactions begun since its own. */
  xid_age: number;
  /** Rolls it back; the other way to resolve it is `commit prepared`. */
  rollback: string;
  /** What it goes by in pg_locks as holder; null while its locks are not shown. */
  virtual_transaction: string | null;
}

/**
 * pg_locks shows a prepared transaction's locks under the virtual transaction of the session that prepared it, and
 * after a restart under -1/xid: what tells whose they are is the lock that every transaction holds on its own id.
 */
export function preparedTransactions(now: string): Program<PreparedTransaction[]> {
  return query<PreparedTransaction>(
    `select pg_catalog.jsonb_build_object('transaction', p.transaction::text, 'gid', p.gid,
         'quoted_gid', pg_catalog.quote_literal(p.gid), 'owner', p.owner, 'prepared', p.prepared,
         'age_seconds', greatest(0, pg_catalog.round(extract(epoch from $1::timestamptz - p.prepared), 3)),
         'xid_age', pg_catalog.age(p.transaction),
         'rollback', pg_catalog.format('rollback prepared %L;', p.gid),
         'virtual_transaction', l.virtualtransaction) as row
     from pg_catalog.pg_prepared_xacts as p
     left join pg_catalog.pg_locks as l
       on l.locktype = 'transactionid' and l.transactionid = p.transaction and l.granted and l.pid is null
     where p.database = pg_catalog.current_database()
     order by p.prepared, p.gid`,
    [now],
  );
}

/** What a prepared transaction makes wait. */
export interface PreparedVictim {
  virtual_transaction: string;
  pid: number;
}

/**
 * Who waits for a lock that a prepared transaction holds. pg_blocking_pids says that it is one (0), the lock's tag says
 * which: where two of them hold the same lock in modes that differ, both are named.
 */
export function preparedVictims(): Program<PreparedVictim[]> {
  return query<PreparedVictim>(
    `with locks as materialized (
       select l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid,
         l.objsubid, l.virtualtransaction, l.pid, l.granted
       from pg_catalog.pg_locks as l
       where l.database is null or ${ofThisDatabase('l.database')} or l.database = 0
     )
     select pg_catalog.jsonb_build_object('virtual_transaction', h.virtualtransaction, 'pid', w.pid) as row
     from locks as h
     join locks as w on w.locktype = h.locktype
       and w.database is not distinct from h.database and w.relation is not distinct from h.relation
       and w.page is not distinct from h.page and w.tuple is not distinct from h.tuple
       and w.virtualxid is not distinct from h.virtualxid
       and w.transactionid::text is not distinct from h.transactionid::text
       and w.classid is not distinct from h.classid and w.objid is not distinct from h.objid
       and w.objsubid is not distinct from h.objsubid
     where h.pid is null and h.granted and not w.granted and w.pid is not null
       and 0 = any (pg_catalog.pg_blocking_pids(w.pid))
     group by h.virtualtransaction, w.pid
     order by w.pid, h.virtualtransaction`,
  );
}
