-- Ends a bypass. Returns true when there was one that had not expired. Raises 22023 on an unknown feature.
create or replace function maint.unbypass(feature text)
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
  delete from maint.feature_bypass as b where b.feature = maint.bypass_feature(unbypass.feature)
  returning b.until into ended;
  return coalesce(ended > pg_catalog.clock_timestamp(), false);
end
$function$;
comment on function maint.unbypass(text) is 'Ends a bypass; true when there was one.';
