-- How often each index is scanned over time, for step 6. The server's own counters are lost by a reset, a crash and a
-- rebuild that gives the index another OID; what is kept here is not.

create table maint.index_usage (
  usage_id bigint generated always as identity primary key,
  index_oid oid not null unique,
  table_oid oid not null,
  schema_name text not null,
  table_name text not null,
  index_name text not null,
  key_columns text not null,
  definition text not null,
  first_seen timestamptz not null,
  known_since timestamptz not null,
  counter bigint not null,
  witness bigint not null,
  scans bigint not null
);
create index index_usage_name_idx on maint.index_usage (table_oid, index_name);
comment on table maint.index_usage is
  'One row for each index, written when its counter has moved: what is known of its use. A partitioned index has the sum of its tree.';
comment on column maint.index_usage.key_columns is
  'pg_index.indkey: with schema, table and name it tells an index that was rebuilt under another OID.';
comment on column maint.index_usage.definition is
  'Hash of all that makes the index what it is. Another hash is another index, whose window begins anew.';
comment on column maint.index_usage.known_since is
  'Since when scans are counted without a gap. A reset of the statistics makes a gap: what happened between the sample before it and the reset is lost.';
comment on column maint.index_usage.counter is 'The server''s number of scans when this row was written.';
comment on column maint.index_usage.witness is
  'The server''s number of blocks fetched when this row was written. REINDEX CONCURRENTLY hands it on to the new index, DROP and CREATE do not.';
comment on column maint.index_usage.scans is
  'All scans we know of, over resets and rebuilds, with those that were counted before first_seen.';

create table maint.index_usage_day (
  usage_id bigint not null references maint.index_usage on delete cascade,
  day date not null,
  scans_before bigint not null,
  primary key (usage_id, day)
);
comment on table maint.index_usage_day is
  'Days (UTC) on which an index was seen to be scanned. Scans since a day are index_usage.scans less the scans_before of the first row from that day on, and none where there is no such row.';

create table maint.index_usage_sample (
  day date primary key,
  samples int not null,
  sampled_at timestamptz not null,
  statistics text not null
);
comment on table maint.index_usage_sample is 'Days (UTC) on which samples were taken, the last of them and how many.';
comment on column maint.index_usage_sample.statistics is
  'Names the life of the server''s statistics: another text means that counters may have been lost since the sample before.';
