-- A statement as it may be kept: whole where it reads or changes rows, for there the server has put $1 for each constant; of any other
-- only the words that say what it does to which kind of object, such as "alter role": passwords of roles, of servers
-- and of subscriptions stand in those as they are, and the server leaves them there.
create or replace function maint.statement_without_secrets(statement text)
returns text
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select case when maint.query_verb(statement) <> 'utility' then statement else coalesce((
    select regexp_replace(lower(w.words[1]), '\s+', ' ', 'g')
    -- Words of SQL alone, one after the other; the name that follows may be anything, and after it comes what must not be kept.
    from regexp_match(left(statement, 20000), '^(?:\s|\(|--[^\n]*(?:\n|$)|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*([a-z]+(?:\s+(?:or|replace|'
      'temp|temporary|unique|unlogged|materialized|foreign|data|wrapper|user|mapping|event|access|method|text|search|role|group|'
      'database|table|view|index|concurrently|system|default|privileges|policy|server|schema|sequence|function|procedure|trigger|'
      'type|domain|extension|publication|subscription|statistics|rule|aggregate|operator|class|family|collation|conversion|cast|'
      'language|tablespace|session|local|all|owned|transaction|prepared)\M)*)\M', 'i') as w (words)), 'utility') end
$function$;
comment on function maint.statement_without_secrets(text) is
  'Internal: a statement as it may be kept; of a utility statement only the words that say what it is.';
