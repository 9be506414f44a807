-- What workers do by themselves, and runs that they do for servers without a JavaScript language.

create table maint.chore (
  name text primary key,
  begun_at timestamptz not null default pg_catalog.clock_timestamp(),
  finished_at timestamptz,
  error text
);
comment on table maint.chore is
  'What one worker does for all of them again and again: when it was begun last, and how it ended.';
comment on column maint.chore.begun_at is
  'It is due again its interval after this time; after a failure it is set back, so that it is tried again sooner.';
comment on column maint.chore.error is 'Why it failed last time; null where it did not.';

alter table maint.run_log drop constraint run_log_status_check;
alter table maint.run_log add constraint run_log_status_check
  check (status in ('queued', 'running', 'success', 'partial', 'failed', 'skipped'));
alter table maint.run_log add column answer jsonb;
comment on table maint.run_log is
  'Maintenance runs. Neither a dry run nor a skipped one leaves a row, but where it was queued for a worker (engine worker).';
comment on column maint.run_log.answer is
  'What a queued run answered where that stands nowhere else: a dry run, or one that was skipped.';
