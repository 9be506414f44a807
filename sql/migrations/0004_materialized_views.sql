-- What step 14 remembers of materialized views between runs.

create table maint.matview_sample (
  matview_oid oid primary key,
  filenode oid not null,
  row_version text not null,
  row_digest text not null,
  own_writes bigint not null,
  base jsonb not null,
  changes bigint not null,
  refreshed_before timestamptz not null,
  sampled_at timestamptz not null
);
comment on table maint.matview_sample is
  'One row for each materialized view: how it was last seen, and the changes of its base tables since its last refresh.';
comment on column maint.matview_sample.filenode is 'Its file: a refresh that is not concurrent gives it a new one.';
comment on column maint.matview_sample.row_version is
  'xmin of its pg_class row: every refresh writes that row, and so do ALTER and GRANT.';
comment on column maint.matview_sample.row_digest is
  'Of what ALTER and GRANT change in that row: tells a refresh that found nothing to change from those.';
comment on column maint.matview_sample.own_writes is
  'Rows written to it as counted by the server: only a refresh writes them.';
comment on column maint.matview_sample.base is
  'oid of each base table -> [rows written as counted by the server, file, whether it was empty], as last seen.';
comment on column maint.matview_sample.changes is
  'Rows written to the base tables since refreshed_before; those written between the refresh and that moment are not in it.';
comment on column maint.matview_sample.refreshed_before is
  'When it was first seen in its present state: the last refresh was at or before this.';
