-- Mutes a finding until a time; 'infinity' is permanent. It is still kept up to date and shown, below the others and
-- with muted_until. A mute goes by what is found and where, so it also holds when the finding is resolved and found
-- again. Muting a muted finding replaces reason and time. Returns the mute as jsonb. Raises 22023 on an unknown
-- finding, an empty reason or a time that is past.
create or replace function maint.mute(finding_id bigint, reason text, until timestamptz)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  key constant text := (select f.finding_key from maint.finding as f where f.finding_id = mute.finding_id);
  entry maint.finding_mute;
begin
  perform maint.require_primary();
  if key is null then
    raise exception 'there is no finding %', coalesce(finding_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.findings.finding_id.';
  end if;
  perform maint.require_reason_and_time('a mute', 'maint.mute(12, ''kept for the yearly report'', ''infinity'')', reason, until);
  insert into maint.finding_mute as m (finding_key, reason, until)
  values (key, mute.reason, mute.until)
  on conflict on constraint finding_mute_pkey do update set
    reason = excluded.reason, until = excluded.until, since = excluded.since, muted_by = excluded.muted_by
  returning * into entry;
  return pg_catalog.jsonb_build_object('finding_id', mute.finding_id)
    || (pg_catalog.to_jsonb(entry) - 'finding_key');
end
$function$;
comment on function maint.mute(bigint, text, timestamptz) is
  'Mutes a finding until a time; infinity is permanent. It is still kept up to date.';
