-- The detail of a finding as a role may see it: texts of statements of other roles only with the right to read all
-- statistics, as pg_stat_activity and pg_stat_statements show them.
create or replace function maint.shown_detail(detail jsonb, reader name)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  if pg_has_role(reader, 'pg_read_all_stats', 'usage') then
    return detail;
  end if;
  return case jsonb_typeof(detail)
    when 'array' then (
      select coalesce(jsonb_agg(maint.shown_detail(e.value, reader) order by e.position), '[]')
      from jsonb_array_elements(detail) with ordinality as e (value, position))
    when 'object' then (
      select coalesce(jsonb_object_agg(e.key, case
          -- The keys under which the steps keep texts of statements.
          when e.key in ('query', 'text', 'blocker_query') and jsonb_typeof(e.value) = 'string' then
            case when e.key = 'text' and maint.may_read_statement(e.value #>> '{}', reader) then e.value
              else '"<insufficient privilege>"' end
          else maint.shown_detail(e.value, reader) end), '{}')
      from jsonb_each(detail) as e (key, value))
    else detail end;
end
$function$;
comment on function maint.shown_detail(jsonb, name) is
  'Internal: the detail of a finding without texts of statements that a role may not see.';
