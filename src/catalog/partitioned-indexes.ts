/** Partitioned indexes that were made ON ONLY their table and never completed, judged at the root of the tree. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';

export interface IncompletePartitionedIndex {
  schema: string;
  table: string;
  index: string;
  quoted: string;
  definition: string;
  /** Partitions without an attached index; quoted. */
  missing_partitions: string[];
  invalid_children: string[];
  /** Builds and attaches the missing ones; null where one of these is partitioned itself, or none is missing. */
  remedy: string | null;
}

const incompletePartitionedQuery = `
  select pg_catalog.jsonb_build_object(
      'schema', n.nspname, 'table', t.relname, 'index', c.relname,
      'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'definition', definition.text,
      'missing_partitions', coalesce(missing.names, '[]'),
      'invalid_children', coalesce(children.names, '[]'),
      'remedy', case when missing.all_leaves
          and pg_catalog.starts_with(definition.text, definition.head)
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
    from pg_catalog.pg_inherits as xi
    join pg_catalog.pg_index as cx on cx.indexrelid = xi.inhrelid and not cx.indisvalid
    join pg_catalog.pg_class as cc on cc.oid = cx.indexrelid
    join pg_catalog.pg_namespace as cn on cn.oid = cc.relnamespace
    where xi.inhparent = x.indexrelid
  ) as children
  where c.relkind = 'I' and not c.relispartition and not x.indisvalid
  order by n.nspname, c.relname`;

export function incompletePartitionedIndexes(): Program<IncompletePartitionedIndex[]> {
  return query<IncompletePartitionedIndex>(incompletePartitionedQuery);
}
