-- What lies on leaf pages of a B-tree, in the order of `blocks`, pages of other kinds left out. Of each entry, in the order of the
-- page, its bytes, the bytes that it would have with a single row, and how many rows it has; the first one of a page that is
-- not the rightmost is its high key. same_key: its key is that of the entry before. No keys.
-- Raises what maint_privileged.inspected_index and pageinspect_schema raise.
create function maint_privileged.btree_leaves(index oid, blocks int8[])
returns table (rightmost boolean, high_key_continues boolean, entry_bytes int[], single_bytes int[], row_count int[],
  same_key boolean[], marked_dead boolean[])
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
as $function$
#variable_conflict use_column
declare
  index_name constant text := maint_privileged.inspected_index(index, '{btree}', blocks);
  schema_name constant text := maint_privileged.pageinspect_schema();
begin
  return query execute format($query$
    select s.btpo_next = 0, i.*
    from unnest($2::int8[]) with ordinality as b (block, place)
    cross join lateral %1$s.bt_page_stats($1::text, b.block::int8) as s
    cross join lateral (
      select coalesce(bool_or(i.htid is not null) filter (where i.itemoffset = 1 and s.btpo_next <> 0), false),
        array_agg(i.itemlen::int), array_agg(i.single_bytes), array_agg(i.row_count), array_agg(i.same_key), array_agg(i.dead)
      from (
        select i.itemoffset, i.htid, i.itemlen, coalesce(i.dead, false) as dead, coalesce(cardinality(i.tids), 1) as row_count,
          -- An entry with several rows says in the place of a block where its key ends.
          case when i.tids is null then i.itemlen::int
            else split_part(btrim(i.ctid::text, '('), ',', 1)::int end as single_bytes,
          coalesce(i.data = lag(i.data) over page and i.nulls = lag(i.nulls) over page
            and i.vars = lag(i.vars) over page, false) as same_key
        from %1$s.bt_page_items($1::text, b.block::int8) as i
        window page as (order by i.itemoffset)) as i) as i
    -- A leaf (1) that is neither deleted (4) nor the meta page (8) nor half-dead (16).
    where s.page_size <> 0 and s.btpo_flags & 1 <> 0 and s.btpo_flags & 28 = 0
    order by b.place
    $query$, schema_name)
  using index_name, blocks;
end
$function$;
comment on function maint_privileged.btree_leaves(oid, int8[]) is
  'Sizes and counts of what lies on leaf pages of a B-tree. No keys.';
