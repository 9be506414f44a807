-- Whether every row of index premise must be in index conclusion: the first one's predicate implies the second one's,
-- as the planner proves it when it asks whether a partial index may serve a query. Both are of the same table. null
-- where it can't be said: now, or where a predicate has anything that is not the server's own (maint.predicate_is_safe).
create or replace function maint.predicate_implied(premise oid, conclusion oid)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set constraint_exclusion = on
as $function$
declare
  -- Objects of initdb have smaller numbers.
  first_of_users constant oid := 16384;
  contradiction text;
  plan json;
begin
  if not maint.predicate_is_safe(premise) or not maint.predicate_is_safe(conclusion) then
    return null;
  end if;

  -- No row can be in the first index and not in the second: where the planner sees that, it does not even look. Asked of
  -- an empty set with the columns of the server's own types, named as the table is: planning the table itself, or its row
  -- type, would run all its expressions.
  select pg_catalog.format(
      'explain (format json, costs off) select from pg_catalog.json_to_recordset(''[]'') as %I (%s) '
        'where (%s) and (%s) is not true',
      t.relname, (
        select pg_catalog.string_agg(pg_catalog.format('%I %s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
            case when a.attcollation <> 0 and a.attcollation <> 100
              then pg_catalog.format(' collate pg_catalog.%I', c.collname) else '' end), ', ' order by a.attnum)
        from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_collation as c on c.oid = a.attcollation
        where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
          and (a.atttypid < first_of_users or maint.is_enumeration(a.atttypid)) and a.attcollation < first_of_users),
      p.predicate, c.predicate)
  into contradiction
  from (
    select i.indrelid, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate
    from pg_catalog.pg_index as i where i.indexrelid = premise and i.indpred is not null) as p
  join (
    select i.indrelid, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate
    from pg_catalog.pg_index as i where i.indexrelid = conclusion and i.indpred is not null) as c on c.indrelid = p.indrelid
  join pg_catalog.pg_class as t on t.oid = p.indrelid
  -- A whole row would be another one here.
  where pg_catalog.strpos(p.predicate || c.predicate, '.*') = 0;
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
