-- The name under which something is bypassed: everything, actions, or a feature without its prefix (the step's name
-- where it has none). Accepts the feature with or without prefix and the step's name. Raises 22023 on others.
create or replace function maint.bypass_feature(feature text)
returns text
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  canonical text;
begin
  if feature in ('everything', 'actions') then
    return feature;
  end if;
  select regexp_replace(coalesce(d.feature, d.name), '^features\.', '') into canonical
  from maint.step_definition as d
  where bypass_feature.feature in (d.feature, regexp_replace(d.feature, '^features\.', ''), d.name)
    and d.step_number <> 0
  order by d.step_number
  limit 1;
  if not found then
    raise exception 'there is no feature %', coalesce(pg_catalog.quote_literal(feature), 'null')
      using errcode = 'invalid_parameter_value',
      hint = (
        select 'Expected everything, actions, ' || pg_catalog.string_agg(f.name, ', ' order by f.name) || '.'
        from (
          select distinct regexp_replace(coalesce(d.feature, d.name), '^features\.', '') as name
          from maint.step_definition as d where d.step_number <> 0) as f);
  end if;
  return canonical;
end
$function$;
comment on function maint.bypass_feature(text) is 'Internal: the canonical name of what is bypassed.';
