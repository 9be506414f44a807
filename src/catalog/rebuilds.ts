/** What is known of rebuilding indexes here: how quick it goes, when it was planned last, how soon bloat comes back. */
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { parseWindow } from '../core/window.ts';
import type { LocalTime, Window } from '../core/window.ts';
import type { Json } from '../steps/step.ts';

/**
 * Bytes of index built in a second before one has been built here: a slow disk, and a table twice as large as its index to be
 * read. Too high, and a rebuild is begun that does not end in its window.
 */
const initialBytesPerSecond = 8 * 1024 * 1024;

const speedQuery = `
  select pg_catalog.to_jsonb(pg_catalog.sum(a.size_after)
      / nullif(pg_catalog.sum(extract(epoch from a.finished_at - a.started_at)), 0)) as row
  from maint.action as a
  where a.kind = 'reindex_index' and a.status = 'succeeded' and a.size_after > 0 and a.finished_at > a.started_at
  order by 1`;

/** Bytes of new index that a rebuild has made in a second, waiting for others included. */
export function* bytesPerSecond(): Program<number> {
  const [measured] = yield* query<number | null>(speedQuery);
  return measured ?? initialBytesPerSecond;
}

export interface PlanningState {
  /** Days since the last plan of any schedule; null where there was none. */
  days_since_plan: number | null;
  safeguards: Readonly<Record<string, Json>>;
  local: LocalTime;
}

/** A time zone that the server does not know is UTC here: the safeguard says so, and opens no window. */
const planningQuery = `
  with settings as materialized (
    select s.config, case when maint.time_zone_known(s.config ->> 'time_zone') then s.config ->> 'time_zone' else 'UTC' end
      as time_zone
    from maint.config('operational.safeguards') as s (config)
  )
  select pg_catalog.jsonb_build_object(
      'days_since_plan', (
        select extract(epoch from $1::timestamptz - pg_catalog.max(p.planned_at))::float8 / 86400
        from maint.reindex_plan as p where p.queued > 0),
      'safeguards', s.config,
      'local', pg_catalog.jsonb_build_object('day', extract(isodow from l.at)::int,
        'minute', (extract(hour from l.at) * 60 + extract(minute from l.at))::int)) as row
  from settings as s
  cross join lateral (select $1::timestamptz at time zone s.time_zone as at) as l
  order by 1`;

export function planningState(now: string): Program<PlanningState> {
  return queryOne<PlanningState>(planningQuery, [now]);
}

export function windowsOf({ safeguards }: PlanningState): Window[] {
  const texts = safeguards['maintenance_windows'];
  if (!Array.isArray(texts)) return [];
  return texts
    .map((text) => (typeof text === 'string' ? parseWindow(text) : null))
    .filter((window) => window !== null);
}

export interface Plan {
  schedule: string;
  queued: number;
  left_out: Record<string, number>;
  rebuild_bytes: number;
  saved_bytes: number;
}

export function* recordPlan(plan: Plan, now: string): Program<void> {
  yield* query(
    `with kept as (
       insert into maint.reindex_plan (planned_at, schedule, queued, left_out, rebuild_bytes, saved_bytes)
       select $2::timestamptz, p.schedule, p.queued, p.left_out, p.rebuild_bytes, p.saved_bytes
       from pg_catalog.jsonb_to_record($1::jsonb) as p (schedule text, queued int, left_out jsonb, rebuild_bytes int8,
         saved_bytes int8)
       returning plan_id
     ), forgotten as (
       delete from maint.reindex_plan as p where p.planned_at < $2::timestamptz - interval '400 days'
     )
     select pg_catalog.to_jsonb(k.plan_id) as row from kept as k order by 1`,
    [plan, now],
  );
}

export interface Growth {
  usage_id: number;
  /** The first sample since its last rebuild: its bloat, and how many days ago it was. */
  bloat_percent: number;
  days: number;
}

const growthQuery = `
  select pg_catalog.jsonb_build_object('usage_id', m.usage_id, 'bloat_percent', h.bloat_percent,
      'days', extract(epoch from $2::timestamptz - h.sampled_at)::float8 / 86400) as row
  from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (usage_id)
  join maint.index_measurement as m on m.usage_id = w.usage_id::int8
  cross join lateral (
    select s.bloat_percent, s.sampled_at
    from (
      select r.bloat_percent, r.sampled_at from maint.index_sample as r where r.usage_id = m.usage_id
      union all
      select r.bloat_percent, r.sampled_at from maint.index_sample_day as r where r.usage_id = m.usage_id) as s
    where s.bloat_percent is not null and s.sampled_at >= coalesce(m.rebuilt_at, '-infinity')
    order by s.sampled_at
    limit 1) as h
  order by m.usage_id`;

/** How bloated indexes were when they were measured first after their last rebuild. */
export function* growthOf(usageIds: readonly number[], now: string): Program<Map<number, Growth>> {
  if (usageIds.length === 0) return new Map();
  const rows = yield* query<Growth>(growthQuery, [usageIds.map(String), now]);
  return new Map(rows.map((row) => [row.usage_id, row]));
}

export interface BloatCause {
  oid: number;
  cause: string;
}

/**
 * Why vacuum does not clear what it should. An old snapshot keeps every row that died since; a table that autovacuum does not
 * come to keeps all of them; otherwise keys that are written in no order leave pages half full.
 */
const causeQuery = `
  with holder as materialized (
    select h.what, h.age
    from (
      select 'the transaction of process ' || a.pid as what,
        greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) as age
      from pg_catalog.pg_stat_activity as a
      where coalesce(a.backend_xmin, a.backend_xid) is not null and a.pid <> pg_catalog.pg_backend_pid()
        and a.xact_start < $2::timestamptz - interval '1 hour'
        -- Of another database it keeps no row of this one; nor does a VACUUM.
        and a.datname = pg_catalog.current_database()
        and not exists (select from pg_catalog.pg_stat_progress_vacuum as v where v.pid = a.pid)
      union all
      select 'the prepared transaction ' || pg_catalog.quote_literal(p.gid), pg_catalog.age(p.transaction)
      from pg_catalog.pg_prepared_xacts as p
      where p.database = pg_catalog.current_database() and p.prepared < $2::timestamptz - interval '1 hour'
      union all
      select 'the replication slot ' || pg_catalog.quote_ident(s.slot_name), pg_catalog.age(s.xmin)
      from pg_catalog.pg_replication_slots as s where pg_catalog.age(s.xmin) > 10000
    ) as h
    order by h.age desc nulls last, h.what
    limit 1
  )
  select pg_catalog.jsonb_build_object('oid', x.indexrelid::int8, 'cause', case
      when exists (select from holder)
        then (select h.what || ' keeps old rows from being removed' from holder as h)
      when exists (
        select from pg_catalog.pg_options_to_table(t.reloptions) as o
        where o.option_name = 'autovacuum_enabled' and not o.option_value::boolean)
        then 'autovacuum is off for its table'
      when not pg_catalog.current_setting('autovacuum')::boolean then 'autovacuum is off'
      when pg_catalog.pg_stat_get_dead_tuples(t.oid) > 2 * (50 + 0.2 * greatest(t.reltuples, 0))
        then 'autovacuum does not come to its table: ' || pg_catalog.pg_stat_get_dead_tuples(t.oid) || ' dead rows'
      else 'its keys are written in no order, and pages that split stay half full: a lower fillfactor makes that rarer'
    end) as row
  from pg_catalog.jsonb_array_elements_text($1::jsonb) as w (oid)
  join pg_catalog.pg_index as x on x.indexrelid = w.oid::oid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  order by x.indexrelid`;

export function* bloatCauses(oids: readonly number[], now: string): Program<Map<number, string>> {
  if (oids.length === 0) return new Map();
  const rows = yield* query<BloatCause>(causeQuery, [oids.map(String), now]);
  return new Map(rows.map(({ oid, cause }) => [oid, cause]));
}
