-- How likely a statement is to be slow, before it is sent. It is planned with the caller's own rights, for any values of
-- its constants, and nothing of it is executed. Returns
--   {"risk": 0 to 1 | null, "decision": "allow" | "warn" | "block", "reasons": [text, …], "expected_ms": number | null,
--    "confidence": 0 to 1, "model_id": number | null}
-- reasons begins with one of within_limits, slow, no_model, not_available, unknown_shape, no_table, recursion, empty,
-- too_long, several_statements, not_plannable, not_understood, too_many_parameters, not_planned; a colon and words
-- may follow. Whatever is not known is allowed, with a confidence of 0: this is advice, not a gate for rights.
-- Raises nothing of its own; a cancel goes through.
-- With the rights and the search_path of the caller, as the statement would have them.
create or replace function maint.query_risk(query text)
returns jsonb
language plpgsql
volatile
as $function$
declare
  reason text;
begin
  if pg_catalog.current_setting('maint.planning', true) = 'on' then
    -- A function that planning calls has asked. One answer must not need another.
    reason := 'recursion';
  elsif pg_catalog.to_regprocedure('maint.judge_query(text)') is null then
    reason := 'not_available: this server has no JavaScript language (engine worker), so no model can be asked';
  else
    return maint.judge_query(coalesce(query, ''));
  end if;
  return pg_catalog.jsonb_build_object('risk', null, 'decision', 'allow',
    'reasons', pg_catalog.jsonb_build_array(reason), 'expected_ms', null, 'confidence', 0, 'model_id', null);
end
$function$;
comment on function maint.query_risk(text) is
  'How likely a statement is to be slow: plans it as the caller and runs nothing of it. select maint.query_risk($$select …$$)';
