/** A database with something to show in every part of the report, as weeks of use would have left it. */
import type { TestDatabase } from './database.ts';
import { hostileNames } from './names.ts';

/** What would be obeyed if it were not shown as text. */
export const hostile = [
  ...hostileNames.filter((name) => name.length < 40),
  '<script>document.title="owned"</script>',
  '"><img src=http://127.0.0.1:9/x onerror=alert(1)>',
  '</style></svg><b id="escaped">',
  '\u202egnirts',
];

export async function fillReport(database: TestDatabase): Promise<void> {
  await database.query(`
    insert into maint.run_log (status, started_at, finished_at, forced, dry_run, engine, version)
    select case when n = 3 then 'partial' else 'success' end, now() - n * interval '1 day',
      now() - n * interval '1 day' + interval '2 s', false, false, 'worker', '0.1.0'
    from generate_series(29, 0, -1) as n order by n desc;
    insert into maint.step_log (run_id, step_number, name, status, reason, started_at, duration_ms, error, result)
    select r.run_id, d.step_number, d.name,
      case when d.step_number = 1 then 'partial' else 'success' end, case when d.step_number = 1 then 'not_permitted' end,
      r.started_at, 20 + d.step_number * 3, case when d.step_number = 1 then '{"message": "permission denied for sequence"}'::jsonb end, '{}'
    from maint.run_log as r cross join maint.step_definition as d;
    insert into maint.finding (finding_key, run_id, step_number, kind, severity, schema_name, table_name, object_name,
      summary, detail, remedy, first_seen, last_seen, resolved_at)
    select 'old ' || n, 30, 10, 'index.redundant', (array['info', 'warning', 'critical'])[1 + n % 3], 'shop', 'order', 'i',
      'Index shop.order_' || n || ' is covered by another one.', '{}', 'drop index concurrently shop.order_' || n || ';',
      now() - (n % 28 + 1) * interval '1 day', now(), case when n % 4 > 0 then now() - (n % 14) * interval '1 day' end
    from generate_series(1, 60) as n`);
  for (const [index, name] of hostile.entries()) {
    await database.query(
      `insert into maint.finding (finding_key, run_id, step_number, kind, severity, schema_name, table_name, object_name,
         summary, detail, remedy, first_seen, last_seen)
       values ($1, 30, 3, 'index.invalid', $2, 'shop', $3, $3, format('Index shop.%I is invalid.', $3::text), '{}',
         format('drop index concurrently shop.%I;', $3::text), now() - interval '3 days', now())`,
      [`hostile ${index}`, index % 5 === 0 ? 'critical' : 'warning', name],
    );
  }
  await database.query(`insert into maint.finding_mute (finding_key, reason, until) values ('hostile 1', 'known', 'infinity');
    insert into maint.action (action_key, run_id, requested_run_id, step_number, kind, status, target, reason, size_before,
      size_after, outcome, queued_at, started_at, finished_at, error)
    select 'a' || n, 1, 1, 7, (array['reindex_index', 'drop_index', 'analyze_table'])[1 + n % 3],
      (array['succeeded', 'succeeded', 'succeeded', 'failed', 'skipped'])[1 + n % 5],
      jsonb_build_object('schema', 'shop', 'table', 'order', 'index', 'order_' || n || '<b>'), 'r',
      n * 40000000, n * 22000000, case when n % 5 = 4 then 'limits: larger than max_index_size_mb' else 'done' end,
      now() - n * interval '20 hours', now() - n * interval '20 hours', now() - n * interval '20 hours',
      case when n % 5 = 3 then '{"message": "canceling statement due to lock timeout"}'::jsonb end
    from generate_series(1, 30) as n;
    insert into maint.safeguard_event (at, action_id, kind, event, safeguard, reason)
    select now() - n * interval '7 hours', n, 'reindex_index',
      (array['attempt', 'success', 'refused', 'success', 'failure', 'refused', 'lock_timeout'])[1 + n % 7],
      case when n % 7 in (2, 5) then (array['maintenance_window', 'load_throttle'])[1 + n % 2] end,
      case when n % 7 in (2, 5) then (array['outside of 22:00-06:00', '<i>12 sessions are at work on 2 cores</i>'])[1 + n % 2] end
    from generate_series(1, 90) as n;
    insert into maint.index_usage (index_oid, table_oid, schema_name, table_name, index_name, key_columns, definition,
      first_seen, known_since, counter, witness, scans)
    select 100000 + n, 5, 'shop', 'order', (array['order_date_idx', 'Order by status; (old)', '<script>x</script>', 'customer_email'])[n],
      '1', 'd', now(), now(), 0, 0, 0 from generate_series(1, 4) as n;
    insert into maint.index_measurement (usage_id, relfilenode, size_bytes, table_writes, writes_counter, seen_at, measured_at,
      method, bloat_percent, bloat_low, bloat_high, wasted_bytes, verdict, why, not_measured)
    select usage_id, 1, 180000000 / usage_id, 1, 1, now(), now(), 'sampled_pages', 60 / usage_id, 60 / usage_id - 3, 60 / usage_id + 3,
      180000000 / usage_id * 0.6 / usage_id, (array['bloated', 'bloated', 'healthy', 'unknown'])[usage_id],
      (array['60 % is above bloat_threshold (20 %).', '30 % is above bloat_threshold (20 %).', '20 % is not above bloat_threshold.',
        'not measured: not_permitted'])[usage_id], case when usage_id = 4 then 'not_permitted' end
    from maint.index_usage;
    update maint.index_measurement set bloat_percent = null, bloat_low = null, bloat_high = null, wasted_bytes = null
    where usage_id = 4;
    insert into maint.index_sample_day (usage_id, day, sampled_at, samples, size_bytes, bloat_percent, bloat_low, bloat_high,
      wasted_bytes, method, scans, table_writes, rebuilt)
    select u.usage_id, (now() - n * interval '1 day')::date, now() - n * interval '1 day', 24,
      180000000 / u.usage_id * (1 - n * 0.006), case when u.usage_id < 4 then greatest(0, (60 - n * 0.9) / u.usage_id) end,
      case when u.usage_id < 4 then greatest(0, (60 - n * 0.9) / u.usage_id - 4) end,
      case when u.usage_id < 4 then (60 - n * 0.9) / u.usage_id + 4 end, 1, 'sampled_pages', 1, 1, false
    from maint.index_usage as u, generate_series(0, 60) as n;
    insert into maint.forecast (usage_id, made_at, status, reason, behaviour, method, bloat_percent, threshold, days, days_low,
      days_high, bloat_in_week, skill, error_days, size_bytes)
    select usage_id, now(), case when usage_id = 3 then 'forecast' when usage_id = 4 then 'insufficient_history' else 'bloated' end,
      case when usage_id = 4 then 'only 3 samples' when usage_id < 3 then 'past its threshold already' end, 'steady',
      case when usage_id = 3 then 'drift' end, 20, 24, case when usage_id = 3 then 9 end, case when usage_id = 3 then 6 end,
      case when usage_id = 3 then 12 end, case when usage_id = 3 then 23.1 end, 0.4, 1, 60000000
    from maint.index_usage;
    insert into maint.query_interval (started_at, ended_at, snapshots, rolled_up, counters_lost, evictions, unreadable, statements)
    select now() - (n + 1) * interval '1 hour', now() - n * interval '1 hour', 1, true, false, 0, 0, 3
    from generate_series(0, 160) as n;
    insert into maint.query_sample (interval_id, statement_id, verb, calls, total_exec_ms, total_plan_ms, row_count,
      shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written, temp_blks_read, temp_blks_written,
      blk_read_ms, blk_write_ms, wal_records, wal_bytes)
    select i.interval_id, null, v.verb, (v.base * (1.2 + sin(i.interval_id / 4.0)))::bigint, v.base * 3, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0
    from maint.query_interval as i, (values ('select', 9000), ('insert', 1500), ('update', 900), ('delete', 120)) as v (verb, base);
    insert into maint.query_pattern (pattern_key, kind, text, parsed, tables, statements, calls, total_exec_ms, mean_exec_ms,
      rows_per_call, blocks_per_call, share_of_time, reasons, suggestions, window_from, window_to, first_learned, last_learned,
      expires_at)
    values ('p1', 'slow', 'select * from shop."order" where status = $1 and note = ''<script>alert(1)</script>'' order by ordered_at',
      true, '["shop.\\"order\\""]', 1, 1204, 482000, 400.3, 12, 30000, 0.41,
      '[{"reason": "sequential_scan", "detail": "reads all 2,400,000 rows to give back 12"}]',
      '[{"kind": "index", "statement": "create index concurrently on shop.\\"order\\" (status, ordered_at);"}]',
      now(), now(), now(), now(), 'infinity')`);
}
