-- The text with line breaks, so that no line takes more than `width` columns of psql: between words where that is possible.
create or replace function maint.wrap_text(content text, width int)
returns text
language plpgsql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  -- Stands for a column more that the next character takes; of the area for private use.
  filler constant text := case when getdatabaseencoding() = 'UTF8' then U&'\E000' end;
  wrapped text := content;
begin
  if filler is not null and content ~ '[^ -~\n]' then
    -- As psql shows them: a tab up to 8 columns, \r two, \x01 four, \u0080 six, letters of the Far East and pictures two.
    wrapped := replace(wrapped, E'\t', repeat(filler, 7) || E'\t');
    wrapped := replace(wrapped, E'\r', filler || E'\r');
    wrapped := regexp_replace(wrapped, '([\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f])', repeat(filler, 3) || '\1', 'g');
    wrapped := regexp_replace(wrapped, '([\u0080-\u009f])', repeat(filler, 5) || '\1', 'g');
    wrapped := regexp_replace(wrapped,
      '([\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U0001f000-\U0003fffd])',
      filler || '\1', 'g');
  end if;
  wrapped := rtrim(regexp_replace(
    -- A word that is longer than a line is broken first.
    regexp_replace(wrapped, format('(\S{%s})(?=\S)', width), E'\\1\n', 'g'),
    format('([^\n]{1,%s})(\s+|$)', width), E'\\1\n', 'g'), E'\n');
  return case when filler is null then wrapped else replace(wrapped, filler, '') end;
end
$function$;
comment on function maint.wrap_text(text, int) is 'Internal: breaks a text into lines of at most so many columns of psql.';
