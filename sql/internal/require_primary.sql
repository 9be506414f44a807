-- Raises 25006 on a standby, which takes no changes: the server's own message names a statement that the caller has not written.
create or replace function maint.require_primary()
returns void
language plpgsql
stable
set search_path = pg_catalog, maint, pg_temp
as $function$
begin
  if pg_catalog.pg_is_in_recovery() then
    raise exception 'this server is a standby' using errcode = 'read_only_sql_transaction',
      hint = 'Connect to the primary; what is done there reaches the standby by itself.';
  end if;
end
$function$;
comment on function maint.require_primary() is 'Internal: raises where this server is a standby.';
