-- Every setting as a run uses it: SettingsSnapshot in src/core/configuration.ts. A stored value that this version does
-- not know or no longer allows is left out, so that an upgrade never makes a run fail; config_effective shows it.
create or replace function maint.settings_snapshot()
returns jsonb
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select jsonb_build_object(
    'database', coalesce((
      select jsonb_object_agg(d.path, coalesce(s.value, d.default_value))
      from maint.setting_definition as d
      left join maint.setting as s
        on s.path = d.path and s.scope = 'database' and maint.setting_problem(d, s.value) is null), '{}'),
    'scoped', coalesce((
      select jsonb_agg(
        jsonb_build_object('path', s.path, 'level', p.parsed -> 'level', 'schema_regex', p.parsed -> 'schema_regex',
          'object_regex', p.parsed -> 'object_regex', 'value', s.value)
        order by (p.parsed ->> 'rank')::int, (p.parsed ->> 'literal_length')::int, s.set_at, s.scope, s.path)
      from maint.setting as s
      join maint.setting_definition as d on d.path = s.path and d.scoped
      cross join lateral (select maint.setting_scope(s.scope) as parsed) as p
      where s.scope <> 'database' and maint.setting_problem(d, s.value) is null), '[]'))
$function$;
comment on function maint.settings_snapshot() is 'Internal: every setting as a run uses it, the narrowest scope last.';
