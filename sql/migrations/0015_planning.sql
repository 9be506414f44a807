-- Plans that a worker makes as the role that ran a statement: those that step 8 asks for, and what no worker tries again.

create table maint.plan_request (
  text_id int not null references maint.query_text on delete cascade,
  user_oid oid not null,
  hypothetical jsonb not null default '{}' check (pg_catalog.pg_column_size(hypothetical) <= 2000),
  requested_at timestamptz not null,
  planned_at timestamptz,
  plan jsonb,
  problem text,
  primary key (text_id, user_oid, hypothetical),
  check (planned_at is null or (plan is null) <> (problem is null))
);
comment on table maint.plan_request is
  'Plans that step 8 asks a worker for, and what the worker answered. At most some hundred rows: those that no run has asked for within a day are deleted.';
comment on column maint.plan_request.text_id is 'The statement''s text.';
comment on column maint.plan_request.user_oid is 'The role that ran it, as which it is planned.';
comment on column maint.plan_request.hypothetical is 'An index to try that does not exist: {"schema", "table", "columns"}; {} for the plan as it is.';
comment on column maint.plan_request.requested_at is 'When a run asked for it last.';
comment on column maint.plan_request.planned_at is 'When a worker planned it last; null while none has.';
comment on column maint.plan_request.plan is
  '{"cost", "sequential": [{"schema", "table"}], "indexes": [name], "index": name of the hypothetical one | null}.';
comment on column maint.plan_request.problem is 'Why there is no plan.';

create table maint.plan_set_aside (
  text_id int not null references maint.query_text on delete cascade,
  user_oid oid not null,
  until timestamptz not null,
  reason text not null,
  primary key (text_id, user_oid)
);
comment on table maint.plan_set_aside is
  'Statements whose planning had to be ended by force. No worker plans them before the time is over.';
comment on column maint.plan_set_aside.text_id is 'The statement''s text.';
comment on column maint.plan_set_aside.user_oid is 'The role that ran it.';
comment on column maint.plan_set_aside.until is 'When it may be planned again.';
comment on column maint.plan_set_aside.reason is 'What happened.';

alter table maint.query_plan add column reason text;
comment on column maint.query_plan.reason is 'The problem in words, with the grant that would help where one would.';

-- A run plans nothing any more.
drop function if exists maint.plan_statement(text, text[], text);
drop function if exists maint.unsafe_to_plan(jsonb, oid[]);
