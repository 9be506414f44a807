-- The summary of a finding as a role may see it: that of a pattern ends with the beginning of a statement.
create or replace function maint.shown_summary(summary text, kind text, detail jsonb, reader name)
returns text
language sql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select case when detail ->> 'text' is null or kind not like 'query.%' or maint.may_read_statement(detail ->> 'text', reader)
    then summary else regexp_replace(summary, '( each(?: \([^:]*\))?: ).*$', '\1<insufficient privilege>') end
$function$;
comment on function maint.shown_summary(text, text, jsonb, name) is
  'Internal: the summary of a finding without the text of a statement that a role may not see.';
