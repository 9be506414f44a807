-- What a statement does by its first word: select, insert, update, delete, merge, with (only a parser can tell then) or
-- utility. Comments and opening brackets before the word are passed over.
create or replace function maint.query_verb(statement text)
returns text
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select case
    when w.word in ('select', 'insert', 'update', 'delete', 'merge', 'with') then w.word
    when w.word in ('values', 'table') then 'select'
    else 'utility' end
  from (
    select lower(substring(left(statement, 20000)
      from '^(?:\s|\(|--[^\n]*(?:\n|$)|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*([A-Za-z]+)')) as word) as w
$function$;
comment on function maint.query_verb(text) is 'Internal: what a statement does, by its first word.';
