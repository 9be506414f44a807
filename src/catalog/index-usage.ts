/** Samples of how often each index is scanned, kept in maint.index_usage over resets, rebuilds and renames. */
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { indexTrees, usersIndex } from './index-facts.ts';

/** What the server's counters are worth now. */
export interface StatisticsState {
  /** Why scans are not counted at all or not for everyone; null where they are. */
  not_counted: string | null;
  /** Another text than at the last sample: counters may have been lost since. */
  statistics: string;
  previous: string | null;
  /** True where a standby is, or was: it counts its scans itself, and we don't see them. */
  standbys: boolean;
  /** Whether we may read for which expressions the planner has statistics. */
  may_read_pg_statistic: boolean;
}

/**
 * A standby replays what it receives; a base backup and an archiver of WAL do not, and say so. What a role may not
 * see of a walsender is null, and taken for a standby. One that is away now may have left a physical slot; a slot
 * that nobody ever used has no restart_lsn.
 */
const stateQuery = `
  select pg_catalog.jsonb_build_object(
      'not_counted', case
        when pg_catalog.current_setting('track_counts') <> 'on' then 'track_counts is off'
        else (
          select 'track_counts is off for ' || pg_catalog.string_agg(distinct coalesce(r.rolname, 'the database'), ', ')
          from pg_catalog.pg_db_role_setting as s
          cross join lateral pg_catalog.unnest(s.setconfig) as u (setting)
          left join pg_catalog.pg_roles as r on r.oid = s.setrole
          where s.setdatabase in (0, d.oid)
            and pg_catalog.split_part(u.setting, '=', 1) = 'track_counts'
            and not pg_catalog.split_part(u.setting, '=', 2)::boolean)
      end,
      'statistics', maint.statistics_life(),
      'previous', (select s.statistics from maint.index_usage_sample as s order by s.day desc limit 1),
      'standbys', exists (
          select from pg_catalog.pg_stat_replication as r
          where (r.replay_lsn is not null or r.state is null)
            and not exists (
              select from pg_catalog.pg_replication_slots as l
              where l.active_pid = r.pid and l.slot_type = 'logical'))
        or exists (
          select from pg_catalog.pg_replication_slots as l
          where l.slot_type = 'physical' and not l.active and l.restart_lsn is not null),
      'may_read_pg_statistic', pg_catalog.has_table_privilege('pg_catalog.pg_statistic', 'select')
    ) as row
  from pg_catalog.pg_database as d
  where d.datname = pg_catalog.current_database()
  order by d.oid`;

export function statisticsState(): Program<StatisticsState> {
  return queryOne<StatisticsState>(stateQuery);
}

export interface UsageSinceSample {
  standbys: boolean;
  /** Scans that the server has counted since the last sample of it. */
  scans: number;
  /** What the server counted before the last sample may be gone, or the index was never sampled: `scans` says nothing. */
  lost: boolean;
}

/** What happened to one index since step 6 sampled it last. A session reports its scans up to some seconds later. */
export function* usageSinceSample(oid: number): Program<UsageSinceSample> {
  const { standbys, statistics, previous } = yield* statisticsState();
  const [sample] = yield* query<{ scans: number }>(
    `select pg_catalog.jsonb_build_object('scans', pg_catalog.pg_stat_get_numscans(u.index_oid) - u.counter) as row
     from maint.index_usage as u
     where u.index_oid = $1::oid
     order by u.usage_id`,
    [oid],
  );
  const lost = sample === undefined || statistics !== previous || sample.scans < 0;
  return { standbys, scans: sample?.scans ?? 0, lost };
}

/** The indexes that are sampled, with the server's counters; a partitioned index has none of its own. */
const liveIndexes = `
    select c.oid, x.indrelid as table_oid, c.relkind,
      n.nspname::text as schema_name, t.relname::text as table_name, c.relname::text as index_name,
      x.indkey::text as key_columns,
      pg_catalog.md5(pg_catalog.concat_ws('|', c.relam, x.indisunique, x.indnkeyatts, x.indkey, x.indclass,
        x.indcollation, x.indoption, x.indexprs::text, 'where', x.indpred::text)) as definition,
      pg_catalog.pg_stat_get_numscans(c.oid) as counter,
      pg_catalog.pg_stat_get_blocks_fetched(c.oid) as witness
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where x.indisvalid and x.indisready and x.indislive
      and ${usersIndex}`;

/**
 * Finds indexes again that came back under another OID. Their scans are carried on. Their window goes on only where
 * the server handed its counters on, as REINDEX CONCURRENTLY does; after DROP and CREATE, or a change of a column's
 * type, the scans between the last sample and the drop are lost, and the window begins anew.
 */
const carryOnQuery = `
  with live as materialized (${liveIndexes}
  ), gone as materialized (
    select u.* from maint.index_usage as u where u.index_oid not in (select l.oid from live as l)
  ), fresh as materialized (
    select l.* from live as l where l.oid not in (select u.index_oid from maint.index_usage as u)
  ), pair as materialized (
    select g.usage_id, f.oid, f.definition,
      not $2::boolean and f.definition = g.definition and f.counter >= g.counter
        and g.witness > 0 and f.witness >= g.witness as continuous,
      g.index_name = f.index_name and g.schema_name = f.schema_name as named
    from fresh as f
    join gone as g on g.table_oid = f.table_oid and g.key_columns = f.key_columns
  ), moved as (
    -- Renamed and rebuilt between two samples: the counters that were handed on tell it.
    select distinct on (p.oid) p.usage_id, p.oid, p.definition, p.continuous
    from pair as p
    where p.named or p.continuous
    order by p.oid, p.named desc, p.usage_id
  ), carried as (
    update maint.index_usage as u set
      index_oid = m.oid,
      definition = m.definition,
      known_since = case when m.continuous then u.known_since else $1::timestamptz end,
      counter = case when m.continuous then u.counter else 0 end,
      witness = case when m.continuous then u.witness else 0 end
    from moved as m
    where m.usage_id = u.usage_id
    returning u.usage_id
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from carried order by 1`;

/**
 * Adds what the counters have grown by. After a loss a counter that is higher than before may have begun at zero: it
 * is counted whole, for missing an unused index is better than reporting one in use. The witness is written when it
 * has doubled: a new index that is mistaken for the old one would have to catch up with half of it in one sample.
 */
const growthQuery = `
  with live as materialized (${liveIndexes}
  ), leaf as materialized (
    select l.*, u.usage_id,
      u.usage_id is not null and ($2::boolean or l.counter < u.counter or l.witness < u.witness) as lost,
      case
        when u.usage_id is null or l.counter < u.counter or ($2::boolean and l.counter > u.counter) then l.counter
        else l.counter - u.counter
      end as growth
    from live as l
    left join maint.index_usage as u on u.index_oid = l.oid
    where l.relkind = 'i'
  ), root as materialized (
    select l.*, u.usage_id, s.lost, case when u.usage_id is null then s.counter else s.growth end as growth
    from live as l
    join (
      select t.root_oid, pg_catalog.bool_or(f.lost) as lost, pg_catalog.sum(f.growth)::bigint as growth,
        pg_catalog.sum(f.counter)::bigint as counter
      from (${indexTrees}) as t
      join leaf as f on f.oid = t.oid
      group by t.root_oid
    ) as s on s.root_oid = l.oid
    left join maint.index_usage as u on u.index_oid = l.oid
  ), change as (
    select * from leaf union all select * from root
  ), days as (
    insert into maint.index_usage_day (usage_id, day, scans_before)
    select u.usage_id, ($1::timestamptz at time zone 'utc')::date, u.scans
    from change as c
    join maint.index_usage as u on u.usage_id = c.usage_id
    where c.growth > 0
    on conflict do nothing
  ), counted as (
    update maint.index_usage as u set
      schema_name = c.schema_name, table_name = c.table_name, index_name = c.index_name,
      known_since = case when c.lost then $1::timestamptz else u.known_since end,
      counter = c.counter, witness = c.witness, scans = u.scans + c.growth
    from change as c
    where c.usage_id = u.usage_id
      and (c.growth > 0 or c.lost or c.witness > 2 * u.witness
        or (c.schema_name, c.table_name, c.index_name) <> (u.schema_name, u.table_name, u.index_name))
    returning u.usage_id
  ), added as (
    insert into maint.index_usage (index_oid, table_oid, schema_name, table_name, index_name, key_columns, definition,
      first_seen, known_since, counter, witness, scans)
    select c.oid, c.table_oid, c.schema_name, c.table_name, c.index_name, c.key_columns, c.definition,
      $1::timestamptz, $1::timestamptz, c.counter, c.witness, c.growth
    from change as c
    where c.usage_id is null
    order by c.oid
    on conflict (index_oid) do nothing
    returning usage_id
  )
  select pg_catalog.to_jsonb((select pg_catalog.count(*) from counted) + (select pg_catalog.count(*) from added)) as row
  order by 1`;

/**
 * Notes the sample and forgets what no window reaches any more: vanished indexes, and days before the longest window.
 * The newest sample before that stays, as proof that the window is covered.
 */
const closeSampleQuery = `
  with today as materialized (
    select ($1::timestamptz at time zone 'utc')::date as day
  ), longest as materialized (
    select today.day - greatest($3::int, (
        select pg_catalog.max((s.value #>> '{}')::int) from maint.setting as s
        where s.path = 'features.index_cleanup.days_unused')) as day
    from today
  ), noted as (
    insert into maint.index_usage_sample as s (day, samples, sampled_at, statistics)
    select today.day, 1, $1::timestamptz, $2::text from today
    on conflict (day) do update set
      samples = s.samples + 1, sampled_at = excluded.sampled_at, statistics = excluded.statistics
  ), old_samples as (
    delete from maint.index_usage_sample as s
    where s.day < (
      select pg_catalog.max(k.day) from maint.index_usage_sample as k, longest as l where k.day <= l.day)
  ), old_days as (
    delete from maint.index_usage_day as d where d.day < (select l.day from longest as l)
  ), vanished as (
    delete from maint.index_usage as u
    where not exists (select from pg_catalog.pg_index as x where x.indexrelid = u.index_oid)
    returning u.usage_id
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from vanished order by 1`;

/**
 * One after another: what one transaction takes for a new index, another may take for an old one that came back, and both
 * would write it. Before the statements that read, which see then what the other one has committed.
 */
function* oneAtATime(): Program<void> {
  yield* query(
    `select pg_catalog.to_jsonb(l.name) as row from maint.lock as l where l.name = 'identity' order by l.name for update`,
  );
}

/** Takes a sample. `longestWindow` in days: as far back as anybody will ask, beside what narrower scopes set. */
export function* sampleIndexUsage(
  now: string,
  { statistics, previous }: StatisticsState,
  longestWindow: number,
): Program<void> {
  const countersMayBeLost = previous !== null && previous !== statistics;
  yield* oneAtATime();
  yield* query(carryOnQuery, [now, countersMayBeLost]);
  yield* query(growthQuery, [now, countersMayBeLost]);
  yield* query(closeSampleQuery, [now, statistics, longestWindow]);
}

/** Notes that nothing is counted now: once it is again, every window begins anew. */
export function* noteUncounted(now: string, reason: string, longestWindow: number): Program<void> {
  yield* query(closeSampleQuery, [now, reason, longestWindow]);
}

/** Days before today (UTC) on which a sample was taken, latest first. */
export function sampleDays(now: string): Program<number[]> {
  return query<number>(
    `select pg_catalog.to_jsonb(($1::timestamptz at time zone 'utc')::date - s.day) as row
     from maint.index_usage_sample as s
     order by s.day desc`,
    [now],
  );
}

/**
 * Gives a row to each index that has none, with the scans that are counted so far: its first sample is yet to come. And to
 * each the name that it has now.
 */
const addUnknownQuery = `
  with live as materialized (${liveIndexes}
  ), added as (
    insert into maint.index_usage (index_oid, table_oid, schema_name, table_name, index_name, key_columns, definition,
      first_seen, known_since, counter, witness, scans)
    select l.oid, l.table_oid, l.schema_name, l.table_name, l.index_name, l.key_columns, l.definition,
      $1::timestamptz, $1::timestamptz, l.counter, l.witness, l.counter
    from live as l
    where l.relkind = 'i' and l.oid not in (select u.index_oid from maint.index_usage as u)
    order by l.oid
    -- A worker may look at the same moment as a run, or as another worker.
    on conflict (index_oid) do nothing
    returning usage_id
  ), renamed as (
    update maint.index_usage as u set
      schema_name = l.schema_name, table_name = l.table_name, index_name = l.index_name
    from live as l
    where l.oid = u.index_oid
      and (l.schema_name, l.table_name, l.index_name) <> (u.schema_name, u.table_name, u.index_name)
  )
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row from added order by 1`;

/**
 * Sees to it that every index has its row, whatever became of its name and OID, without taking a sample: for those that
 * keep more about an index than its scans, whether step 6 runs or not.
 */
export function* keepIndexIdentities(now: string): Program<void> {
  const { statistics, previous } = yield* statisticsState();
  const [sampled] = yield* query<boolean>(
    `select pg_catalog.to_jsonb(exists (
       select from maint.index_usage_sample as s where s.sampled_at = $1::timestamptz and s.statistics = $2)) as row
     order by 1`,
    [now, statistics],
  );
  // Step 6 has just done it, in this run.
  if (sampled === true) return;
  yield* oneAtATime();
  yield* query(carryOnQuery, [now, previous !== null && previous !== statistics]);
  yield* query(addUnknownQuery, [now]);
}
