-- Accepts that something is not examined, until a time; 'infinity' is permanent. It is still shown as not examined, but
-- no longer makes each run partial, from the next run on. An acceptance goes by what is not examined and for which reason,
-- so that it also holds when the gap is closed and met again; another reason is another gap. To accept an accepted gap
-- replaces reason and time. Returns the acceptance as jsonb. Raises 22023 on an unknown gap, on one that makes no run
-- partial, on an empty reason or a time that is past.
create or replace function maint.accept_gap(gap_id bigint, reason text, until timestamptz)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  gap maint.gap;
  entry maint.gap_acceptance;
begin
  perform maint.require_primary();
  select * into gap from maint.gap as g where g.gap_id = accept_gap.gap_id;
  if not found then
    raise exception 'there is no gap %', coalesce(gap_id::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'The numbers are in maint.gaps.gap_id.';
  end if;
  if gap.standing <> 'gap' then
    raise exception 'gap % makes no run partial (reason %): there is nothing to accept', gap_id, gap.reason
      using errcode = 'invalid_parameter_value', hint = 'Accept those whose state in maint.gaps is open.';
  end if;
  perform maint.require_reason_and_time('an accepted gap', 'maint.accept_gap(12, ''amcheck is run by the backup host'', ''infinity'')',
    reason, until);
  insert into maint.gap_acceptance as a (gap_key, reason, until)
  values (gap.gap_key, accept_gap.reason, accept_gap.until)
  on conflict on constraint gap_acceptance_pkey do update set
    reason = excluded.reason, until = excluded.until, since = excluded.since, accepted_by = excluded.accepted_by
  returning * into entry;
  return pg_catalog.jsonb_build_object('gap_id', accept_gap.gap_id)
    || (pg_catalog.to_jsonb(entry) - 'gap_key');
end
$function$;
comment on function maint.accept_gap(bigint, text, timestamptz) is
  'Accepts that something is not examined, until a time; infinity is permanent. It is still shown.';
