-- Whether every row of index premise must be in index conclusion: the first one's predicate implies the second one's,
-- as the planner proves it when it asks whether a partial index may serve a query. Both are of the same table. null
-- where it can't be said now.
create or replace function maint.predicate_implied(premise oid, conclusion oid)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set constraint_exclusion = on
as $function$
declare
  contradiction text;
  plan json;
begin
  -- The planner runs immutable functions of constants: only the server's own may run with our rights.
  if exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid in (premise, conclusion)
      and d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass))
  then
    return false;
  end if;

  -- No row can be in the first index and not in the second: where the planner sees that, it does not even look.
  -- Asked of an empty set of the table's row type, for planning the table itself would run all its expressions.
  select pg_catalog.format(
      'explain (format json, costs off) select from pg_catalog.jsonb_populate_recordset(null::%I.%I, ''[]'') as %I '
        'where (%s) and (%s) is not true',
      n.nspname, t.relname, t.relname,
      pg_catalog.pg_get_expr(p.indpred, p.indrelid), pg_catalog.pg_get_expr(c.indpred, c.indrelid))
  into contradiction
  from pg_catalog.pg_index as p
  join pg_catalog.pg_index as c on c.indrelid = p.indrelid and c.indexrelid = conclusion
  join pg_catalog.pg_class as t on t.oid = p.indrelid
  join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
  where p.indexrelid = premise and p.indpred is not null and c.indpred is not null;
  if contradiction is null then
    return null;
  end if;
  execute contradiction into plan;
  return coalesce(plan -> 0 -> 'Plan' ->> 'One-Time Filter' = 'false', false);
exception
  when lock_not_available or insufficient_privilege then
    return null;
end
$function$;
comment on function maint.predicate_implied(oid, oid) is
  'Internal: whether the predicate of one index implies that of another.';
