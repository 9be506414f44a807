/** What keeps vacuum from freezing rows of this database: the oldest tables, and what holds the oldest transaction id. */
import { query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';

export interface OldTable {
  table: string;
  age: number;
  temporary: boolean;
  /** A temporary table whose session is gone: no session can vacuum it, and it has to be dropped. */
  orphaned: boolean;
}

export interface Holder {
  what: 'prepared transaction' | 'replication slot' | 'standby' | 'session';
  name: string;
  age: number;
  remedy: string | null;
}

/** Orphans come by the dozen, after a crash. */
const oldestTables = 20;

/** Of each report. */
const oldestHolders = 5;

/**
 * TOAST tables go by the table that they belong to. A schema pg_temp_N is of the backend with the number N. From PostgreSQL 16 on
 * the server tells which backend that is; before, a temporary table is taken for orphaned only if no other session of the
 * database is old enough to have made it, by the last checkpoint.
 */
const tablesQuery = `
  with old as materialized (
    select coalesce(m.oid, c.oid) as oid, max(case $1 when 'multixact' then pg_catalog.mxid_age(c.relminmxid)
      else pg_catalog.age(c.relfrozenxid) end) as age
    from pg_catalog.pg_class as c
    left join pg_catalog.pg_class as m on c.relkind = 't' and m.reltoastrelid = c.oid
    where c.relkind in ('r', 'm', 't')
    group by 1
    order by 2 desc, 1
    limit ${oldestTables}
  ), session as materialized (
    select a.backend_start from pg_catalog.pg_stat_activity as a
    where a.datid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
      and a.pid <> pg_catalog.pg_backend_pid() and coalesce(a.backend_type, 'client backend') = 'client backend'
  )
  select pg_catalog.jsonb_build_object('table', pg_catalog.format('%I.%I', n.nspname, c.relname), 'age', o.age,
      'temporary', c.relpersistence = 't',
      'orphaned', c.relpersistence = 't' and n.oid <> pg_catalog.pg_my_temp_schema() and case
        when pg_catalog.current_setting('server_version_num')::int4 >= 160000 then not exists (
          select from pg_catalog.pg_stat_get_backend_idset() as b (id)
          where b.id::text = (pg_catalog.regexp_match(n.nspname, '^pg_temp_([0-9]+)$'))[1]
            and pg_catalog.pg_stat_get_backend_dbid(b.id) = (
              select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()))
        else not exists (
          select from session as s, pg_catalog.pg_control_checkpoint() as k
          where s.backend_start is null or s.backend_start <= k.checkpoint_time
            or pg_catalog.age(c.xmin) <= pg_catalog.age(pg_catalog.split_part(k.next_xid, ':', 2)::xid))
      end) as row
  from old as o
  join pg_catalog.pg_class as c on c.oid = o.oid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by o.age desc, n.nspname, c.relname`;

/** The oldest tables of this database. `counter` is `multixact` or `transaction id`. */
export function oldTables(counter: string): Program<OldTable[]> {
  return query<OldTable>(tablesQuery, [counter]);
}

const holdersQuery = `
  select pg_catalog.jsonb_build_object('what', h.what, 'name', h.name, 'age', h.age, 'remedy', h.remedy) as row
  from (
    select 'prepared transaction' as what, p.gid as name, pg_catalog.age(p.transaction) as age,
      pg_catalog.format('rollback prepared %L;', p.gid) as remedy
    from pg_catalog.pg_prepared_xacts as p
    where p.database = pg_catalog.current_database()
    union all
    select 'replication slot', s.slot_name, greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin)),
      case when not s.active then pg_catalog.format('select pg_catalog.pg_drop_replication_slot(%L);', s.slot_name) end
    from pg_catalog.pg_replication_slots as s
    where s.plugin is distinct from 'pgrepack' or not s.active
    union all
    select 'standby', coalesce(r.application_name, ''), pg_catalog.age(r.backend_xmin), null
    from pg_catalog.pg_stat_replication as r
    union all
    select 'session', a.pid::text, greatest(pg_catalog.age(a.backend_xid), pg_catalog.age(a.backend_xmin)),
      pg_catalog.format('select pg_catalog.pg_terminate_backend(%s);', a.pid)
    from pg_catalog.pg_stat_activity as a
    where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid() and a.backend_type = 'client backend'
  ) as h
  where h.age > 0
  order by h.age desc, h.what, h.name
  limit ${oldestHolders}`;

/** What holds the oldest transaction ids of this database: hot_standby_feedback shows as a slot or as a standby. */
export function horizonHolders(): Program<Holder[]> {
  return query<Holder>(holdersQuery);
}
