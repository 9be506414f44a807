-- Sets one setting: maint.configure('features.index_health.bloat_threshold', '30', 'table:app.orders').
-- scope is database, schema:PATTERN, table:SCHEMA.PATTERN or index:SCHEMA.PATTERN; for an object the narrowest that
-- matches wins, within a level the one with more literal characters, then the later one.
-- Returns {"path", "scope", "value", "previous"}; previous is null where the scope had no value of its own.
-- Changes nothing and raises 22023 on an unknown path or scope, a wrong type or choice, 22003 out of range, 22004 on null.
create or replace function maint.configure(path text, value jsonb, scope text default 'database')
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  definition maint.setting_definition;
  canonical_scope constant text := maint.setting_scope(scope) ->> 'scope';
  problem jsonb;
  canonical_value jsonb := value;
  previous jsonb;
begin
  perform maint.require_primary();
  select * into definition from maint.setting_definition as d where d.path = configure.path;
  if not found then
    perform maint.refuse_setting(path);
  end if;
  if canonical_scope <> 'database' and not definition.scoped then
    raise exception '% holds for the whole database and can''t be narrowed to %', path, canonical_scope
      using errcode = 'invalid_parameter_value',
      hint = 'Leave the scope out. These can be narrowed: ' || coalesce((
        select string_agg(d.path, ', ' order by d.path) from maint.setting_definition as d where d.scoped), 'none')
        || '.';
  end if;
  problem := maint.setting_problem(definition, value);
  if problem is not null then
    raise exception using errcode = problem ->> 'sqlstate', message = problem ->> 'message', hint = problem ->> 'hint';
  end if;
  if definition.type = 'integer' then
    canonical_value := to_jsonb(trunc((value #>> '{}')::numeric));
  end if;

  select s.value into previous from maint.setting as s
  where s.path = configure.path and s.scope = canonical_scope
  for update;
  insert into maint.setting as s (path, scope, value)
  values (configure.path, canonical_scope, canonical_value)
  on conflict on constraint setting_pkey do update set
    value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at;
  -- Workers read their settings again at the end of this transaction.
  perform pg_catalog.pg_notify('maint_work', 'settings');
  return pg_catalog.jsonb_build_object(
    'path', path, 'scope', canonical_scope, 'value', canonical_value, 'previous', previous);
end
$function$;
comment on function maint.configure(text, jsonb, text) is
  'Sets a setting for the database or a narrower scope: schema:NAME, table:SCHEMA.NAME, index:SCHEMA.NAME.';
