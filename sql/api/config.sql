-- The value of a setting that holds for the database, or of a group of settings as a tree: maint.config('') is all of
-- them, maint.config('features.index_health') one feature. Raises 22023 on a path that is neither, 22004 on null.
create or replace function maint.config(path text default '')
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  effective jsonb;
begin
  select coalesce(s.value, d.default_value) into effective
  from maint.setting_definition as d
  left join maint.setting as s
    on s.path = d.path and s.scope = 'database' and maint.setting_problem(d, s.value) is null
  where d.path = config.path;
  if found then
    return effective;
  end if;
  effective := maint.settings_snapshot() -> 'database';
  if path is null or path <> '' and not exists (
      select from maint.setting_definition as d where starts_with(d.path, config.path || '.')) then
    perform maint.refuse_setting(path);
  end if;
  return maint.setting_tree(effective, case when path = '' then '' else path || '.' end);
end
$function$;
comment on function maint.config(text) is
  'The value of a setting that holds for the database, or a group of them as a tree: maint.config('''') is all.';
