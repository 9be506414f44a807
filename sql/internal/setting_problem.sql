-- What is wrong with a value for a setting: {"sqlstate", "message", "hint"}, or null where nothing is.
-- Reads nothing but its arguments, so that a view may call it for whoever may select from the view.
create or replace function maint.setting_problem(definition maint.setting_definition, value jsonb)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  given constant text := coalesce(jsonb_typeof(value), 'null');
  shown constant text := left(value::text, 80);
  choices constant text := (
    select string_agg(c.choice, ', ' order by c.position)
    from jsonb_array_elements_text(definition.choices) with ordinality as c (choice, position));
  expected constant text := 'Expected ' || case definition.type
      when 'boolean' then 'true or false'
      when 'integer' then pg_catalog.format('a whole number from %s to %s', definition.minimum, definition.maximum)
      when 'number' then pg_catalog.format('a number from %s to %s', definition.minimum, definition.maximum)
      when 'text' then coalesce('one of ' || choices, 'a text')
      else 'a list of texts such as ["a", "b"]' || coalesce(', each one of ' || choices, '')
    end || coalesce(' ' || definition.unit, '') || '. ' || definition.doc;
  wanted_type constant text := case definition.type
    when 'boolean' then 'boolean' when 'integer' then 'number' when 'number' then 'number'
    when 'text' then 'string' else 'array' end;
  code text := '22023';
  problem text;
begin
  if given = 'null' then
    code := '22004';
    problem := 'can''t be null';
  elsif given <> wanted_type then
    problem := pg_catalog.format('can''t be %s: it is not %s', shown, case definition.type
      when 'boolean' then 'true or false' when 'integer' then 'a number' when 'list' then 'a list'
      else 'a ' || definition.type end);
  elsif definition.type in ('integer', 'number') then
    if definition.type = 'integer' and (value #>> '{}')::numeric <> trunc((value #>> '{}')::numeric) then
      problem := pg_catalog.format('can''t be %s: it is not a whole number', shown);
    elsif (value #>> '{}')::numeric not between definition.minimum and definition.maximum then
      code := '22003';
      problem := pg_catalog.format('can''t be %s: it is out of range', shown);
    end if;
  elsif definition.type = 'text' then
    if not definition.choices @> value then
      problem := pg_catalog.format('can''t be %s: there is no such choice', shown);
    end if;
  elsif definition.type = 'list' then
    select pg_catalog.format('can''t have %s as element %s: %s', left(e.element::text, 80), e.position, case
        when jsonb_typeof(e.element) <> 'string' then 'it is not a text'
        when e.element = '""' then 'it is empty'
        else 'there is no such choice' end)
    into problem
    from jsonb_array_elements(value) with ordinality as e (element, position)
    where jsonb_typeof(e.element) <> 'string' or e.element = '""' or not definition.choices @> e.element
    order by e.position
    limit 1;
  end if;
  if problem is null then
    return null;
  end if;
  return pg_catalog.jsonb_build_object('sqlstate', code, 'message', definition.path || ' ' || problem, 'hint', expected);
end
$function$;
comment on function maint.setting_problem(maint.setting_definition, jsonb) is
  'Internal: what is wrong with a value for a setting, or null.';
