-- Free bytes of pages of a GIN, GiST or SP-GiST index, by position in `blocks`; 0 where a page was never written.
-- Raises what maint_privileged.inspected_index and pageinspect_schema raise.
create function maint_privileged.index_free_space(index oid, blocks int8[])
returns int[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
as $function$
declare
  index_name constant text := maint_privileged.inspected_index(index, '{gin,gist,spgist}', blocks);
  schema_name constant text := maint_privileged.pageinspect_schema();
  free int[];
begin
  execute format($query$
    select array_agg(h.upper - h.lower order by b.place)
    from unnest($2::int8[]) with ordinality as b (block, place)
    cross join lateral %1$s.page_header(%1$s.get_raw_page($1::text, b.block::int8)::bytea) as h
    $query$, schema_name)
  into free using index_name, blocks;
  return free;
end
$function$;
comment on function maint_privileged.index_free_space(oid, int8[]) is 'Free bytes of pages of an index, by their position in the list.';
