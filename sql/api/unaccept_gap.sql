-- Ends the acceptance of a gap. Returns true when there was one that had not expired. Raises 22023 on an unknown gap.
create or replace function maint.unaccept_gap(gap_id bigint)
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
  if not exists (select from maint.gap as g where g.gap_id = unaccept_gap.gap_id) then
    raise exception 'there is no gap %', coalesce(gap_id::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'The numbers are in maint.gaps.gap_id.';
  end if;
  delete from maint.gap_acceptance as a
  using maint.gap as g
  where g.gap_id = unaccept_gap.gap_id and a.gap_key = g.gap_key
  returning a.until into ended;
  return coalesce(ended > pg_catalog.clock_timestamp(), false);
end
$function$;
comment on function maint.unaccept_gap(bigint) is 'Ends the acceptance of a gap; true when there was one.';
