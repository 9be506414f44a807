-- Why a statement must not be planned with the rights of the owner of schema maint, or null where it may. Planning can run
-- code: functions with constant arguments, operators that statistics are judged with, expressions of indexes,
-- constraints, policies, views. What belongs to a superuser or to that owner is trusted, what anyone else wrote is not.
-- statement is ParsedStatement of src/catalog/parsed-statement.ts, relations are all that it names.
create or replace function maint.unsafe_to_plan(statement jsonb, relations oid[])
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  with recursive tree (oid) as (
    select u.oid from unnest(relations) as u (oid)
    union
    select i.inhrelid from tree as t join pg_catalog.pg_inherits as i on i.inhparent = t.oid
  ), trusted as materialized (
    select r.oid from pg_catalog.pg_roles as r where r.rolsuper or r.rolname = current_user
  ), parts (classid, objid) as (
    select 'pg_catalog.pg_class'::regclass, t.oid from tree as t
    union all
    select 'pg_catalog.pg_class'::regclass, x.indexrelid from tree as t join pg_catalog.pg_index as x on x.indrelid = t.oid
    union all
    select 'pg_catalog.pg_constraint'::regclass, k.oid from tree as t join pg_catalog.pg_constraint as k on k.conrelid = t.oid
    union all
    select 'pg_catalog.pg_attrdef'::regclass, a.oid from tree as t join pg_catalog.pg_attrdef as a on a.adrelid = t.oid
    union all
    select 'pg_catalog.pg_statistic_ext'::regclass, e.oid from tree as t join pg_catalog.pg_statistic_ext as e on e.stxrelid = t.oid
  ), problem (rank, text) as (
    select 1, 'it is not a plain SELECT, UPDATE or DELETE'
    where statement ->> 'verb' not in ('select', 'update', 'delete')
    union all
    select 2, 'it reads a view, a foreign table or the catalogs'
    where exists (
      select from tree as t
      join pg_catalog.pg_class as c on c.oid = t.oid
      where c.relkind not in ('r', 'p', 'm') or c.relnamespace = 'pg_catalog'::regnamespace)
    union all
    select 3, 'it calls a function of a user'
    where exists (
      select from jsonb_array_elements_text(statement -> 'functions') as f (name)
      -- Of that name in any schema: which one is called depends on the types.
      join pg_catalog.pg_proc as p on p.proname = regexp_replace(f.name, '^.*\.', '')
      where p.pronamespace <> 'pg_catalog'::regnamespace
        and p.proowner not in (select r.oid from trusted as r))
    union all
    select 4, 'it uses an operator that a user defined'
    where exists (
      select from jsonb_array_elements_text(statement -> 'operators') as f (name)
      join pg_catalog.pg_operator as o
        on o.oprname = regexp_replace(f.name, '^.*\.', '') and o.oprnamespace <> 'pg_catalog'::regnamespace
      where o.oprowner not in (select r.oid from trusted as r))
    union all
    select 5, 'it casts to a type of a user'
    where exists (
      select from jsonb_array_elements_text(statement -> 'types') as f (name)
      join pg_catalog.pg_type as y on y.typname = regexp_replace(f.name, '^.*\.', '')
      where y.typnamespace <> 'pg_catalog'::regnamespace and y.typtype <> 'e'
        and y.typowner not in (select r.oid from trusted as r))
    union all
    select 6, 'one of its columns has a type of a user'
    where exists (
      select from tree as t
      join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      join pg_catalog.pg_type as y on y.oid = a.atttypid
      left join pg_catalog.pg_type as e on e.oid = nullif(y.typelem, 0)
      where y.typnamespace <> 'pg_catalog'::regnamespace and coalesce(e.typtype, y.typtype) <> 'e'
        and y.typowner not in (select r.oid from trusted as r))
    union all
    select 7, 'an index, constraint, default or statistics of its tables call a function of a user'
    where exists (
      select from parts as p
      join pg_catalog.pg_depend as d on d.classid = p.classid and d.objid = p.objid
      left join pg_catalog.pg_proc as f on d.refclassid = 'pg_catalog.pg_proc'::regclass and f.oid = d.refobjid
      left join pg_catalog.pg_operator as o on d.refclassid = 'pg_catalog.pg_operator'::regclass and o.oid = d.refobjid
      where coalesce(f.proowner, o.oprowner) not in (select r.oid from trusted as r))
    union all
    select 8, 'its tables have policies for rows'
    where exists (select from tree as t join pg_catalog.pg_policy as y on y.polrelid = t.oid)
  )
  select p.text from problem as p order by p.rank limit 1
$function$;
comment on function maint.unsafe_to_plan(jsonb, oid[]) is
  'Internal: why a statement must not be planned with our rights; null where it may.';
