-- The qualified name of an index whose pages may be read: of one of these access methods, not of a temporary table, and with
-- all of the blocks, which are no more than 4000. Raises 22023 otherwise, and 42704 where there is no such index.
create function maint_privileged.inspected_index(index oid, methods name[], blocks int8[])
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- More than a look takes. Too many keep one call, which only the server ends, at work for long.
  most_blocks constant int := 4000;
  index_name text;
  pages int8;
begin
  select format('%I.%I', n.nspname, c.relname),
    pg_relation_size(c.oid) / current_setting('block_size')::int8
  into index_name, pages
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_am as a on a.oid = c.relam
  where c.oid = inspected_index.index and c.relkind = 'i' and c.relpersistence <> 't' and a.amname = any (methods)
    -- An access method of that name may be somebody's own.
    and a.amhandler in ('pg_catalog.bthandler'::regproc, 'pg_catalog.gisthandler'::regproc,
      'pg_catalog.ginhandler'::regproc, 'pg_catalog.spghandler'::regproc);
  if index_name is null or pages is null then
    raise exception 'there is no index % whose pages may be read here', index using errcode = 'undefined_object';
  end if;
  if coalesce(array_ndims(blocks), 1) <> 1 or coalesce(cardinality(blocks), 0) > most_blocks
      or exists (select from unnest(blocks) as b (block) where b.block is null or b.block < 0 or b.block >= pages) then
    raise exception 'no more than % blocks, each of the % that % has', most_blocks, pages, index_name
      using errcode = 'invalid_parameter_value';
  end if;
  return index_name;
end
$function$;
comment on function maint_privileged.inspected_index(oid, name[], int8[]) is
  'The name of an index whose pages may be read; raises where it may not.';
