-- Takes configured values back, so that the default or the wider scope holds again. path is a setting, a group of
-- settings, '' for all, or a stored key that this version no longer knows; scope is as in maint.configure, or 'all'.
-- Returns what it took back: [{"path", "scope", "was", "default"}], empty where nothing was set.
-- Raises 22023 on an unknown path or scope, 22004 on null.
create or replace function maint.reset(path text, scope text default 'database')
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  -- null: every scope.
  canonical_scope constant text := case when scope = 'all' then null else maint.setting_scope(scope) ->> 'scope' end;
  taken_back jsonb;
begin
  perform maint.require_primary();
  if path is null or path <> '' and not exists (
      select from (
        select d.path from maint.setting_definition as d union all select s.path from maint.setting as s) as known
      where known.path = reset.path or starts_with(known.path, reset.path || '.')) then
    perform maint.refuse_setting(path);
  end if;
  with gone as (
    delete from maint.setting as s
    where (s.path = reset.path or reset.path = '' or starts_with(s.path, reset.path || '.'))
      and s.scope = coalesce(canonical_scope, s.scope)
    returning s.path, s.scope, s.value
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'path', g.path, 'scope', g.scope, 'was', g.value, 'default', d.default_value) order by g.path, g.scope), '[]')
  into taken_back
  from gone as g
  left join maint.setting_definition as d on d.path = g.path;
  -- Workers read their settings again at the end of this transaction.
  perform pg_catalog.pg_notify('maint_work', 'settings');
  return taken_back;
end
$function$;
comment on function maint.reset(text, text) is
  'Takes back the configured value of a setting, of a group, or of all (''''); returns what it took back.';
