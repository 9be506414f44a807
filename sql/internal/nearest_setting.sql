-- The key most like what was asked for. A path without its first parts counts as near as the whole one, so that
-- bloat_threshold finds features.index_health.bloat_threshold.
create or replace function maint.nearest_setting(path text)
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select d.path
  from maint.setting_definition as d
  cross join (
    select lower(nearest_setting.path) as path, cardinality(string_to_array(nearest_setting.path, '.')) as parts
  ) as asked
  cross join lateral (select string_to_array(d.path, '.') as parts) as known
  order by least(
      maint.edit_distance(asked.path, d.path),
      1 + maint.edit_distance(asked.path, array_to_string(
        known.parts[greatest(1, cardinality(known.parts) - asked.parts + 1):], '.'))),
    d.path
  limit 1
$function$;
comment on function maint.nearest_setting(text) is 'Internal: the configuration key most like what was asked for.';
