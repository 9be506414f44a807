-- What the worker keeps: who works, what was under way, and what the safeguards said.

alter table maint.installation add column made_queues boolean not null default false;
comment on column maint.installation.made_queues is
  'Whether install made the schema pgboss: only then does uninstall drop it.';

alter table maint.action
  add column worker_id text,
  add column intent jsonb,
  add column not_before timestamptz;
comment on column maint.action.worker_id is 'The worker that began it last.';
comment on column maint.action.intent is
  'What the worker needs to tell after a crash whether it was done, and to remove its leftovers.';
comment on column maint.action.not_before is 'A safeguard or a lock kept it from being done before that time.';
create index action_unfinished_idx on maint.action (status) where status in ('queued', 'running');

create table maint.worker (
  worker_id text primary key,
  started_at timestamptz not null default pg_catalog.clock_timestamp(),
  last_seen timestamptz not null default pg_catalog.clock_timestamp(),
  host text not null,
  pid int not null,
  version text not null
);
comment on table maint.worker is 'Workers that have reported within the last day; one is alive while last_seen is younger than 90 s.';

create table maint.safeguard_event (
  event_id bigint generated always as identity primary key,
  at timestamptz not null default pg_catalog.clock_timestamp(),
  -- No foreign key: an event outlives its action, so that rates over a day are true.
  action_id bigint,
  kind text not null,
  event text not null check (event in ('attempt', 'success', 'failure', 'refused', 'lock_timeout')),
  safeguard text,
  reason text,
  detail jsonb
);
create index safeguard_event_at_idx on maint.safeguard_event (at);
comment on table maint.safeguard_event is
  'Each attempt, success, failure and lock timeout of an action, and each refusal by a safeguard, with its reason.';
comment on column maint.safeguard_event.safeguard is 'Which one refused; null where none did.';
