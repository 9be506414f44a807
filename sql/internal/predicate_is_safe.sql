-- Whether planning the predicate of this index would run nothing but the server's own code: immutable functions of constants are run
-- then, and domains and composite types have some in their checks and columns. Enumerations have none.
create or replace function maint.predicate_is_safe(index_oid oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  -- Objects of initdb have smaller numbers than 16384. pg_depend has all that is not pinned: functions, operators, types, collations.
  select not exists (
    select from pg_depend as d
    where d.classid = 'pg_class'::regclass and d.objid = index_oid and d.refobjid >= 16384
      and d.refclassid <> all (array['pg_class'::regclass, 'pg_constraint'::regclass, 'pg_extension'::regclass])
      and not (d.refclassid = 'pg_type'::regclass and maint.is_enumeration(d.refobjid)))
    and not exists (
      select from pg_depend as d
      join pg_index as i on i.indexrelid = d.objid
      left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.objid = index_oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid >= 16384
        and (d.refobjid <> i.indrelid and d.deptype <> 'P' and d.deptype <> 'S'
          or a.atttypid >= 16384 and not maint.is_enumeration(a.atttypid) or a.attcollation >= 16384))
$function$;
comment on function maint.predicate_is_safe(oid) is
  'Internal: whether planning the predicate of an index runs the server''s own code only.';
