-- What changing a row of a table brings with it, as maint.plan_facts tells it: {"key_triggers", "triggers", "trigger_queries":
-- each {"Insert", "Update", "Delete": number}, "unindexed_references": rows}.
create or replace function maint.change_facts(of_table oid)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  return (
    select jsonb_build_object(
      -- An update of a key is rare, and of other columns a foreign key looks nothing up.
      'key_triggers', jsonb_build_object('Insert', count(*) filter (where g.tgisinternal and g.tgtype & 4 = 4),
        'Update', 0, 'Delete', count(*) filter (where g.tgisinternal and g.tgtype & 8 = 8)),
      'triggers', jsonb_build_object('Insert', count(*) filter (where not g.tgisinternal and g.tgtype & 4 = 4),
        'Update', count(*) filter (where not g.tgisinternal and g.tgtype & 16 = 16),
        'Delete', count(*) filter (where not g.tgisinternal and g.tgtype & 8 = 8)),
      'trigger_queries', jsonb_build_object(
        'Insert', coalesce(sum(q.queries) filter (where not g.tgisinternal and g.tgtype & 4 = 4), 0),
        'Update', coalesce(sum(q.queries) filter (where not g.tgisinternal and g.tgtype & 16 = 16), 0),
        'Delete', coalesce(sum(q.queries) filter (where not g.tgisinternal and g.tgtype & 8 = 8), 0)),
      'unindexed_references', coalesce(sum(u.rows) filter (where g.tgisinternal and g.tgtype & 8 = 8), 0))
    from pg_trigger as g
    join pg_proc as p on p.oid = g.tgfoid
    cross join lateral (
      select regexp_count(p.prosrc, '\m(select|insert|update|delete|merge|perform|execute)\M', 1, 'i') as queries
    ) as q
    left join lateral (
      -- The table at the other end, where it has no index that begins with the key.
      select greatest(c.reltuples, 0) as rows
      from pg_constraint as k join pg_class as c on c.oid = k.conrelid
      where k.oid = g.tgconstraint and k.confrelid = of_table and not exists (
        select from pg_index as i where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])
    ) as u on true
    where g.tgrelid = of_table and g.tgtype & 1 = 1);
end
$function$;
comment on function maint.change_facts(oid) is
  'Internal: triggers and references that a change of a row of a table meets, for maint.plan_facts.';
