-- How large and how full each index is over time, for step 7 and for the forecasts of step 16. Indexes are told by
-- maint.index_usage, whose usage_id stays the same over REINDEX, a rename and another OID.

create table maint.index_measurement (
  usage_id bigint primary key references maint.index_usage on delete cascade,
  relfilenode oid not null,
  size_bytes bigint not null,
  table_writes bigint not null,
  writes_counter bigint not null,
  seen_at timestamptz not null,
  rebuilt_at timestamptz,
  rebuilt_size_bytes bigint,
  measured_at timestamptz,
  measured_relfilenode oid,
  measured_size_bytes bigint,
  measured_writes bigint,
  method text,
  leaf_density numeric,
  bloat_percent numeric,
  bloat_low numeric,
  bloat_high numeric,
  error_points numeric,
  wasted_bytes bigint,
  pages_read int,
  duration_ms numeric,
  not_measured text,
  verdict text not null check (verdict in ('healthy', 'bloated', 'underutilized', 'unknown')),
  why text not null
);
comment on table maint.index_measurement is
  'One row for each index that step 7 looks after: how it is now, and its last measurement. Written when something has changed.';
comment on column maint.index_measurement.usage_id is 'The index, as maint.index_usage knows it.';
comment on column maint.index_measurement.relfilenode is 'Its file when last seen: another one is a rebuilt index.';
comment on column maint.index_measurement.size_bytes is 'Its size when last seen.';
comment on column maint.index_measurement.table_writes is
  'Rows of its table inserted, deleted, and updated otherwise than heap-only, since first seen; over resets of the server''s counters.';
comment on column maint.index_measurement.writes_counter is 'The server''s own count of these when last seen.';
comment on column maint.index_measurement.seen_at is 'The run that wrote this row last: nothing has changed since.';
comment on column maint.index_measurement.rebuilt_at is 'The run that first saw it in its present file; null where that is the file it was first seen in.';
comment on column maint.index_measurement.rebuilt_size_bytes is 'Its size right after that rebuild.';
comment on column maint.index_measurement.measured_at is 'When it was measured last; null where it never was.';
comment on column maint.index_measurement.measured_relfilenode is 'The file that was measured.';
comment on column maint.index_measurement.measured_size_bytes is 'Its size when measured.';
comment on column maint.index_measurement.measured_writes is 'table_writes when measured.';
comment on column maint.index_measurement.method is
  'How it was measured: sampled_pages, all_pages, pgstatindex, pgstathashindex, statistics, no_bloat (BRIN), or empty.';
comment on column maint.index_measurement.leaf_density is 'Percent of the room on leaf pages that entries fill, as pgstatindex has it; null where the method does not tell.';
comment on column maint.index_measurement.bloat_percent is '100 x (1 - size after a REINDEX / size now).';
comment on column maint.index_measurement.bloat_low is 'With bloat_high the interval that holds the true bloat_percent in 19 of 20 cases.';
comment on column maint.index_measurement.bloat_high is 'The other end of that interval.';
comment on column maint.index_measurement.error_points is 'Half the width of the interval, in points of percent.';
comment on column maint.index_measurement.wasted_bytes is 'Bytes that a REINDEX would give back.';
comment on column maint.index_measurement.pages_read is 'Index pages that the measurement read.';
comment on column maint.index_measurement.duration_ms is 'Milliseconds that it took.';
comment on column maint.index_measurement.not_measured is 'Why it could not be measured when last tried; null where it was.';
comment on column maint.index_measurement.verdict is 'healthy, bloated, underutilized or unknown.';
comment on column maint.index_measurement.why is 'What the verdict rests on, in a sentence.';

create table maint.index_sample (
  usage_id bigint not null references maint.index_usage on delete cascade,
  sampled_at timestamptz not null,
  size_bytes bigint not null,
  leaf_density numeric,
  bloat_percent numeric,
  bloat_low numeric,
  bloat_high numeric,
  error_points numeric,
  wasted_bytes bigint,
  method text,
  scans bigint not null,
  table_writes bigint not null,
  rebuilt boolean not null,
  primary key (usage_id, sampled_at)
);
create index index_sample_sampled_at_idx on maint.index_sample (sampled_at);
comment on table maint.index_sample is
  'Samples of the last days: one row for each run in which an index or its table had changed since the run before, or was measured. Columns: maint.index_history.';

create table maint.index_sample_day (
  usage_id bigint not null references maint.index_usage on delete cascade,
  day date not null,
  sampled_at timestamptz not null,
  samples int not null,
  size_bytes bigint not null,
  leaf_density numeric,
  bloat_percent numeric,
  bloat_low numeric,
  bloat_high numeric,
  error_points numeric,
  wasted_bytes bigint,
  method text,
  scans bigint not null,
  table_writes bigint not null,
  rebuilt boolean not null,
  primary key (usage_id, day)
);
create index index_sample_day_day_idx on maint.index_sample_day (day);
comment on table maint.index_sample_day is
  'What maint.index_sample rolled up to: one row for each index and day (UTC). Columns: maint.index_history.';

create table maint.reindex_plan (
  plan_id bigint generated always as identity primary key,
  planned_at timestamptz not null,
  schedule text not null,
  queued int not null,
  left_out jsonb not null,
  rebuild_bytes bigint not null,
  saved_bytes bigint not null
);
create index reindex_plan_planned_at_idx on maint.reindex_plan (planned_at);
comment on table maint.reindex_plan is
  'When the automatic REINDEX of step 7 queued rebuilds: the next time is a week or a month after the last row.';
comment on column maint.reindex_plan.schedule is 'weekly or monthly, as it was configured then.';
comment on column maint.reindex_plan.queued is 'Indexes queued.';
comment on column maint.reindex_plan.left_out is 'Reason -> number of bloated indexes that were not queued for it.';
comment on column maint.reindex_plan.rebuild_bytes is 'Bytes to be written: the predicted sizes of the new indexes.';
comment on column maint.reindex_plan.saved_bytes is 'Bytes that were predicted to be given back.';
