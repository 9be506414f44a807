-- Whether a role may see the text of a statement, as pg_stat_statements has it: who may read all statistics, and who has run
-- it or has the rights of the role that has. `statement` is a text that maint.query_text keeps.
create or replace function maint.may_read_statement(statement text, reader name)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
  select pg_has_role(reader, 'pg_read_all_stats', 'usage') or exists (
    select from maint.query_text as t
    join maint.query_statement as s on s.text_id = t.text_id
    join pg_roles as r on r.oid = s.user_oid
    where t.digest = md5(statement) and pg_has_role(reader, r.oid, 'usage'))
$function$;
comment on function maint.may_read_statement(text, name) is
  'Internal: whether a role may see the text of a statement, as pg_stat_statements would show it.';
