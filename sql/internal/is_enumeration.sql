-- Whether a type is an enumeration or an array of one: its input, output and comparison are the server's own.
create or replace function maint.is_enumeration(type_oid oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select exists (
    select from pg_type as t
    left join pg_type as e on e.oid = t.typelem and t.typsubscript = 'array_subscript_handler'::regproc
    where t.oid = type_oid and (t.typtype = 'e' or e.typtype = 'e'))
$function$;
comment on function maint.is_enumeration(oid) is 'Internal: whether a type is an enumeration or an array of one.';
