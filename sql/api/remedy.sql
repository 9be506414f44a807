-- The statements that would mend a finding, one a row and in their order, so that psql's \gexec runs them one by one, as
-- CONCURRENTLY needs it. No row where there is none. Errors: 22023 where there is no such finding.
create or replace function maint.remedy(finding_id bigint)
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  found_remedy text;
begin
  select f.remedy into found_remedy from maint.finding as f where f.finding_id = remedy.finding_id;
  if not found then
    raise exception 'there is no finding %', coalesce(remedy.finding_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.findings.finding_id.';
  end if;
  -- A semicolon within quotes ends nothing: it belongs to a name or to a text.
  return query
    select pg_catalog.btrim(m.statement[1], E' \n')
    from pg_catalog.regexp_matches(found_remedy, $$(?:[^;"']|"[^"]*"|'[^']*')+;?$$, 'g') with ordinality as m (statement, place)
    where m.statement[1] ~ '[^\s;]'
    order by m.place;
end
$function$;
comment on function maint.remedy(bigint) is
  'The statements that would mend a finding, one a row: \gexec runs them. No row where there is none.';
