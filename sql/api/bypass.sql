-- Bypasses one feature, all actions ('actions') or everything ('everything') until a time; 'infinity' is permanent.
-- Returns the bypass as jsonb. Raises 22023 on an unknown feature, an empty reason or a time that is past.
create or replace function maint.bypass(feature text, reason text, until timestamptz)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  canonical constant text := maint.bypass_feature(feature);
  entry maint.feature_bypass;
begin
  perform maint.require_primary();
  perform maint.require_reason_and_time('a bypass', 'maint.bypass(''index_health'', ''migration tonight'', now() + ''8 h'')', reason, until);
  insert into maint.feature_bypass as b (feature, reason, until)
  values (canonical, bypass.reason, bypass.until)
  on conflict on constraint feature_bypass_pkey do update set
    reason = excluded.reason, until = excluded.until, since = excluded.since, bypassed_by = excluded.bypassed_by
  returning * into entry;
  return pg_catalog.to_jsonb(entry);
end
$function$;
comment on function maint.bypass(text, text, timestamptz) is
  'Bypasses a feature, actions or everything until a time; infinity is permanent by explicit choice.';
