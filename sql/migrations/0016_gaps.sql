-- What a run could not examine. A report that does not mention a thing is read as "healthy".

alter table maint.step_log add column coverage jsonb;
comment on column maint.step_log.coverage is
  '{"examined", "of", "unexamined": [{"what", "reason", "detail", "remedy", "standing"}]}; null for steps of older versions.';

create table maint.gap (
  gap_id bigint generated always as identity primary key,
  gap_key text not null,
  run_id bigint not null,
  step_number int not null,
  what text not null,
  reason text not null,
  standing text not null check (standing in ('gap', 'not_yet', 'chosen')),
  detail text,
  remedy text,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  resolved_at timestamptz
);
create unique index gap_open_key on maint.gap (gap_key) where resolved_at is null;
create index gap_resolved_at_idx on maint.gap (resolved_at);
comment on table maint.gap is
  'What the steps could not examine. run_id is the last run that met it; an open one has no resolved_at.';
comment on column maint.gap.gap_id is 'Number of the gap.';
comment on column maint.gap.gap_key is 'Step, what is not examined and why: the same in each run that meets it.';
comment on column maint.gap.run_id is 'The last run that met it.';
comment on column maint.gap.step_number is 'The step that could not examine it.';
comment on column maint.gap.what is 'What is not examined: a class of things, or one.';
comment on column maint.gap.reason is 'Why: the reasons are in src/core/coverage.ts.';
comment on column maint.gap.detail is 'How many, which, or why.';
comment on column maint.gap.remedy is 'What would let it be examined, where there is something.';
comment on column maint.gap.first_seen is 'When a run met it first.';
comment on column maint.gap.last_seen is 'When a run met it last.';
comment on column maint.gap.resolved_at is 'When the step examined it; null while it is open.';
comment on column maint.gap.standing is
  'gap makes a run partial, unless it is accepted; not_yet is known later by itself; chosen was switched off by a person.';

create table maint.gap_acceptance (
  gap_key text primary key,
  reason text not null check (reason <> ''),
  accepted_by name not null default session_user,
  since timestamptz not null default pg_catalog.clock_timestamp(),
  until timestamptz not null
);
comment on table maint.gap_acceptance is
  'Accepted gaps, by key: an acceptance outlives a gap that is closed and met again.';
comment on column maint.gap_acceptance.gap_key is 'Key of the gap.';
comment on column maint.gap_acceptance.reason is 'Why it is accepted.';
comment on column maint.gap_acceptance.accepted_by is 'Who accepted it.';
comment on column maint.gap_acceptance.since is 'When it was accepted last.';
comment on column maint.gap_acceptance.until is 'Until when it is accepted.';
