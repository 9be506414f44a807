-- The model that maint.query_risk uses, and its limits:
-- {"model_id": number | null, "slow_ms", "warn_risk", "block_risk", "least_confidence", "content": the model | absent}.
-- content is left out where its number is the one that the caller has already. Trees and numbers only: no text of a
-- statement is in it. In PL/pgSQL, which keeps its plan for the session.
create or replace function maint.query_risk_model(known bigint)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  return (
  select jsonb_build_object('model_id', m.model_id, 'slow_ms', m.slow_ms,
      'warn_risk', l.limits -> 'features.ml_interception.warn_risk',
      'block_risk', l.limits -> 'features.ml_interception.block_risk',
      'least_confidence', l.limits -> 'features.ml_interception.least_confidence')
    || case when m.model_id is distinct from known and m.model_id is not null
      then jsonb_build_object('content', (select c.content from maint.model as c where c.model_id = m.model_id))
      else '{}' end
  from (
    select jsonb_object_agg(d.path, coalesce(s.value, d.default_value)) as limits
    from maint.setting_definition as d
    left join maint.setting as s
      on s.path = d.path and s.scope = 'database' and maint.setting_problem(d, s.value) is null
    where d.path in ('features.ml_interception.warn_risk', 'features.ml_interception.block_risk',
      'features.ml_interception.least_confidence')
  ) as l
  left join maint.model as m on m.kind = 'query_risk' and m.active);
end
$function$;
comment on function maint.query_risk_model(bigint) is
  'The model in use and its limits, without the text of any statement: called by maint.query_risk.';
