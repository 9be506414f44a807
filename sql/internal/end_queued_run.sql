-- Writes how a queued run ended where the run itself can't: it was skipped, was a dry one, whose rows are gone, or failed as
-- a whole. answer is what maint.result gives from then on, or null where error says all.
create or replace function maint.end_queued_run(run_id bigint, status text, answer jsonb, error jsonb)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  update maint.run_log as r set status = end_queued_run.status, answer = end_queued_run.answer,
    error = pg_catalog.jsonb_strip_nulls(end_queued_run.error), finished_at = pg_catalog.clock_timestamp()
  where r.run_id = end_queued_run.run_id;
  return 'null';
end
$function$;
comment on function maint.end_queued_run(bigint, text, jsonb, jsonb) is
  'Internal: writes how a queued run ended that was skipped, was a dry one or failed as a whole.';
