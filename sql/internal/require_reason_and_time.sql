-- What a bypass, a mute and an accepted gap have in common: they need a reason and an end. Raises 22023.
create or replace function maint.require_reason_and_time(what text, example text, reason text, until timestamptz)
returns void
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  if coalesce(pg_catalog.btrim(reason), '') = '' then
    raise exception '% needs a reason', what using errcode = 'invalid_parameter_value',
      hint = 'Say why, for whoever wonders later: ' || example;
  end if;
  if until is null or until <= pg_catalog.clock_timestamp() then
    raise exception '% needs a time in the future, not %', what, coalesce(until::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'For instance now() + interval ''8 hours''; ''infinity'' makes it permanent.';
  end if;
end
$function$;
comment on function maint.require_reason_and_time(text, text, text, timestamptz) is
  'Internal: refuses a bypass, a mute or an accepted gap without a reason or a time to come.';
