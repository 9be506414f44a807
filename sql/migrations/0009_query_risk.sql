-- The query-risk model of step 17: plans as they were before statements ran, the models made of them, and how the last
-- training of each kind ended.

create table maint.query_plan (
  text_id int not null references maint.query_text on delete cascade,
  user_oid oid not null,
  planned_at timestamptz not null,
  feature_version int not null,
  features real[],
  cost float8,
  problem text,
  sqlstate text,
  primary key (text_id, user_oid, planned_at),
  check ((features is null) = (problem is not null))
);
create index query_plan_planned_at_idx on maint.query_plan (planned_at);
comment on table maint.query_plan is
  'What the planner said of each statement at the moment when a training job asked it: labels are taken from what was measured after that.';
comment on column maint.query_plan.text_id is 'The statement''s text.';
comment on column maint.query_plan.user_oid is 'The role that ran it, as which it was planned.';
comment on column maint.query_plan.planned_at is 'When it was planned.';
comment on column maint.query_plan.feature_version is 'Which features: featureVersion of src/catalog/query-risk/feature-names.ts.';
comment on column maint.query_plan.features is 'The features in the order of featureNames there; null where it could not be planned.';
comment on column maint.query_plan.cost is 'The planner''s total cost.';
comment on column maint.query_plan.problem is 'Why it could not be planned: not_permitted, not_planned, or what its text is.';
comment on column maint.query_plan.sqlstate is 'What the server had against it, where it was asked.';

create table maint.model (
  model_id bigint generated always as identity primary key,
  kind text not null check (kind in ('query_risk')),
  trained_at timestamptz not null default pg_catalog.clock_timestamp(),
  active boolean not null,
  reason text not null,
  feature_version int not null,
  slow_ms float8 not null,
  trained_from timestamptz not null,
  held_out_from timestamptz not null,
  held_out_to timestamptz not null,
  training_samples int not null,
  held_out_samples int not null,
  metrics jsonb not null,
  importance jsonb not null,
  drift jsonb,
  coverage jsonb not null,
  duration_ms numeric not null,
  content jsonb not null
);
create unique index model_active_key on maint.model (kind) where active;
comment on table maint.model is 'Trained models; at most one of a kind is active. maint.models shows them without their content.';
comment on column maint.model.model_id is 'Number of the model.';
comment on column maint.model.kind is 'query_risk.';
comment on column maint.model.trained_at is 'When it was stored.';
comment on column maint.model.active is 'Whether maint.query_risk uses it.';
comment on column maint.model.reason is 'Why it is active, or is not.';
comment on column maint.model.feature_version is 'Which features it knows.';
comment on column maint.model.slow_ms is 'What counted as slow: longer than these milliseconds.';
comment on column maint.model.trained_from is 'Since when its samples were measured.';
comment on column maint.model.held_out_from is 'What was measured from here on it was judged by, and had not seen.';
comment on column maint.model.held_out_to is 'Until when.';
comment on column maint.model.training_samples is 'Statements times spans it was trained on.';
comment on column maint.model.held_out_samples is 'Statements times spans it was judged by.';
comment on column maint.model.metrics is 'Metrics of src/worker/ml/train-query-risk.ts, on the held-out part, with those of the baselines.';
comment on column maint.model.importance is 'Feature -> its share of the gain, the largest first.';
comment on column maint.model.drift is 'How far the statements of now are from those that the model in use was trained on.';
comment on column maint.model.coverage is 'How many statements it could be trained on, and why not on the others.';
comment on column maint.model.duration_ms is 'Milliseconds that the training took.';
comment on column maint.model.content is 'Trees, calibration and region: QueryRiskModel of src/catalog/query-risk/model.ts.';

create table maint.training (
  kind text primary key check (kind in ('query_risk', 'forecast')),
  status text not null check (status in ('done', 'insufficient_data', 'failed')),
  finished_at timestamptz not null default pg_catalog.clock_timestamp(),
  reason text,
  detail jsonb not null default '{}'
);
comment on table maint.training is 'How the last training job of each kind ended.';
comment on column maint.training.kind is 'query_risk or forecast.';
comment on column maint.training.status is 'done, insufficient_data or failed.';
comment on column maint.training.finished_at is 'When it ended.';
comment on column maint.training.reason is 'What was missing, or what went wrong.';
comment on column maint.training.detail is 'The figures of it.';
