/** What replication keeps vacuum from removing: slots, and standbys that report their oldest snapshot. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

export interface HoldingSlot {
  name: string;
  quoted: string;
  type: 'physical' | 'logical';
  plugin: string | null;
  active: boolean;
  active_pid: number | null;
  /** ISO 8601 and seconds; null while it is active, and before PostgreSQL 17. */
  inactive_since: string | null;
  inactive_seconds: number | null;
  /** Who reads from it now, by the name it gave. */
  consumer: string | null;
  /** It keeps rows of this database from vacuum. */
  holds_vacuum: boolean;
  /** Transactions begun since the oldest one whose rows the slot keeps; for rows of the catalogs beside it. */
  xmin_age: number | null;
  catalog_xmin_age: number | null;
  wal_status: string | null;
  retained_wal_bytes: number | null;
  /** For people. */
  retained_wal: string | null;
  /** How much more the server writes before it removes what the slot needs; null without max_slot_wal_keep_size. */
  safe_wal_bytes: number | null;
  max_slot_wal_keep_size: string;
  drop: string;
}

/**
 * All slots that hold something. Physical slots belong to no database and hold back the vacuum of all of them; a logical
 * one that of its own database. The WAL that a slot retains is the whole server's. An invalidated slot holds nothing back any
 * more, but its reader is stopped. The slot that REPACK CONCURRENTLY (PostgreSQL 19) reads its own changes from ends with it.
 */
export function holdingSlots(now: string): Program<HoldingSlot[]> {
  return query<HoldingSlot>(
    `select pg_catalog.jsonb_build_object('name', s.slot_name, 'quoted', pg_catalog.quote_literal(s.slot_name),
         'type', s.slot_type, 'plugin', s.plugin, 'active', s.active, 'active_pid', s.active_pid,
         'inactive_since', i.since,
         'inactive_seconds', case when i.since is not null
           then greatest(0, pg_catalog.round(extract(epoch from $1::timestamptz - i.since))) end,
         'consumer', r.application_name,
         'holds_vacuum', (s.database is null or s.database = pg_catalog.current_database())
           and coalesce(s.wal_status, '') <> 'lost'
           and coalesce(pg_catalog.to_jsonb(s) ->> 'conflicting', 'false') = 'false'
           and pg_catalog.to_jsonb(s) ->> 'invalidation_reason' is null,
         'xmin_age', pg_catalog.age(s.xmin), 'catalog_xmin_age', pg_catalog.age(s.catalog_xmin),
         'wal_status', s.wal_status,
         'retained_wal_bytes', w.bytes, 'retained_wal', pg_catalog.pg_size_pretty(w.bytes),
         'safe_wal_bytes', s.safe_wal_size,
         'max_slot_wal_keep_size', pg_catalog.current_setting('max_slot_wal_keep_size'),
         'drop', pg_catalog.format('select pg_catalog.pg_drop_replication_slot(%L);', s.slot_name)) as row
     from pg_catalog.pg_replication_slots as s
     cross join lateral (
       select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) as bytes) as w
     cross join lateral (
       select case when not s.active then (pg_catalog.to_jsonb(s) ->> 'inactive_since')::timestamptz end as since) as i
     left join pg_catalog.pg_stat_replication as r on r.pid = s.active_pid
     where s.plugin is distinct from 'pgrepack' or not s.active
     order by s.slot_name`,
    [now],
  );
}

export interface HoldingStandby {
  pid: number;
  backend_start: string | null;
  application: string;
  client: string | null;
  xmin_age: number;
}

/** Walsenders whose role this session may not look at: what a standby behind them holds back is not known. */
export function* hiddenWalsenders(): Program<number> {
  const [count] = yield* query<number>(
    `select pg_catalog.to_jsonb(pg_catalog.count(*)) as row
     from pg_catalog.pg_stat_replication as r where r.backend_start is null order by 1`,
  );
  return count ?? 0;
}

/** Standbys with hot_standby_feedback that use no slot: the oldest snapshot is their walsender's then. */
export function holdingStandbys(xminAgeLimit: number): Program<HoldingStandby[]> {
  return query<HoldingStandby>(
    `select pg_catalog.jsonb_build_object('pid', r.pid, 'backend_start', r.backend_start,
         'application', coalesce(r.application_name, ''), 'client', pg_catalog.host(r.client_addr),
         'xmin_age', pg_catalog.age(r.backend_xmin)) as row
     from pg_catalog.pg_stat_replication as r
     where pg_catalog.age(r.backend_xmin) >= $1::int
     order by r.application_name, r.pid`,
    [xminAgeLimit],
  );
}
