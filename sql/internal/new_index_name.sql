-- A name for a new index: TABLE_COLUMNS_idx as the server would choose it, cut to 63 bytes, not taken by a relation
-- of the schema nor by an index that waits to be built.
create or replace function maint.new_index_name(schema_name text, table_name text, columns text[])
returns text
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  wanted constant text := pg_catalog.array_to_string(table_name || columns, '_');
  suffix text := '_idx';
  base text;
  attempt int := 0;
begin
  loop
    base := wanted;
    while octet_length(base || suffix) > 63 loop
      base := pg_catalog.left(base, -1);
    end loop;
    exit when not exists (
        select from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = schema_name and c.relname = base || suffix)
      and not exists (
        select from maint.action as a
        where a.status in ('queued', 'running') and a.kind = 'create_index'
          and a.target ->> 'schema' = schema_name and a.target ->> 'index' = base || suffix);
    attempt := attempt + 1;
    suffix := '_idx' || attempt;
  end loop;
  return base || suffix;
end
$function$;
comment on function maint.new_index_name(text, text, text[]) is 'Internal: a free name for a new index.';
