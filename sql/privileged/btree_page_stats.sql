-- How full pages of a B-tree are: by position in `blocks`, the flags of the page (65536 more on the rightmost one of its
-- level; 4, deleted, where it was never written), its free bytes, entries marked dead and mean bytes of an entry; and whether
-- equal keys always have equal images. No keys. Raises what maint_privileged.inspected_index and pageinspect_schema raise.
create function maint_privileged.btree_page_stats(index oid, blocks int8[], out equal_images boolean, out flags int[],
  out free_size int[], out dead_items int[], out avg_item_size int[])
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
as $function$
declare
  index_name constant text := maint_privileged.inspected_index(index, '{btree}', blocks);
  schema_name constant text := maint_privileged.pageinspect_schema();
begin
  execute format($query$
    select (select m.allequalimage from %1$s.bt_metap($1::text) as m), array_agg(p.flags), array_agg(p.free_size),
      array_agg(p.dead_items), array_agg(p.avg_item_size)
    from (
      select case when s.page_size = 0 then 4 else s.btpo_flags end + case when s.btpo_next = 0 then 65536 else 0 end
          as flags, s.free_size, s.dead_items, s.avg_item_size
      from unnest($2::int8[]) with ordinality as b (block, place)
      cross join lateral %1$s.bt_page_stats($1::text, b.block::int8) as s
      order by b.place) as p
    $query$, schema_name)
  into equal_images, flags, free_size, dead_items, avg_item_size using index_name, blocks;
end
$function$;
comment on function maint_privileged.btree_page_stats(oid, int8[]) is
  'How full pages of a B-tree are, by their position in the list. No keys.';
