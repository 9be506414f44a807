-- The text with line breaks, so that no line has more than `width` characters: between words where that is possible.
create or replace function maint.wrap_text(content text, width int)
returns text
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select rtrim(regexp_replace(
    -- A word that is longer than a line is broken first.
    regexp_replace(content, format('(\S{%s})(?=\S)', width), E'\\1\n', 'g'),
    format('([^\n]{1,%s})(\s+|$)', width), E'\\1\n', 'g'), E'\n')
$function$;
comment on function maint.wrap_text(text, int) is 'Internal: breaks a text into lines of at most so many characters.';
