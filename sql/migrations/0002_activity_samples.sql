-- What two runs need to know of each other about locks and builds under way. Both tables have rows only for what the
-- last run saw: they are as small as what goes on at one moment.

create table maint.advisory_lock_sighting (
  pid int not null,
  backend_start timestamptz not null,
  lock_classid oid not null,
  lock_objid oid not null,
  lock_objsubid int not null,
  first_seen timestamptz not null,
  primary key (pid, backend_start, lock_classid, lock_objid, lock_objsubid)
);
comment on table maint.advisory_lock_sighting is
  'Advisory locks that sessions of this database held when step 4 last looked, and since when it has seen them.';
comment on column maint.advisory_lock_sighting.backend_start is
  'Start of the session: a new session with the number of an old one does not inherit its locks'' age.';
comment on column maint.advisory_lock_sighting.lock_objsubid is '1: one bigint key, 2: two int keys, as in pg_locks.';

create table maint.index_build_sample (
  pid int primary key,
  backend_start timestamptz not null,
  query_start timestamptz not null,
  table_oid oid not null,
  command text not null,
  counters jsonb not null,
  unchanged_since timestamptz not null
);
comment on table maint.index_build_sample is
  'Concurrent index builds that were under way in this database when step 13 last looked.';
comment on column maint.index_build_sample.query_start is
  'With backend_start it tells one build from the next one of the same session.';
comment on column maint.index_build_sample.counters is
  'Phase and all counters of pg_stat_progress_create_index: a build goes on when any of them has changed.';
comment on column maint.index_build_sample.unchanged_since is 'The first run that saw exactly these counters.';
