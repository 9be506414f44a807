create or replace view maint.forecasts as
select
  u.schema_name,
  u.table_name,
  u.index_name,
  f.status,
  f.made_at + f.days * interval '1 day' as crosses_at,
  f.made_at + f.days_low * interval '1 day' as crosses_from,
  f.made_at + f.days_high * interval '1 day' as crosses_to,
  f.reindex_at,
  f.expected_saving_bytes,
  f.bloat_percent,
  f.threshold,
  f.bloat_in_week,
  f.method,
  f.behaviour,
  f.skill,
  f.error_days,
  f.reason,
  f.days,
  f.days_low,
  f.days_high,
  f.size_bytes,
  f.made_at,
  f.usage_id as index_id
from maint.forecast as f
join maint.index_usage as u on u.usage_id = f.usage_id
order by
  array_position(array['forecast', 'bloated', 'no_skill', 'insufficient_history'], f.status),
  f.days nulls last,
  u.schema_name,
  u.index_name,
  f.usage_id;
comment on view maint.forecasts is
  'When each index will pass its bloat threshold, the soonest first; where nothing can be foreseen, why.';
comment on column maint.forecasts.schema_name is 'Its schema, not quoted.';
comment on column maint.forecasts.table_name is 'Its table, not quoted.';
comment on column maint.forecasts.index_name is 'The index, not quoted.';
comment on column maint.forecasts.status is
  'forecast; or why there is none: bloated (past its threshold already), insufficient_history, no_skill.';
comment on column maint.forecasts.crosses_at is 'When it passes the threshold; null: not within 14 days.';
comment on column maint.forecasts.crosses_from is 'With crosses_to the interval that holds that in 8 of 10 cases.';
comment on column maint.forecasts.crosses_to is 'The other end; null: later than 14 days.';
comment on column maint.forecasts.reindex_at is 'When to rebuild it: in the last maintenance window that opens before.';
comment on column maint.forecasts.expected_saving_bytes is 'What a REINDEX gives back then, about.';
comment on column maint.forecasts.bloat_percent is 'Its bloat when the forecast was made.';
comment on column maint.forecasts.threshold is 'The bloat from which it counts as bloated.';
comment on column maint.forecasts.bloat_in_week is 'Its bloat 7 days later, at the most likely.';
comment on column maint.forecasts.method is 'What was best in a backtest for indexes that behave so.';
comment on column maint.forecasts.behaviour is 'How its bloat came about: steady, weekly, bursts, rebuilt, flat.';
comment on column maint.forecasts.skill is
  '1 - median error / that of the better of two naive forecasts, the last value and a straight line.';
comment on column maint.forecasts.error_days is 'Median error of the method in the backtest, in days.';
comment on column maint.forecasts.reason is 'Why there is none, in words.';
comment on column maint.forecasts.days is 'Days from made_at to crosses_at.';
comment on column maint.forecasts.days_low is 'Days from made_at to crosses_from.';
comment on column maint.forecasts.days_high is 'Days from made_at to crosses_to.';
comment on column maint.forecasts.size_bytes is 'Its size then.';
comment on column maint.forecasts.made_at is 'When it was made.';
comment on column maint.forecasts.index_id is 'The index as in maint.index_history.';
