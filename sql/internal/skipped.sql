create or replace function maint.skipped(reason text, detail text)
returns jsonb
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select pg_catalog.jsonb_build_object('skipped', pg_catalog.jsonb_build_object(
    'status', 'skipped', 'reason', reason, 'detail', detail, 'timestamp', pg_catalog.clock_timestamp()));
$function$;
comment on function maint.skipped(text, text) is 'Internal: the answer of a guard that ends a run before it begins.';
