-- Waits until an action has ended, and returns how: call maint.wait_for_action(7). A notice tells how far it is, whenever that
-- changes. Returns at once what its status is when the timeout is over, or when no worker is alive that could do it. It looks
-- again in another transaction each time, as it sees only what is committed, and would be waited for by the action itself if it held a
-- snapshot: it can't be called within a transaction block (2D000). For the same reason it runs with the caller's rights and sets
-- no search_path: everything is qualified, and it uses nothing but the API. Raises 22023 where there is no such action.
create or replace procedure maint.wait_for_action(action_id bigint, timeout interval default '10 min',
  inout status text default null)
language plpgsql
as $procedure$
declare
  began constant timestamptz := pg_catalog.clock_timestamp();
  says text;
  said text;
  alive boolean;
begin
  -- Fails at once within a transaction block.
  commit;
  if timeout is null or timeout < interval '0' then
    raise exception 'the timeout must be an interval of 0 or more, not %', coalesce(timeout::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Expected an interval such as ''10 min''.';
  end if;
  loop
    alive := coalesce((maint.status() #>> '{worker,alive}')::int, 0) > 0;
    select a.status, pg_catalog.concat_ws(': ', pg_catalog.concat_ws(' ', 'action', a.action_id, a.kind, a.object), a.status,
        coalesce(a.progress, a.outcome))
      into status, says
    from maint.actions as a where a.action_id = wait_for_action.action_id;
    if not found then
      raise exception 'there is no action %', coalesce(wait_for_action.action_id::text, 'null')
        using errcode = 'invalid_parameter_value', hint = 'The numbers are in maint.actions.action_id.';
    end if;
    if says is distinct from said then
      raise notice '%', says;
      said := says;
    end if;
    exit when status not in ('queued', 'running');
    if status = 'queued' and not alive then
      raise notice 'no worker is alive: it waits until one is started (pg-maint worker)';
      exit;
    end if;
    exit when pg_catalog.clock_timestamp() > began + timeout;
    commit;
    perform pg_catalog.pg_sleep(0.2);
    commit;
  end loop;
end
$procedure$;
comment on procedure maint.wait_for_action(bigint, interval, text) is
  'Waits until an action has ended, tells how far it is, and returns how it ended.';
