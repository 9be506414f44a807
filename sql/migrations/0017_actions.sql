-- What actions need to know of whom they act on, and locks that no other role can take.

alter table maint.finding add column table_oid bigint;
comment on column maint.finding.table_oid is
  'The table named in table_name when it was last found: another that has taken the name since is not meant. Null where the finding names none.';

alter table maint.action add column session_pid int;
alter table maint.action add column session_started timestamptz;
comment on column maint.action.session_pid is
  'The session that has claimed it: while that is there, nobody else takes it up. Null where none has.';
comment on column maint.action.session_started is 'When that session was opened: another may get its pid. Null where the role may not see it.';
-- Those under way in a worker of the version before, by their advisory locks.
update maint.action as a set session_pid = l.pid, session_started = s.backend_start
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as s on s.pid = l.pid
where a.status = 'running' and l.locktype = 'advisory' and l.granted and l.classid = 1835100526
  and l.objid = 1000 + a.action_id % 2000000000 and l.objsubid = 2
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database());

alter table maint.chore add column session_pid int;
alter table maint.chore add column session_started timestamptz;
comment on column maint.chore.session_pid is 'The session that does it now. Null where none does.';
comment on column maint.chore.session_started is 'When that session was opened.';

-- Locked with FOR UPDATE. An advisory lock any role could take and keep.
create table maint.lock (
  name text primary key
);
comment on table maint.lock is
  'What only one session may do at a time: each locks a row to the end of its transaction.';
comment on column maint.lock.name is
  'run: a run of maintenance. install: an installation, a removal, or the start of a worker. The others: one who writes samples of that name.';
insert into maint.lock (name) values ('identity'), ('install'), ('query_history'), ('run'), ('workload');

create table maint.set_aside (
  table_oid bigint primary key,
  schema_name text not null,
  table_name text not null,
  kind text not null,
  action_id bigint not null,
  reason text not null,
  definition text not null,
  since timestamptz not null default pg_catalog.clock_timestamp(),
  until timestamptz not null
);
comment on table maint.set_aside is
  'Tables whose statement had to be ended by force: no step queues an action on them until their definition changes or the time is over.';
comment on column maint.set_aside.table_oid is 'The table.';
comment on column maint.set_aside.schema_name is 'Its schema then.';
comment on column maint.set_aside.table_name is 'Its name then.';
comment on column maint.set_aside.action_id is 'The action that had to be ended.';
comment on column maint.set_aside.reason is 'What happened, in words.';
comment on column maint.set_aside.since is 'When that was.';
comment on column maint.set_aside.until is 'When steps may queue actions on it again at the latest.';
comment on column maint.set_aside.kind is 'Of the action that had to be ended.';
comment on column maint.set_aside.definition is
  'A hash over the table''s indexes, statistics objects and the functions in them, as they were then.';
