-- Tables of pg-maint. Forward only: a later change is a new file with the next number.

create table maint.installation (
  only_row boolean primary key default true check (only_row),
  version text not null,
  engine text not null check (engine in ('plv8', 'maint_v8', 'worker')),
  bundle_sha256 text not null,
  installed_at timestamptz not null default pg_catalog.now(),
  installed_by name not null default session_user
);
comment on table maint.installation is 'What is installed: one row.';

create table maint.step_definition (
  step_number int primary key,
  name text not null unique,
  title text not null,
  feature text,
  enabled_path text,
  action_counts jsonb not null default '{}',
  unexamined jsonb not null default '{}'
);
comment on table maint.step_definition is 'The steps this version has, written by install from src/steps; never by hand.';
comment on column maint.step_definition.action_counts is
  'Result key below cleanup -> action kind whose successes it counts.';
comment on column maint.step_definition.unexamined is 'What the step puts into the result when it did not run.';

create table maint.setting_definition (
  path text primary key,
  step_number int,
  type text not null check (type in ('boolean', 'integer', 'number', 'text', 'list')),
  unit text,
  default_value jsonb not null,
  minimum numeric,
  maximum numeric,
  choices jsonb,
  scoped boolean not null,
  doc text not null
);
comment on table maint.setting_definition is
  'The configuration keys this version knows, written by install from src/steps; never by hand.';

create table maint.setting (
  path text not null,
  scope text not null default 'database',
  value jsonb not null,
  set_by name not null default session_user,
  set_at timestamptz not null default pg_catalog.clock_timestamp(),
  primary key (path, scope)
);
comment on table maint.setting is 'Configured values; what is not here has the default of maint.setting_definition.';

create table maint.feature_bypass (
  feature text primary key,
  reason text not null check (reason <> ''),
  bypassed_by name not null default session_user,
  since timestamptz not null default pg_catalog.clock_timestamp(),
  until timestamptz not null
);
comment on table maint.feature_bypass is
  'What must not run now, and why. until = infinity is a permanent bypass by explicit choice.';

create table maint.run_log (
  run_id bigint generated always as identity primary key,
  status text not null check (status in ('running', 'success', 'partial', 'failed')),
  started_at timestamptz not null,
  finished_at timestamptz,
  forced boolean not null,
  dry_run boolean not null,
  only_steps int[],
  requested_by name not null default session_user,
  engine text not null,
  version text not null,
  error jsonb
);
create index run_log_started_at_idx on maint.run_log (started_at);
comment on table maint.run_log is 'Maintenance runs. A dry run leaves no row; neither does a skipped one.';

create table maint.step_log (
  run_id bigint not null references maint.run_log on delete cascade,
  step_number int not null,
  name text not null,
  status text not null check (status in ('success', 'partial', 'failed', 'timed_out', 'skipped')),
  reason text,
  started_at timestamptz not null,
  duration_ms numeric not null,
  error jsonb,
  result jsonb not null,
  primary key (run_id, step_number)
);
create index step_log_last_success_idx on maint.step_log (step_number, started_at)
  where status in ('success', 'partial');
comment on table maint.step_log is 'One row for each step of each run, also for those that did not run, with the reason.';

create table maint.finding (
  finding_id bigint generated always as identity primary key,
  finding_key text not null,
  run_id bigint not null,
  step_number int not null,
  kind text not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  schema_name text,
  table_name text,
  object_name text,
  summary text not null,
  detail jsonb not null,
  remedy text,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  resolved_at timestamptz
);
create unique index finding_open_key on maint.finding (finding_key) where resolved_at is null;
create index finding_open_kind_idx on maint.finding (kind) where resolved_at is null;
create index finding_resolved_at_idx on maint.finding (resolved_at);
comment on table maint.finding is 'Findings. run_id is the last run that saw it; an open one has no resolved_at.';

create table maint.finding_mute (
  finding_key text primary key,
  reason text not null check (reason <> ''),
  muted_by name not null default session_user,
  since timestamptz not null default pg_catalog.clock_timestamp(),
  until timestamptz not null
);
comment on table maint.finding_mute is 'Muted findings, by key: a mute outlives a resolved and found-again finding.';

create table maint.alert (
  alert_id bigint generated always as identity primary key,
  run_id bigint not null references maint.run_log on delete cascade,
  step_number int not null,
  severity text not null check (severity in ('info', 'warning', 'critical')),
  message text not null,
  detail jsonb not null default '{}',
  created_at timestamptz not null
);
create index alert_run_id_idx on maint.alert (run_id);
comment on table maint.alert is 'What a run wants someone to know.';

create table maint.action (
  action_id bigint generated always as identity primary key,
  action_key text not null,
  run_id bigint not null,
  requested_run_id bigint not null,
  step_number int not null,
  finding_id bigint references maint.finding on delete set null,
  kind text not null,
  status text not null default 'queued'
    check (status in ('queued', 'running', 'succeeded', 'failed', 'skipped', 'expired')),
  target jsonb not null,
  reason text not null,
  evidence jsonb not null default '{}',
  statement text,
  inverse jsonb,
  size_before bigint,
  size_after bigint,
  attempts int not null default 0,
  queued_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  outcome text,
  error jsonb
);
create unique index action_open_key on maint.action (action_key) where status in ('queued', 'running');
create index action_requested_run_id_idx on maint.action (requested_run_id);
create index action_finding_id_idx on maint.action (finding_id);
comment on table maint.action is 'What pg-maint wants to do, does or did. Steps queue, the worker acts.';
comment on column maint.action.run_id is 'The run that queued it.';
comment on column maint.action.requested_run_id is 'The last run that still wanted it: its result counts the action.';

create table maint.index_check (
  index_oid oid primary key,
  schema_name text not null,
  table_name text not null,
  index_name text not null,
  relfilenode oid not null,
  pages bigint not null,
  outcome text not null check (outcome in ('sound', 'corrupt', 'not_examined')),
  reason text,
  duration_ms numeric not null,
  checked_at timestamptz not null
);
comment on table maint.index_check is 'When step 1 last checked the structure of each B-tree, and what came out.';
