create or replace view maint.models_brief as
select
  m.model_id,
  to_char(m.trained_at, 'YYYY-MM-DD HH24:MI') as trained_at,
  m.active,
  m.samples,
  m.auc,
  m.cost_auc,
  m.brier,
  maint.wrap_text(m.reason, 34) as reason
from maint.models as m;
comment on view maint.models_brief is
  'maint.models in 120 columns: the same rows in the same order.';
comment on column maint.models_brief.model_id is 'Number of the model.';
comment on column maint.models_brief.trained_at is 'When it was stored.';
comment on column maint.models_brief.active is 'Whether maint.query_risk uses it.';
comment on column maint.models_brief.samples is 'Held-out samples, which the figures are of.';
comment on column maint.models_brief.auc is 'Chance that it gives a slow statement the higher risk than a fast one; 0.5 is guessing.';
comment on column maint.models_brief.cost_auc is 'The same for the planner''s cost alone.';
comment on column maint.models_brief.brier is 'Mean squared difference of risk and what happened: 0 is perfect.';
comment on column maint.models_brief.reason is 'Why it is active, or is not.';
