create or replace view maint.query_risk_model as
select
  m.model_id,
  m.slow_ms,
  (
    select json_object_agg(s.path, s.value)
    from maint.setting as s
    where s.path in ('features.ml_interception.warn_risk', 'features.ml_interception.block_risk',
        'features.ml_interception.least_confidence') and s.scope = 'database'
  ) as limits,
  m.content
from maint.model as m
where m.kind = 'query_risk' and m.active;
comment on view maint.query_risk_model is
  'The model that maint.query_risk asks, where there is one, and those of its limits that were configured. Trees and numbers only, no text of a statement. A view, as a function with the rights of its owner takes three times as long.';
comment on column maint.query_risk_model.model_id is 'Number of the model in use.';
comment on column maint.query_risk_model.slow_ms is 'What counted as slow when it was trained: longer than these milliseconds.';
comment on column maint.query_risk_model.limits is 'Path -> value of those of warn_risk, block_risk and least_confidence that were configured; null where none was.';
comment on column maint.query_risk_model.content is 'Trees, fitted cost, calibration and region: QueryRiskModel of src/catalog/query-risk/model.ts.';
