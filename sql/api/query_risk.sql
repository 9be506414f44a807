-- How likely a statement is to be slow, before it is sent. It is planned with the caller's own rights, for any values of
-- its constants and for its own, and nothing of it is executed. Returns
--   {"risk": 0 to 1 | null, "decision": "allow" | "warn" | "block", "reasons": [text, ...], "expected_ms": number | null,
--    "confidence": 0 to 1, "model_id": number | null}
-- reasons begins with one of within_limits, slow, no_model, not_available, unknown_shape, no_table, recursion, empty,
-- too_long, several_statements, not_plannable, not_understood, too_many_parameters, not_planned; a colon and words
-- may follow. Whatever is not known is allowed, with a confidence of 0: this is advice, not a gate for rights.
-- Raises nothing of its own; a cancel goes through. What the catalog says of tables may be a second old.
-- On PL/V8 call it once in a session outside of blocks that catch all errors: docs/install/own-server.md.
-- With the rights and the search_path of the caller, as the statement would have them.
-- This body is that of a server without a JavaScript language: where there is one, installing puts src/plv8/query-risk.ts in its place.
create or replace function maint.query_risk(query text)
returns jsonb
language sql
volatile
as $function$
  select pg_catalog.jsonb_build_object('risk', null, 'decision', 'allow',
    'reasons', pg_catalog.jsonb_build_array('not_available: this server has no JavaScript language (engine worker), so no model can be asked'),
    'expected_ms', null, 'confidence', 0, 'model_id', null)
$function$;
comment on function maint.query_risk(text) is
  'How likely a statement is to be slow: plans it as the caller and runs nothing of it. select maint.query_risk($$select ...$$)';
