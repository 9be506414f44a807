/**
 * Settings of which no role, database or caller may decide for pg-maint, as pg_dump pins them. A setting that a server
 * version does not have is left out there.
 *
 * Not in the list: settings that only a superuser can change (lc_messages, plpgsql.variable_conflict), what an
 * administrator tunes and what changes no result (work_mem, cost constants, temp_tablespaces).
 */

/** For each session, and for each function that runs with its owner's rights. Settings that all versions from 15 on have: a dump must load on a newer server. */
export const pinnedSettings = {
  // How constants in the definitions of indexes and constraints are written: stored, compared and built again.
  // Without an order of day and month: only input depends on that, and all that we read is ISO.
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  // How names are written: they are compared, and looked for in texts.
  quote_all_identifiers: 'off',
  // What SQL texts mean.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  transform_null_equals: 'off',
  array_nulls: 'on',
  // An error instead of rows that are left out without a word.
  row_security: 'off',
  // Where a table or an index goes that is created without saying so.
  default_tablespace: '',
  default_table_access_method: 'heap',
  // Compiling takes longer than our queries.
  jit: 'off',
  // A predicate is compared, and a plan kept, as the server does it by default.
  constraint_exclusion: 'partition',
  plan_cache_mode: 'auto',
} as const;

/**
 * Of these, what functions in an index may depend on although they are called immutable: float8 to text is, and `at::date` in
 * a function of the user often is declared so. While a statement computes entries of an index they are as the sessions of the
 * application have them, or the same row would have one entry from them and another from us. How a definition is read does not depend on them.
 */
export const settingsOfEntries = ['datestyle', 'timezone', 'extra_float_digits', 'bytea_output'] as const;

/** How the planner may work, at the server's defaults: a plan is judged by what it does, not by what a role has switched off. */
export const plannerSettings = {
  debug_parallel_query: 'off',
  force_parallel_mode: 'off',
  enable_async_append: 'on',
  enable_bitmapscan: 'on',
  enable_distinct_reordering: 'on',
  enable_gathermerge: 'on',
  enable_group_by_reordering: 'on',
  enable_hashagg: 'on',
  enable_hashjoin: 'on',
  enable_incremental_sort: 'on',
  enable_indexonlyscan: 'on',
  enable_indexscan: 'on',
  enable_material: 'on',
  enable_memoize: 'on',
  enable_mergejoin: 'on',
  enable_nestloop: 'on',
  enable_parallel_append: 'on',
  enable_parallel_hash: 'on',
  enable_partition_pruning: 'on',
  enable_presorted_aggregate: 'on',
  enable_self_join_elimination: 'on',
  enable_seqscan: 'on',
  enable_sort: 'on',
  enable_tidscan: 'on',
  from_collapse_limit: '8',
  join_collapse_limit: '8',
  geqo: 'on',
} as const;

/** For each session of ours: fit for long statements, and names resolve in pg_catalog only. */
export const sessionSettings = {
  ...pinnedSettings,
  ...plannerSettings,
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // A failed step must not end the session.
  exit_on_error: 'off',
  stats_fetch_consistency: 'cache',
  restrict_nonsystem_relation_kind: '',
  client_min_messages: 'warning',
} as const;

/** Of extensions, which the session may not have loaded yet. */
export const extensionSettings = {
  // Compiling our functions must not fail by what somebody wants to be warned of in their own.
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
} as const;

/**
 * PL/V8 calls the function that plv8.start_proc names when a role first uses JavaScript in a session, with the rights of that role: any
 * caller could name one of their own. An empty name is a warning in each session, so it is PL/V8's own and changes nothing.
 */
export const startProcedure = { 'plv8.start_proc': 'pg_catalog.plv8_version' } as const;

/** What each session begins with, by itself: the server resolves the names of a statement before it runs it. */
export const pinSearchPath = 'set search_path = pg_catalog, pg_temp';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Expressions for the list of a SELECT that set each setting: for the session, or for the transaction. */
export function setConfigList(settings: Record<string, string>, scope: 'session' | 'transaction'): string {
  const local = scope === 'transaction';
  return Object.entries(settings)
    .map(([name, value]) => {
      const set = `pg_catalog.set_config(${literal(name)}, ${literal(value)}, ${String(local)})`;
      return name.includes('.') || name in pinnedSettings
        ? set
        : `case when pg_catalog.current_setting(${literal(name)}, true) is not null then ${set} end`;
    })
    .join(', ');
}

/** Pins the settings for all functions of schema maint that run with their owner's rights. CREATE OR REPLACE unpins them. */
export const pinFunctions = `
do $pin$
declare
  pinned constant jsonb := ${literal(JSON.stringify(pinnedSettings))};
  routine record;
begin
  for routine in
    select p.oid::pg_catalog.regprocedure as signature, (
        select pg_catalog.string_agg(pg_catalog.format('set %I = %L', s.name, s.value), ' ' order by s.name)
        from pg_catalog.jsonb_each_text(pinned) as s (name, value)
        -- What a function sets itself it needs.
        where not exists (
          select from pg_catalog.unnest(p.proconfig) as c (own) where pg_catalog.split_part(c.own, '=', 1) = s.name)) as pins
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'maint'::pg_catalog.regnamespace and p.prosecdef
      and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
          and d.refobjid not in (select e.oid from pg_catalog.pg_extension as e where e.extname = 'maint'))
    order by p.oid
  loop
    execute pg_catalog.format('alter function %s %s', routine.signature, routine.pins);
  end loop;
end
$pin$;
`;
