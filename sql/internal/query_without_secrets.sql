-- What a session runs, as it may be kept: of a utility statement of a client all that follows the first quote of a constant is
-- left out, for a password may stand there. Where it ends is not asked: the text may be cut.
create or replace function maint.query_without_secrets(query text, backend_type text)
returns text
language sql
immutable
set search_path = pg_catalog, maint, pg_temp
as $function$
  select case when backend_type = 'client backend' and maint.query_verb(query) = 'utility'
    then regexp_replace(query, '(''|\$[^$\s]*\$).*$', '...') else query end
$function$;
comment on function maint.query_without_secrets(text, text) is
  'Internal: what a session runs, without what may be a password.';
