-- The one place that understands a scope: database, schema:PATTERN, table:PATTERN.PATTERN or index:PATTERN.PATTERN.
-- A pattern is read as psql reads one: * matches any characters, ? matches one, letters A to Z fold to lower case;
-- inside "double quotes" everything is literal and "" is one quote. What needs quotes in SQL needs them here.
--
-- Returns {"scope": the canonical spelling, "level": "database" | "schema" | "table" | "index", "rank": 0..3,
-- "literal_length": characters that are no wildcard, "schema_regex": text | null, "object_regex": text | null}.
-- The regular expressions mean the same to PostgreSQL (ARE) and to JavaScript with the flag u: [^\0] is any character,
-- since no name holds a NUL, and only characters that both allow to be escaped are. Raises 22023 on anything else.
create or replace function maint.setting_scope(scope text)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  longest_name constant int := 63;
  level constant text := split_part(scope, ':', 1);
  pattern constant text := substr(scope, length(level) + 2);
  parts_expected constant int := case when level = 'schema' then 1 else 2 end;
  quoted boolean := false;
  part int := 1;
  -- By part: what it matches, its canonical spelling, its literal bytes, and whether any character stood in it.
  regex text[] := array['', ''];
  spelling text[] := array['', ''];
  literal text[] := array['', ''];
  run text := '';
  letter text;
  position int := 1;
  problem text;
begin
  if scope = 'database' then
    return pg_catalog.jsonb_build_object('scope', 'database', 'level', 'database', 'rank', 0, 'literal_length', 0,
      'schema_regex', null, 'object_regex', null);
  end if;
  if scope is null then
    problem := 'it is null';
  elsif level not in ('schema', 'table', 'index') or strpos(scope, ':') = 0 then
    problem := 'there is no such level';
  end if;

  -- One turn more than there are characters: the last ends the run of literals.
  while problem is null and position <= length(pattern) + 1 loop
    letter := substr(pattern, position, 1);
    position := position + 1;
    if quoted then
      if letter = '' then
        problem := 'a double quote is not closed';
      elsif letter <> '"' then
        run := run || letter;
      elsif substr(pattern, position, 1) = '"' then
        run := run || '"';
        position := position + 1;
      else
        quoted := false;
      end if;
      continue;
    elsif letter = '"' then
      quoted := true;
      continue;
    elsif letter ~ '^[A-Za-z0-9_$]$' or ascii(letter) > 127 then
      run := run || lower(letter collate "C");
      continue;
    end if;

    if run <> '' then
      regex[part] := regex[part] || regexp_replace(run, '[\^$\\.*+?()\[\]{}|/]', '\\\&', 'g');
      -- Any ASCII character that would not come out as it went in.
      spelling[part] := spelling[part] || case when run ~ '[\x01-#%-/:-\^`{-\x7f]'
        then '"' || replace(run, '"', '""') || '"' else run end;
      literal[part] := literal[part] || run;
      run := '';
    end if;
    if letter = '*' then
      regex[part] := regex[part] || '[^\0]*';
      spelling[part] := spelling[part] || '*';
    elsif letter = '?' then
      regex[part] := regex[part] || '[^\0]';
      spelling[part] := spelling[part] || '?';
    elsif letter = '.' and part < parts_expected then
      part := part + 1;
    elsif letter = '.' then
      problem := 'it has too many dots';
    elsif letter <> '' then
      problem := pg_catalog.format('%s must stand in double quotes', pg_catalog.quote_literal(letter));
    end if;
  end loop;

  if problem is null then
    if part < parts_expected then
      problem := 'a schema and a name are needed, with a dot between';
    elsif regex[1] = '' or regex[parts_expected] = '' then
      problem := 'a name is empty';
    elsif octet_length(literal[1]) > longest_name or octet_length(literal[2]) > longest_name then
      problem := pg_catalog.format('a name is longer than %s bytes, so nothing can match', longest_name);
    end if;
  end if;
  if problem is not null then
    raise exception 'there is no scope %: %', coalesce(pg_catalog.quote_literal(left(scope, 200)), 'null'), problem
      using errcode = 'invalid_parameter_value',
      hint = 'Expected database, schema:NAME, table:SCHEMA.NAME or index:SCHEMA.NAME; in names * and ? are '
        'wildcards, and "double quotes" keep capitals and special characters: table:app.order_* or index:app."My Index".';
  end if;
  return pg_catalog.jsonb_build_object(
    'scope', level || ':' || spelling[1] || case when parts_expected = 2 then '.' || spelling[2] else '' end,
    'level', level,
    'rank', case level when 'schema' then 1 when 'table' then 2 else 3 end,
    'literal_length', length(literal[1]) + length(literal[2]),
    'schema_regex', '^' || regex[1] || '$',
    'object_regex', case when parts_expected = 2 then '^' || regex[2] || '$' end);
end
$function$;
comment on function maint.setting_scope(text) is
  'Internal: a scope of a setting taken apart, with regular expressions that PostgreSQL and JavaScript read alike.';
