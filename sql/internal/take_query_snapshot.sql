-- Takes a snapshot of pg_stat_statements: what this database's statements did since the one before becomes an interval of
-- the history. `at` is the time it is taken for. Returns {"status": "taken", "statements", "unreadable", "counters_lost",
-- "evictions", "first"}, {"status": "busy"} where another session is at it, or what maint.query_statistics says is missing.
--
-- Counters of an entry are compared with those of the snapshot before. An entry that began anew counts whole: after a
-- reset of all, with another stats_since (PostgreSQL 17 and later), or with counters that the one before can't have come to:
-- lower ones, another time for the same calls, a shorter longest or a longer shortest call. One that was thrown out, came
-- back and has more than before in all of these can't be told from one that stayed, before 17: the difference is less
-- than what it did then, never more.
create or replace function maint.take_query_snapshot(at timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
-- The planner knows nothing of pg_stat_statements, nor of our tables before they are analyzed first: by hashing it is
-- linear whatever it believes.
set enable_nestloop = off
set enable_mergejoin = off
as $function$
#variable_conflict use_column
declare
  longest_text constant int := 20000;
  -- How far back the first snapshot may reach, where all that was counted is younger than that.
  window_length constant interval := '24 hours';
  -- A sample of another session may be this much younger than the time that a run was begun at.
  longest_step constant interval := '1 hour';
  statistics constant jsonb := maint.query_statistics();
  kept constant int := maint.config('features.pattern_learning.statements_kept')::int;
  own_database constant oid := (
    select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database());
  state maint.query_history_state;
  moment timestamptz;
  stats_reset constant timestamptz := (statistics ->> 'stats_reset')::timestamptz;
  dealloc constant bigint := (statistics ->> 'dealloc')::bigint;
  has_born boolean;
  source text;
  missing boolean;
  all_reset boolean;
  -- An entry without a counter of ours counts whole if it began after this.
  counts_since timestamptz;
  hidden int;
  new_interval int;
  counted record;
begin
  if statistics ->> 'status' <> 'available' then
    return statistics;
  end if;
  perform from maint.lock as l where l.name = 'query_history' for update skip locked;
  if not found then
    return pg_catalog.jsonb_build_object('status', 'busy', 'detail', 'another session takes a snapshot just now');
  end if;
  select * into state from maint.query_history_state as h where h.database_oid = own_database;
  -- After the clock was set back, the history goes on from now, and not when the clock has come there again.
  if state.sampled_at > at + longest_step then
    state.sampled_at := at;
  end if;
  moment := greatest(at, state.sampled_at);
  has_born := statistics -> 'columns' ? 'stats_since';
  source := pg_catalog.format($source$
    select p.userid, p.dbid, p.queryid, p.toplevel, %2$s as born, p.calls, p.total_exec_time as total_exec_ms,
      p.min_exec_time as min_exec_ms, p.max_exec_time as max_exec_ms,
      p.total_plan_time as total_plan_ms, p.rows as row_count, p.shared_blks_hit, p.shared_blks_read,
      p.shared_blks_dirtied, p.shared_blks_written, p.temp_blks_read, p.temp_blks_written,
      p.%3$s as blk_read_ms, p.%4$s as blk_write_ms, p.wal_records, p.wal_bytes::bigint as wal_bytes
    from %1$s.pg_stat_statements(false::pg_catalog.bool) as p
    $source$, statistics ->> 'schema', case when has_born then 'p.stats_since' else 'null::timestamptz' end,
    case when statistics -> 'columns' ? 'shared_blk_read_time' then 'shared_blk_read_time' else 'blk_read_time' end,
    case when statistics -> 'columns' ? 'shared_blk_write_time' then 'shared_blk_write_time' else 'blk_write_time' end);

  -- What appears after this look is left to the next snapshot, which counts it whole.
  execute pg_catalog.format('select pg_catalog.count(*) filter (where p.queryid is null),
      pg_catalog.bool_or(p.queryid is not null and s.statement_id is null)
    from %s.pg_stat_statements(false::pg_catalog.bool) as p
    left join maint.query_statement as s
      on (s.user_oid, s.database_oid, s.queryid, s.toplevel) = (p.userid, p.dbid, p.queryid, p.toplevel)
    where p.dbid = $1', statistics ->> 'schema') into hidden, missing using own_database;
  if missing then
    execute pg_catalog.format($texts$
      with missing as materialized (
        select p.userid, p.queryid, p.toplevel, k.text as query, o.own,
          -- Of utility statements the whole text is not even kept as a digest: a password may be guessed from one.
          pg_catalog.md5(case when maint.query_verb(p.query) = 'utility' then o.own::text || ' ' else '' end || k.text) as digest
        from %s.pg_stat_statements(true::pg_catalog.bool) as p
        left join maint.query_statement as s
          on (s.user_oid, s.database_oid, s.queryid, s.toplevel) = (p.userid, p.dbid, p.queryid, p.toplevel)
        cross join lateral (select maint.statement_without_secrets(p.query) as text) as k
        cross join lateral (select p.query ~*
          '(^|[^[:alnum:]_$.])"?(pg_catalog|information_schema|maint|maint_boss)"?[[:space:]]*\.' as own) as o
        where p.dbid = $1 and p.queryid is not null and p.query is not null and s.statement_id is null
      ), added as (
        insert into maint.query_text (digest, text, length, verb, own, first_seen)
        select distinct on (m.digest) m.digest, pg_catalog.left(m.query, $3), pg_catalog.length(m.query),
          maint.query_verb(m.query),
          m.own, $2
        from missing as m
        order by m.digest
        on conflict (digest) do nothing
        returning text_id, digest
      )
      insert into maint.query_statement (user_oid, database_oid, queryid, toplevel, text_id, first_seen, last_seen)
      select distinct on (m.userid, m.queryid, m.toplevel) m.userid, $1, m.queryid, m.toplevel,
        coalesce(a.text_id, t.text_id), $2, $2
      from missing as m
      left join added as a on a.digest = m.digest
      left join maint.query_text as t on t.digest = m.digest
      order by m.userid, m.queryid, m.toplevel
      on conflict (user_oid, database_oid, queryid, toplevel) do nothing
      $texts$, statistics ->> 'schema') using own_database, moment, longest_text;
  end if;

  all_reset := state.only_row is not null and state.stats_reset is distinct from stats_reset;
  counts_since := case
    when state.only_row is null then moment - window_length
    -- What could not be read before may have counted for long.
    when hidden < state.unreadable and not all_reset then state.sampled_at
    else '-infinity' end;

  insert into maint.query_interval (started_at, ended_at, snapshots, rolled_up, counters_lost, evictions, unreadable,
    statements)
  values (coalesce(state.sampled_at, moment), moment, 1, false, all_reset, greatest(dealloc - state.dealloc, 0),
    hidden, 0)
  returning interval_id into new_interval;

  execute pg_catalog.format($snapshot$
    with live as materialized (
      select s.statement_id, case when t.own then 'own' else t.verb end as verb, s.last_seen,
        c.statement_id is null as appeared, p.*,
        c.calls as calls_0, c.total_exec_ms as total_exec_ms_0, c.total_plan_ms as total_plan_ms_0,
        c.row_count as row_count_0, c.shared_blks_hit as shared_blks_hit_0, c.shared_blks_read as shared_blks_read_0,
        c.shared_blks_dirtied as shared_blks_dirtied_0, c.shared_blks_written as shared_blks_written_0,
        c.temp_blks_read as temp_blks_read_0, c.temp_blks_written as temp_blks_written_0,
        c.blk_read_ms as blk_read_ms_0, c.blk_write_ms as blk_write_ms_0, c.wal_records as wal_records_0,
        c.wal_bytes as wal_bytes_0,
        c.statement_id is null or $1 or case when p.born is not null then p.born is distinct from c.born
          else p.calls < c.calls or p.total_exec_ms < c.total_exec_ms
            or p.calls = c.calls and p.total_exec_ms <> c.total_exec_ms
            or p.min_exec_ms > c.min_exec_ms or p.max_exec_ms < c.max_exec_ms or p.row_count < c.row_count
            or p.shared_blks_hit < c.shared_blks_hit or p.shared_blks_read < c.shared_blks_read
            or p.shared_blks_dirtied < c.shared_blks_dirtied or p.temp_blks_written < c.temp_blks_written
            or p.total_plan_ms < c.total_plan_ms or p.wal_bytes < c.wal_bytes end as fresh
      from (%s) as p
      join maint.query_statement as s
        on (s.user_oid, s.database_oid, s.queryid, s.toplevel) = (p.userid, p.dbid, p.queryid, p.toplevel)
      join maint.query_text as t on t.text_id = s.text_id
      left join maint.query_counter as c on c.statement_id = s.statement_id
      where p.dbid = $2
    ), difference as materialized (
      select l.statement_id, l.verb, l.last_seen, l.fresh and not l.appeared as lost, l.born,
        l.calls - b.base * coalesce(l.calls_0, 0) as calls,
        greatest(l.total_exec_ms - b.base * coalesce(l.total_exec_ms_0, 0), 0) as total_exec_ms,
        greatest(l.total_plan_ms - b.base * coalesce(l.total_plan_ms_0, 0), 0) as total_plan_ms,
        l.row_count - b.base * coalesce(l.row_count_0, 0) as row_count,
        l.shared_blks_hit - b.base * coalesce(l.shared_blks_hit_0, 0) as shared_blks_hit,
        l.shared_blks_read - b.base * coalesce(l.shared_blks_read_0, 0) as shared_blks_read,
        l.shared_blks_dirtied - b.base * coalesce(l.shared_blks_dirtied_0, 0) as shared_blks_dirtied,
        l.shared_blks_written - b.base * coalesce(l.shared_blks_written_0, 0) as shared_blks_written,
        l.temp_blks_read - b.base * coalesce(l.temp_blks_read_0, 0) as temp_blks_read,
        l.temp_blks_written - b.base * coalesce(l.temp_blks_written_0, 0) as temp_blks_written,
        greatest(l.blk_read_ms - b.base * coalesce(l.blk_read_ms_0, 0), 0) as blk_read_ms,
        greatest(l.blk_write_ms - b.base * coalesce(l.blk_write_ms_0, 0), 0) as blk_write_ms,
        l.wal_records - b.base * coalesce(l.wal_records_0, 0) as wal_records,
        l.wal_bytes - b.base * coalesce(l.wal_bytes_0, 0) as wal_bytes
      from live as l
      cross join lateral (select case when l.fresh then 0 else 1 end as base) as b
      where (l.fresh or l.calls > l.calls_0)
        and (not l.appeared or $3 = '-infinity' or coalesce(l.born, $4) >= $3)
        and l.calls > 0
    ), ranked as materialized (
      select d.*, k.countable and (
          pg_catalog.row_number() over (order by k.countable desc, d.total_exec_ms desc, d.statement_id) <= $5
          or pg_catalog.row_number() over (order by k.countable desc, d.calls desc, d.statement_id) <= $5) as keeps
      from difference as d
      cross join lateral (select d.verb not in ('own', 'utility') as countable) as k
    ), sampled as (
      insert into maint.query_sample
      select $6, case when r.keeps then r.statement_id end, r.verb, pg_catalog.sum(r.calls),
        pg_catalog.sum(r.total_exec_ms), pg_catalog.sum(r.total_plan_ms), pg_catalog.sum(r.row_count),
        pg_catalog.sum(r.shared_blks_hit), pg_catalog.sum(r.shared_blks_read), pg_catalog.sum(r.shared_blks_dirtied),
        pg_catalog.sum(r.shared_blks_written), pg_catalog.sum(r.temp_blks_read), pg_catalog.sum(r.temp_blks_written),
        pg_catalog.sum(r.blk_read_ms), pg_catalog.sum(r.blk_write_ms), pg_catalog.sum(r.wal_records),
        pg_catalog.sum(r.wal_bytes)
      from ranked as r
      group by case when r.keeps then r.statement_id end, r.verb
    ), seen as (
      -- To the hour: a row written for each statement at each snapshot would be most of the cost.
      update maint.query_statement as s set last_seen = $7
      from ranked as r
      where s.statement_id = r.statement_id and r.last_seen < $7 - interval '1 hour'
    ), vanished as (
      delete from maint.query_counter as c
      where not exists (select from live as l where l.statement_id = c.statement_id)
      returning c.statement_id
    ), noted as (
      insert into maint.query_counter as c
      select l.statement_id, l.born, l.calls, l.total_exec_ms, l.min_exec_ms, l.max_exec_ms, l.total_plan_ms,
        l.row_count, l.shared_blks_hit, l.shared_blks_read, l.shared_blks_dirtied, l.shared_blks_written, l.temp_blks_read, l.temp_blks_written,
        l.blk_read_ms, l.blk_write_ms, l.wal_records, l.wal_bytes
      from live as l
      where l.fresh or l.calls > l.calls_0
      on conflict (statement_id) do update set
        born = excluded.born, calls = excluded.calls, total_exec_ms = excluded.total_exec_ms,
        min_exec_ms = excluded.min_exec_ms, max_exec_ms = excluded.max_exec_ms, total_plan_ms = excluded.total_plan_ms,
        row_count = excluded.row_count,
        shared_blks_hit = excluded.shared_blks_hit, shared_blks_read = excluded.shared_blks_read,
        shared_blks_dirtied = excluded.shared_blks_dirtied, shared_blks_written = excluded.shared_blks_written,
        temp_blks_read = excluded.temp_blks_read, temp_blks_written = excluded.temp_blks_written,
        blk_read_ms = excluded.blk_read_ms, blk_write_ms = excluded.blk_write_ms, wal_records = excluded.wal_records,
        wal_bytes = excluded.wal_bytes
    )
    select (pg_catalog.count(*) filter (where r.verb <> 'own'))::int as statements, coalesce(pg_catalog.bool_or(r.lost), false) as lost,
      pg_catalog.min(coalesce(r.born, $4)) as born, (select pg_catalog.count(*) from vanished) as vanished,
      (select pg_catalog.count(*) from live)::int as entries
    from ranked as r
    $snapshot$, source)
  into counted
  using all_reset, own_database, counts_since, stats_reset, kept, new_interval, moment;

  if state.only_row is null then
    -- The first one: an interval only where all that it counted is known to have happened in it.
    if counted.born is null then
      delete from maint.query_interval as i where i.interval_id = new_interval;
    else
      update maint.query_interval as i set started_at = least(counted.born, moment), statements = counted.statements
      where i.interval_id = new_interval;
    end if;
  else
    update maint.query_interval as i set statements = counted.statements,
      -- Gone, though the server threw nothing out: somebody reset these.
      counters_lost = i.counters_lost or counted.lost or (counted.vanished > 0 and i.evictions = 0)
    where i.interval_id = new_interval;
  end if;

  insert into maint.query_history_state as h (database_oid, sampled_at, stats_reset, dealloc, unreadable)
  values (own_database, moment, stats_reset, dealloc, hidden)
  on conflict (only_row) do update set database_oid = excluded.database_oid, sampled_at = excluded.sampled_at, stats_reset = excluded.stats_reset,
    dealloc = excluded.dealloc, unreadable = excluded.unreadable;
  perform maint.roll_up_query_history(moment);
  return pg_catalog.jsonb_build_object('status', 'taken', 'statements', counted.statements, 'entries', counted.entries,
    'unreadable', hidden, 'counters_lost', coalesce((
      select i.counters_lost from maint.query_interval as i where i.interval_id = new_interval), false),
    'evictions', greatest(dealloc - coalesce(state.dealloc, dealloc), 0), 'first', state.only_row is null);
end
$function$;
comment on function maint.take_query_snapshot(timestamptz) is
  'Internal: adds what statements did since the last snapshot to the history.';
