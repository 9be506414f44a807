-- A concurrent refresh that finds nothing to change reads the view and its base tables; a GRANT does not.

alter table maint.matview_sample add column own_scans bigint not null default 0;
comment on column maint.matview_sample.own_scans is 'How often it was read, as counted by the server: a concurrent refresh reads it.';
comment on column maint.matview_sample.base is
  'oid of each base table -> [rows written as counted by the server, file, whether it was empty, how often it was read], as last seen.';
