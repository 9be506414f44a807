-- Ends the mute of a finding. Returns true when there was one that had not expired. Raises 22023 on an unknown finding.
create or replace function maint.unmute(finding_id bigint)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  ended timestamptz;
begin
  perform maint.require_primary();
  if not exists (select from maint.finding as f where f.finding_id = unmute.finding_id) then
    raise exception 'there is no finding %', coalesce(finding_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.findings.finding_id.';
  end if;
  delete from maint.finding_mute as m
  using maint.finding as f
  where f.finding_id = unmute.finding_id and m.finding_key = f.finding_key
  returning m.until into ended;
  return coalesce(ended > pg_catalog.clock_timestamp(), false);
end
$function$;
comment on function maint.unmute(bigint) is 'Ends the mute of a finding; true when there was one.';
