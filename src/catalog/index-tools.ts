/** What may be used to look into indexes. */
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';

/** How raw pages are read: by the functions of maint_privileged, or with pageinspect, whose schema is quoted. */
export type PageReader = { privileged: true; schema: null } | { privileged: false; schema: string };

export interface Tools {
  block_size: number;
  /** `outdated` where the extension has not all the functions that are called. */
  pageinspect: 'installed' | 'outdated' | 'not_installed';
  /** Null where nothing may read raw pages, which only superusers may. */
  page_reader: PageReader | null;
  /** Its schema, quoted; null where the extension or one of its functions is not there. */
  pgstattuple: string | null;
  may_pgstattuple: boolean;
  counts_tracked: boolean;
}

const pageFunctions = [
  'bt_metap(text)',
  'bt_page_stats(text, bigint)',
  'bt_page_items(text, bigint)',
  'get_raw_page(text, bigint)',
  'page_header(bytea)',
];
const tupleFunctions = ['pgstatindex(regclass)', 'pgstathashindex(regclass)', 'pgstatginindex(regclass)'];
const privilegedFunctions = ['btree_page_stats', 'btree_leaves', 'index_free_space'];

/**
 * Functions of maint_privileged are called only where schema and functions belong to a superuser: what anyone else made
 * there would run with our rights.
 */
const toolsQuery = `
  with own as materialized (
    select maint.extension_schema('pageinspect', array(
        select f.name from pg_catalog.jsonb_array_elements_text($1::jsonb) as f (name))) as pageinspect,
      maint.extension_schema('pgstattuple', array(
        select f.name from pg_catalog.jsonb_array_elements_text($2::jsonb) as f (name))) as pgstattuple,
      (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user) as superuser,
      (
        select pg_catalog.count(*) = pg_catalog.jsonb_array_length($3::jsonb)
        from pg_catalog.pg_namespace as n
        join pg_catalog.pg_roles as o on o.oid = n.nspowner and o.rolsuper
        join pg_catalog.pg_proc as p on p.pronamespace = n.oid and p.prosecdef
        join pg_catalog.pg_roles as r on r.oid = p.proowner and r.rolsuper
        where n.nspname = 'maint_privileged' and p.proname in (
            select f.name from pg_catalog.jsonb_array_elements_text($3::jsonb) as f (name))
          and pg_catalog.oidvectortypes(p.proargtypes) = 'oid, bigint[]'
          and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_function_privilege(p.oid, 'execute')
      ) as privileged
  )
  select pg_catalog.jsonb_build_object(
      'block_size', pg_catalog.current_setting('block_size')::int,
      'counts_tracked', pg_catalog.current_setting('track_counts')::boolean,
      'pageinspect', case when o.pageinspect is not null then 'installed'
        when exists (select from pg_catalog.pg_extension as e where e.extname = 'pageinspect') then 'outdated'
        else 'not_installed' end,
      'page_reader', case when o.pageinspect is null then null
        when o.superuser then pg_catalog.jsonb_build_object('privileged', false, 'schema', o.pageinspect)
        when o.privileged then pg_catalog.jsonb_build_object('privileged', true, 'schema', null) end,
      'pgstattuple', o.pgstattuple,
      'may_pgstattuple', coalesce((
        select pg_catalog.bool_and(pg_catalog.has_function_privilege(p.oid, 'execute')
          and pg_catalog.has_schema_privilege(p.pronamespace, 'usage'))
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and pg_catalog.quote_ident(n.nspname) = o.pgstattuple
        where p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' in (
          select f.name from pg_catalog.jsonb_array_elements_text($2::jsonb) as f (name))), false)) as row
  from own as o
  order by 1`;

export function indexTools(): Program<Tools> {
  return queryOne<Tools>(toolsQuery, [pageFunctions, tupleFunctions, privilegedFunctions]);
}
