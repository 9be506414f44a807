-- A key such as actionKey in src/steps/step.ts makes: JSON of a list of texts, without blanks.
create or replace function maint.json_key(variadic parts text[])
returns text
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select '[' || string_agg(to_json(p.part)::text, ',' order by p.position) || ']'
  from unnest(parts) with ordinality as p (part, position)
$function$;
comment on function maint.json_key(text[]) is 'Internal: the key of an action, as actionKey in src/steps/step.ts makes it.';
