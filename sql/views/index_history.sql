create or replace view maint.index_history as
select
  u.usage_id as index_id,
  u.schema_name,
  u.table_name,
  u.index_name,
  u.index_oid,
  s.resolution,
  s.sampled_at,
  s.samples,
  s.size_bytes,
  s.leaf_density,
  s.bloat_percent,
  s.bloat_low,
  s.bloat_high,
  s.error_points,
  s.wasted_bytes,
  s.method,
  s.scans,
  s.table_writes,
  s.rebuilt
from (
  select
    r.usage_id, 'run' as resolution, r.sampled_at, 1 as samples, r.size_bytes, r.leaf_density, r.bloat_percent,
    r.bloat_low, r.bloat_high, r.error_points, r.wasted_bytes, r.method, r.scans, r.table_writes, r.rebuilt
  from maint.index_sample as r
  union all
  select
    d.usage_id, 'day', d.sampled_at, d.samples, d.size_bytes, d.leaf_density, d.bloat_percent,
    d.bloat_low, d.bloat_high, d.error_points, d.wasted_bytes, d.method, d.scans, d.table_writes, d.rebuilt
  from maint.index_sample_day as d
) as s
join maint.index_usage as u on u.usage_id = s.usage_id
order by u.schema_name, u.index_name, u.usage_id, s.sampled_at desc;
comment on view maint.index_history is
  'How each index grew: samples of the last days one by one, before that one a day. Nothing had changed between two samples of an index.';
comment on column maint.index_history.index_id is
  'The index whatever it is called: the same over REINDEX, a rename and another OID.';
comment on column maint.index_history.schema_name is 'Its schema now, not quoted.';
comment on column maint.index_history.table_name is 'Its table now, not quoted.';
comment on column maint.index_history.index_name is 'Its name now, not quoted.';
comment on column maint.index_history.index_oid is 'Its OID now.';
comment on column maint.index_history.resolution is 'run: one sample; day: what is left of all those of a day (UTC).';
comment on column maint.index_history.sampled_at is 'When the sample was taken; of a day, the last one that was measured.';
comment on column maint.index_history.samples is 'How many samples the row stands for.';
comment on column maint.index_history.size_bytes is 'Size of the index.';
comment on column maint.index_history.leaf_density is
  'Percent of the room on leaf pages that entries fill, as pgstatindex has it; null where it was not measured.';
comment on column maint.index_history.bloat_percent is
  '100 x (1 - size after a REINDEX / size); null where it was not measured at that time.';
comment on column maint.index_history.bloat_low is
  'With bloat_high the interval that holds the true bloat_percent in 19 of 20 cases.';
comment on column maint.index_history.bloat_high is 'The other end of that interval.';
comment on column maint.index_history.error_points is 'Half the width of the interval, in points of percent.';
comment on column maint.index_history.wasted_bytes is 'Bytes that a REINDEX would have given back.';
comment on column maint.index_history.method is 'How bloat was measured, as in maint.index_health; null where it was not.';
comment on column maint.index_history.scans is 'All scans of the index known by then, over resets of the statistics.';
comment on column maint.index_history.table_writes is
  'Rows of its table inserted, deleted, and updated otherwise than heap-only, known by then, over resets: only ever grows.';
comment on column maint.index_history.rebuilt is
  'Whether it was rebuilt since the sample before: by REINDEX, VACUUM FULL, CLUSTER, TRUNCATE, or a change of its column''s type.';
