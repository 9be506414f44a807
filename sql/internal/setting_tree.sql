-- {"a.b": 1, "a.c.d": 2} below the prefix 'a.' as {"b": 1, "c": {"d": 2}}.
create or replace function maint.setting_tree(flat jsonb, prefix text)
returns jsonb
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select coalesce(jsonb_object_agg(part.name,
    coalesce(flat -> (prefix || part.name), maint.setting_tree(flat, prefix || part.name || '.'))), '{}')
  from (
    select distinct split_part(substr(k.path, length(prefix) + 1), '.', 1) as name
    from jsonb_object_keys(flat) as k (path)
    where starts_with(k.path, prefix)
  ) as part
$function$;
comment on function maint.setting_tree(jsonb, text) is 'Internal: settings by path as a tree.';
