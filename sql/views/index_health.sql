create or replace view maint.index_health as
select
  u.schema_name,
  u.table_name,
  u.index_name,
  m.verdict,
  m.why,
  pg_size_pretty(m.size_bytes) as size,
  pg_size_pretty(m.wasted_bytes) as wasted,
  m.size_bytes,
  m.bloat_percent,
  m.wasted_bytes,
  m.error_points,
  m.bloat_low,
  m.bloat_high,
  m.leaf_density,
  m.method,
  m.not_measured,
  m.measured_at,
  m.seen_at as changed_at,
  m.table_writes - m.measured_writes as writes_since_measured,
  u.scans,
  m.table_writes,
  m.rebuilt_at,
  m.pages_read,
  m.duration_ms,
  u.usage_id as index_id,
  u.index_oid
from maint.index_measurement as m
join maint.index_usage as u on u.usage_id = m.usage_id
order by
  array_position(array['bloated', 'unknown', 'underutilized', 'healthy'], m.verdict),
  coalesce(m.wasted_bytes, m.size_bytes) desc,
  u.schema_name,
  u.index_name;
comment on view maint.index_health is
  'Each index of at least min_size_mb as step 7 judges it, and why: bloated ones first, the most wasted bytes on top.';
comment on column maint.index_health.schema_name is 'Schema of the index, not quoted.';
comment on column maint.index_health.table_name is 'Its table, not quoted.';
comment on column maint.index_health.index_name is 'The index, not quoted.';
comment on column maint.index_health.verdict is 'healthy, bloated, underutilized or unknown.';
comment on column maint.index_health.why is 'What the verdict rests on, in a sentence.';
comment on column maint.index_health.size is 'Its size, for people.';
comment on column maint.index_health.wasted is 'What a REINDEX would give back, for people.';
comment on column maint.index_health.size_bytes is 'Its size.';
comment on column maint.index_health.bloat_percent is '100 x (1 - size after a REINDEX / size); null where it is not known.';
comment on column maint.index_health.wasted_bytes is 'Bytes that a REINDEX would give back.';
comment on column maint.index_health.error_points is
  'How far off bloat_percent may be, in points: half the width of the interval that holds the truth in 19 of 20 cases.';
comment on column maint.index_health.bloat_low is 'Lower end of that interval.';
comment on column maint.index_health.bloat_high is 'Upper end of that interval.';
comment on column maint.index_health.leaf_density is
  'Percent of the room on leaf pages that entries fill, as pgstatindex has it; null where the method does not tell.';
comment on column maint.index_health.method is
  'How it was measured: sampled_pages, all_pages, pgstatindex, pgstathashindex, statistics, no_bloat (BRIN), or empty.';
comment on column maint.index_health.not_measured is 'Why it could not be measured when last tried; null where it was.';
comment on column maint.index_health.measured_at is 'When it was measured last.';
comment on column maint.index_health.changed_at is 'The last run that saw a change of the index or of its table.';
comment on column maint.index_health.writes_since_measured is 'Rows of the table written since it was measured.';
comment on column maint.index_health.scans is 'All scans known, over resets of the statistics.';
comment on column maint.index_health.table_writes is
  'Rows of its table inserted, deleted, and updated otherwise than heap-only, since it is watched.';
comment on column maint.index_health.rebuilt_at is 'The run that first saw its present file; null where it was never seen in another.';
comment on column maint.index_health.pages_read is 'Index pages that the last measurement read.';
comment on column maint.index_health.duration_ms is 'Milliseconds that the last measurement took.';
comment on column maint.index_health.index_id is 'As in maint.index_history.';
comment on column maint.index_health.index_oid is 'Its OID now.';
