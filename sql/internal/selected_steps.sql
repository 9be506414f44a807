-- The numbers of the steps named by `only` (names or numbers); null selects all. Raises 22023 on an unknown one.
create or replace function maint.selected_steps("only" text[])
returns int[]
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  unknown_step text;
begin
  if "only" is null then
    return null;
  end if;
  select w.step into unknown_step
  from pg_catalog.unnest("only") with ordinality as w (step, position)
  where not exists (
    select from maint.step_definition as d where w.step in (d.name, d.step_number::text))
  order by w.position
  limit 1;
  if found or pg_catalog.cardinality("only") = 0 then
    raise exception 'there is no step %', coalesce(pg_catalog.quote_literal(unknown_step), 'in an empty list')
      using errcode = 'invalid_parameter_value',
      hint = (
        select 'Expected names or numbers of: '
          || pg_catalog.string_agg(pg_catalog.format('%s %s', d.step_number, d.name), ', ' order by d.step_number)
          || '.'
        from maint.step_definition as d);
  end if;
  return (
    select pg_catalog.array_agg(d.step_number order by d.step_number)
    from maint.step_definition as d
    where d.name = any ("only") or d.step_number::text = any ("only"));
end
$function$;
comment on function maint.selected_steps(text[]) is 'Internal: the numbers of the steps named by only.';
