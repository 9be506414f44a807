-- Plans one statement as the caller, for any values of its parameters, and runs nothing of it. parameters is the highest
-- $n in it, as_null the same statement with NULL in their place where it has a semicolon in it; own is the same with constants
-- in their place, where they are known, or null. Returns {"plan": the text of EXPLAIN (FORMAT JSON, VERBOSE) | null, "own_plan": what
-- it says of own | null, "sqlstate", "message": what the server has against it, where it could not be planned, or null; own_plan may still
-- be there, "work_mem": bytes that a sort or a hash of the caller may take}.
-- Its text is no part of any other statement before it is known to be one alone: a text without a semicolon is never more,
-- and with one the server itself has to open a cursor for it, which it refuses for more. Planning calls functions that are declared immutable or
-- stable where their arguments are constant; here it does so in a subtransaction that is read-only and rolled back, with the caller's own rights.
-- Where planning itself calls it, the SQLSTATE is PM002 and nothing is planned.
-- With the rights and the search_path of the caller: names resolve as the caller's would. It uses nothing of schema maint, so that its body can be had by others.
create or replace function maint.explain_generic(query text, parameters int, as_null text, own text)
returns json
language plpgsql
volatile
as $function$
declare
  modern constant boolean := pg_catalog.current_setting('server_version_num')::int >= 160000;
  settings text[];
  cursor refcursor;
  plan text;
  own_plan json;
  failure_state text;
  failure_message text;
begin
  if pg_catalog.current_setting('maint.planning', true) = 'on' then
    -- A function that planning calls has asked. One answer must not need another.
    return pg_catalog.json_build_object('plan', null, 'own_plan', null, 'sqlstate', 'PM002', 'message', 'recursion',
      'work_mem', 0);
  end if;
  -- Twice at most: a call that was cancelled may have left its prepared statement.
  for attempt in 1..2 loop
    failure_state := null;
    failure_message := null;
    begin
      -- One expression takes a fraction of what as many SET LOCAL take. A statement that waits for a lock would be planned too
      -- late to be of use.
      settings := array[pg_catalog.set_config('transaction_read_only', 'on', true),
        pg_catalog.set_config('lock_timeout', '200ms', true),
        pg_catalog.set_config('standard_conforming_strings', 'on', true),
        pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
        pg_catalog.set_config('maint.planning', 'on', true)];
      if own is not null then
        if pg_catalog.strpos(own, ';') > 0 then
          open cursor for execute 'explain ' || own;
          close cursor;
        end if;
        execute 'explain (format json, verbose) ' || own into own_plan;
      end if;
      if pg_catalog.strpos(query, ';') > 0 then
        open cursor for execute 'explain ' || case when parameters = 0 then query else as_null end;
        close cursor;
      end if;
      if modern then
        execute 'explain (format json, verbose, generic_plan) ' || query into plan;
      elsif parameters = 0 then
        execute 'explain (format json, verbose) ' || query into plan;
      else
        execute 'prepare "pg-maint plans this" as ' || query;
        execute 'explain (format json, verbose) execute "pg-maint plans this" ('
          || pg_catalog.repeat('null,', parameters - 1) || 'null)' into plan;
        deallocate "pg-maint plans this";
      end if;
      raise exception using errcode = 'PM000';
    exception
      when sqlstate 'PM000' then null;
      when others then
        get stacked diagnostics failure_state = returned_sqlstate, failure_message = message_text;
    end;
    exit when failure_state is null;
    if exists (select from pg_catalog.pg_prepared_statements as p where p.name = 'pg-maint plans this') then
      deallocate "pg-maint plans this";
    end if;
    exit when failure_state <> '42P05';
  end loop;
  return pg_catalog.json_build_object('plan', case when failure_state is null then plan end, 'own_plan', own_plan,
    'sqlstate', failure_state, 'message', failure_message,
    'work_mem', pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')));
end
$function$;
comment on function maint.explain_generic(text, int, text, text) is
  'Plans one statement as the caller, for any values of its parameters, and runs nothing of it: called by maint.query_risk.';
