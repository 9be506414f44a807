-- Raises the error of a path that is no setting: null, a group of settings, or unknown.
create or replace function maint.refuse_setting(path text)
returns void
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  inside constant text := (
    select string_agg(d.path, ', ' order by d.path) from maint.setting_definition as d
    where refuse_setting.path = '' or starts_with(d.path, refuse_setting.path || '.'));
begin
  if path is null then
    raise exception 'the path of a setting can''t be null' using errcode = 'null_value_not_allowed',
      hint = 'select * from maint.config_effective lists all settings.';
  elsif inside is not null then
    raise exception '% is no setting but a group of settings', pg_catalog.quote_literal(path)
      using errcode = 'invalid_parameter_value', hint = 'In it are: ' || inside || '.';
  end if;
  raise exception 'there is no setting %', pg_catalog.quote_literal(left(path, 200))
    using errcode = 'invalid_parameter_value',
    hint = pg_catalog.format('The nearest is %s; select * from maint.config_effective lists all.',
      maint.nearest_setting(path));
end
$function$;
comment on function maint.refuse_setting(text) is 'Internal: raises the error of a path that is no setting.';
