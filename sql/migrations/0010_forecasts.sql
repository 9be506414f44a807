-- The forecasts of step 16.

create table maint.forecast (
  usage_id bigint primary key references maint.index_usage on delete cascade,
  made_at timestamptz not null,
  status text not null check (status in ('forecast', 'bloated', 'insufficient_history', 'no_skill')),
  reason text,
  behaviour text,
  method text,
  bloat_percent float8,
  threshold float8 not null,
  days float8,
  days_low float8,
  days_high float8,
  bloat_in_week float8,
  skill float8,
  error_days float8,
  size_bytes bigint,
  expected_saving_bytes bigint,
  reindex_at timestamptz,
  check ((status = 'forecast') = (method is not null))
);
comment on table maint.forecast is 'The last forecast of each index, made by a worker; maint.forecasts shows it with its index.';
comment on column maint.forecast.usage_id is 'The index, as maint.index_usage knows it.';
comment on column maint.forecast.made_at is 'When it was made.';
comment on column maint.forecast.status is
  'forecast; or why there is none: bloated (past its threshold already), insufficient_history, no_skill.';
comment on column maint.forecast.reason is 'That in words.';
comment on column maint.forecast.behaviour is 'How its bloat came about until then: steady, weekly, bursts, rebuilt, flat.';
comment on column maint.forecast.method is 'What was best for indexes that behave so, in a backtest.';
comment on column maint.forecast.bloat_percent is 'Its bloat then.';
comment on column maint.forecast.threshold is 'features.index_health.bloat_threshold as it held for it.';
comment on column maint.forecast.days is 'Days from made_at until it passes the threshold; null: not within 14 days.';
comment on column maint.forecast.days_low is 'With days_high the interval that holds that in 8 of 10 cases.';
comment on column maint.forecast.days_high is 'The other end; null: later than 14 days.';
comment on column maint.forecast.bloat_in_week is 'Its bloat 7 days after made_at, at the most likely.';
comment on column maint.forecast.skill is
  '1 - median error / that of the better of two naive forecasts, the last value and a straight line.';
comment on column maint.forecast.error_days is 'Median error of the method in the backtest, in days.';
comment on column maint.forecast.size_bytes is 'Its size then.';
comment on column maint.forecast.expected_saving_bytes is 'What a REINDEX gives back when it passes the threshold, about.';
comment on column maint.forecast.reindex_at is
  'When to rebuild it: the last maintenance window that opens before it passes the threshold, or then where there is no window.';
