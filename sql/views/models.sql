create or replace view maint.models as
select
  m.model_id,
  m.kind,
  m.active,
  m.reason,
  m.trained_at,
  m.slow_ms,
  m.training_samples,
  m.held_out_samples as samples,
  (m.metrics ->> 'slow')::int as slow_samples,
  round((m.metrics ->> 'accuracy')::numeric, 4) as accuracy,
  round((m.metrics ->> 'auc')::numeric, 4) as auc,
  round((m.metrics #>> '{baselines,cost,auc}')::numeric, 4) as cost_auc,
  round((m.metrics ->> 'precision')::numeric, 4) as precision,
  round((m.metrics ->> 'recall')::numeric, 4) as recall,
  round((m.metrics ->> 'brier')::numeric, 4) as brier,
  round((m.metrics ->> 'calibration_error')::numeric, 4) as calibration_error,
  m.metrics,
  m.importance,
  m.drift,
  m.coverage,
  m.feature_version,
  m.trained_from,
  m.held_out_from,
  m.held_out_to,
  m.duration_ms
from maint.model as m
order by m.model_id desc;
comment on view maint.models is
  'Trained models, the newest first: how good each was on statements measured after everything it was trained on.';
comment on column maint.models.model_id is 'Number of the model.';
comment on column maint.models.kind is 'query_risk.';
comment on column maint.models.active is 'Whether maint.query_risk uses it.';
comment on column maint.models.reason is 'Why it is active, or is not.';
comment on column maint.models.trained_at is 'When it was stored.';
comment on column maint.models.slow_ms is 'What counted as slow: longer than these milliseconds.';
comment on column maint.models.training_samples is 'Statements times spans of time it was trained on.';
comment on column maint.models.samples is 'Those held out, which all figures are of.';
comment on column maint.models.slow_samples is 'How many of those were slow.';
comment on column maint.models.accuracy is 'Share of the held-out samples that it was right about at the risk from which maint.query_risk warns.';
comment on column maint.models.auc is 'Chance that it gives a slow statement the higher risk than a fast one; 0.5 is guessing.';
comment on column maint.models.cost_auc is 'The same for the planner''s cost alone.';
comment on column maint.models.precision is 'Share of those it would warn of that were slow.';
comment on column maint.models.recall is 'Share of the slow ones that it would warn of.';
comment on column maint.models.brier is 'Mean squared difference of risk and what happened: 0 is perfect.';
comment on column maint.models.calibration_error is 'How far its risks are from the shares that were slow, on average over ten groups.';
comment on column maint.models.metrics is 'All figures, with those of the baselines.';
comment on column maint.models.importance is 'Feature -> its share of the gain, the largest first.';
comment on column maint.models.drift is
  'How far the statements of then were from those that the model in use before was trained on; null where there was none.';
comment on column maint.models.coverage is 'How many statements it could be trained on, and why not on the others.';
comment on column maint.models.feature_version is 'Which features it knows.';
comment on column maint.models.trained_from is 'Since when its samples were measured.';
comment on column maint.models.held_out_from is 'What was measured from here on it had not seen.';
comment on column maint.models.held_out_to is 'Until when.';
comment on column maint.models.duration_ms is 'Milliseconds that the training took.';
