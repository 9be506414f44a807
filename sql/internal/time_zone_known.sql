-- Whether the server knows a time zone by this name, upper or lower case. Reading pg_timezone_names opens a file for each
-- of its 600 zones, a tenth of a second: only what AT TIME ZONE would take for something else is looked up there.
create or replace function maint.time_zone_known(zone text)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  if zone = 'UTC' then
    return true;
  end if;
  begin
    perform timezone(zone, now());
  exception when invalid_parameter_value then
    return false;
  end;
  -- An abbreviation has no slash, and an offset in the manner of POSIX has a digit.
  if zone ~ '^[[:alpha:]_-]+(/[[:alpha:]_-]+)+$' then
    return true;
  end if;
  return exists (select from pg_timezone_names as n where lower(n.name) = lower(zone));
end
$function$;
comment on function maint.time_zone_known(text) is 'Internal: whether the server knows a time zone by this name.';
