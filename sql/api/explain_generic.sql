-- Plans one statement as the caller, for any values of its parameters, and runs nothing of it. parameters is the highest
-- $n in it, as_null the same statement with NULL in their place; own is the same with constants in their place, where they are
-- known, or null. Returns {"plan": the text of EXPLAIN (FORMAT JSON, VERBOSE), "own_plan": that of own | absent}, or
-- {"sqlstate", "message"} with what the server has against it, with own_plan where only own could be planned.
-- Its text is no part of any other statement before the server itself has parsed it and found one statement alone: a
-- cursor is refused for more. Planning calls functions that are declared immutable or stable where their arguments are
-- constant; here it does so in a subtransaction that is read-only and rolled back, with the caller's own rights.
-- With the rights and the search_path of the caller: names resolve as the caller's would. It uses nothing of schema maint, so that its body can be had by others.
create or replace function maint.explain_generic(query text, parameters int, as_null text, own text)
returns jsonb
language plpgsql
volatile
as $function$
declare
  modern constant boolean := pg_catalog.current_setting('server_version_num')::int >= 160000;
  prepared constant text := 'pg-maint plans this';
  cursor refcursor;
  plan text;
  own_plan text;
  failure_state text;
  failure_message text;
begin
  begin
    set local transaction_read_only = on;
    -- A statement that waits for a lock would be planned too late to be of use.
    set local lock_timeout = '200ms';
    set local standard_conforming_strings = on;
    set local maint.planning = on;
    if own is not null then
      open cursor for execute 'explain (format json, verbose) ' || own;
      fetch cursor into own_plan;
      close cursor;
    end if;
    if parameters = 0 or modern then
      open cursor for execute case when modern then 'explain (format json, verbose, generic_plan) '
        else 'explain (format json, verbose) ' end || query;
    else
      open cursor for execute 'explain ' || as_null;
      close cursor;
      if exists (select from pg_catalog.pg_prepared_statements as p where p.name = prepared) then
        execute pg_catalog.format('deallocate %I', prepared);
      end if;
      set local plan_cache_mode = force_generic_plan;
      execute pg_catalog.format('prepare %I as ', prepared) || query;
      open cursor for execute pg_catalog.format('explain (format json, verbose) execute %I (%s)', prepared,
        pg_catalog.rtrim(pg_catalog.repeat('null,', parameters), ','));
    end if;
    fetch cursor into plan;
    close cursor;
    raise exception using errcode = 'PM000';
  exception
    when sqlstate 'PM000' then null;
    when others then
      get stacked diagnostics failure_state = returned_sqlstate, failure_message = message_text;
  end;
  if not modern and parameters > 0
    and exists (select from pg_catalog.pg_prepared_statements as p where p.name = prepared) then
    execute pg_catalog.format('deallocate %I', prepared);
  end if;
  return case when failure_state is null then pg_catalog.jsonb_build_object('plan', plan)
      else pg_catalog.jsonb_build_object('sqlstate', failure_state, 'message', failure_message) end
    || case when own_plan is null then '{}' else pg_catalog.jsonb_build_object('own_plan', own_plan) end;
end
$function$;
comment on function maint.explain_generic(text, int, text, text) is
  'Plans one statement as the caller, for any values of its parameters, and runs nothing of it: called by maint.query_risk.';
