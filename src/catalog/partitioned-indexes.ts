/** Partitioned indexes that were made ON ONLY their table and never completed, judged at the root of the tree. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

export interface IncompletePartitionedIndex {
  schema: string;
  table: string;
  index: string;
  quoted: string;
  definition: string;
  unique: boolean;
  /** Partitions without an attached index; quoted. */
  missing_partitions: string[];
  /** Of partitions of all levels. */
  invalid_children: string[];
  /** Foreign tables among the partitions of all levels: they can have no index, and an ATTACH counts them as if they could. */
  foreign_partitions: string[];
  /**
   * Builds and attaches the missing ones; or rebuilds the invalid ones, after which an ATTACH makes the server look at the whole
   * again; or, over a foreign partition, makes it anew. Null where a missing one is partitioned itself.
   */
  remedy: string | null;
}

const incompletePartitionedQuery = `
  select pg_catalog.jsonb_build_object(
      'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'definition', definition.text,
      'missing_partitions', coalesce(missing.names, '[]'),
      'invalid_children', coalesce(children.names, '[]'),
      'unique', x.indisunique,
      'foreign_partitions', coalesce(foreign_table.names, '[]'),
      'remedy', case
        when foreign_table.names is not null then case
          when not x.indisunique and pg_catalog.starts_with(definition.text, definition.head) then pg_catalog.format(e'drop index %1$I.%2$I;\ncreate index %2$I on %1$I.%3$I%4$s;', n.nspname, c.relname, t.relname,
            pg_catalog.substr(definition.text, pg_catalog.length(definition.head) + 1)) end
        when missing.names is null then healing.statements
        when missing.all_leaves and pg_catalog.starts_with(definition.text, definition.head)
          then missing.statements end
    ) as row
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join lateral (
    select pg_catalog.pg_get_indexdef(x.indexrelid) as text,
      pg_catalog.format('CREATE %sINDEX %I ON ONLY %I.%I',
        case when x.indisunique then 'UNIQUE ' else '' end, c.relname, n.nspname, t.relname) as head
  ) as definition
  cross join lateral (
    select pg_catalog.jsonb_agg(p.quoted order by p.quoted) as names,
      pg_catalog.bool_and(p.relkind = 'r') as all_leaves,
      pg_catalog.string_agg(pg_catalog.format(
          e'create %sindex concurrently %I on %s%s;\\nalter index %s attach partition %I.%I;',
          case when x.indisunique then 'unique ' else '' end, p.new_name, p.quoted,
          pg_catalog.substr(definition.text, pg_catalog.length(definition.head) + 1),
          pg_catalog.format('%I.%I', n.nspname, c.relname), p.nspname, p.new_name),
        e'\\n' order by p.quoted) as statements
    from (
      select pc.relkind, pn.nspname, pg_catalog.format('%I.%I', pn.nspname, pc.relname) as quoted,
        -- Ten characters are at most 40 bytes, and the rest is 15 more: never cut at 63.
        'maint_' || pg_catalog.left(pc.relname, 10) || '_'
          || pg_catalog.left(pg_catalog.md5(definition.text || pn.nspname || '.' || pc.relname), 8) as new_name
      from pg_catalog.pg_inherits as i
      join pg_catalog.pg_class as pc on pc.oid = i.inhrelid
      join pg_catalog.pg_namespace as pn on pn.oid = pc.relnamespace
      where i.inhparent = x.indrelid
        and not exists (
          select from pg_catalog.pg_inherits as xi
          join pg_catalog.pg_index as cx on cx.indexrelid = xi.inhrelid
          where xi.inhparent = x.indexrelid and cx.indrelid = pc.oid)
    ) as p
  ) as missing
  cross join lateral (
    select pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', cn.nspname, cc.relname) order by cn.nspname, cc.relname)
      as names
    from pg_catalog.pg_partition_tree(x.indexrelid) as tree
    join pg_catalog.pg_index as cx on cx.indexrelid = tree.relid and tree.isleaf and not cx.indisvalid
    join pg_catalog.pg_class as cc on cc.oid = cx.indexrelid and cc.relkind = 'i'
    join pg_catalog.pg_namespace as cn on cn.oid = cc.relnamespace
  ) as children
  cross join lateral (
    select pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', fn.nspname, fc.relname) order by fn.nspname, fc.relname) as names
    from pg_catalog.pg_partition_tree(x.indrelid) as tree
    join pg_catalog.pg_class as fc on fc.oid = tree.relid and fc.relkind = 'f'
    join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
  ) as foreign_table
  cross join lateral (
    -- Attaching what is attached already makes the server look whether all are valid now: from the leaves up.
    select pg_catalog.string_agg(s.statement, e'\n' order by s.phase, s.depth desc, s.name) as statements
    from (
      with recursive below (oid, depth) as (
        select x.indexrelid, 0
        union all
        select i.inhrelid, b.depth + 1 from below as b join pg_catalog.pg_inherits as i on i.inhparent = b.oid
      )
      select case ic.relkind when 'i' then 1 else 2 end as phase, b.depth,
        pg_catalog.format('%I.%I', cn.nspname, ic.relname) as name,
        case ic.relkind
          when 'i' then pg_catalog.format('reindex index concurrently %I.%I;', cn.nspname, ic.relname)
          else (
            select pg_catalog.format('alter index %I.%I attach partition %I.%I;', cn.nspname, ic.relname, fn.nspname, fc.relname)
            from pg_catalog.pg_inherits as f
            join pg_catalog.pg_class as fc on fc.oid = f.inhrelid
            join pg_catalog.pg_namespace as fn on fn.oid = fc.relnamespace
            where f.inhparent = b.oid
            order by fn.nspname, fc.relname limit 1) end as statement
      from below as b
      join pg_catalog.pg_index as ix on ix.indexrelid = b.oid and not ix.indisvalid
      join pg_catalog.pg_class as ic on ic.oid = b.oid
      join pg_catalog.pg_namespace as cn on cn.oid = ic.relnamespace
    ) as s
  ) as healing
  where c.relkind = 'I' and not c.relispartition and not x.indisvalid
  order by n.nspname, c.relname`;

export function incompletePartitionedIndexes(): Program<IncompletePartitionedIndex[]> {
  return query<IncompletePartitionedIndex>(incompletePartitionedQuery);
}
