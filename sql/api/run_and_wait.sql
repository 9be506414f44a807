-- Runs maintenance, waits for the worker to do what it queued, and returns the final result dictionary:
-- call maint.run_and_wait(force => true). Says at once when no worker is alive, and does not wait then. result has
-- "wait": {"status": "finished" | "timed_out" | "no_worker", "seconds"} beside the keys of maint.result.
-- It commits between its steps, as the worker sees only what is committed, and would wait for ever for an open snapshot:
-- it can't be called within a transaction block (2D000). For the same reason it runs with the caller's rights and sets
-- no search_path: everything is qualified, and it uses nothing but the API.
create or replace procedure maint.run_and_wait(force boolean default false, "only" text[] default null,
  timeout interval default '10 min', inout result jsonb default null)
language plpgsql
as $procedure$
declare
  began constant timestamptz := pg_catalog.clock_timestamp();
  run_id bigint;
  state text;
  said text;
  seen text;
  actions jsonb;
begin
  -- Fails at once within a transaction block, before anything was done.
  commit;
  if not coalesce((maint.status() #>> '{worker,alive}')::int, 0) > 0 then
    raise notice 'no worker is alive: the checks run, and what they queue waits until one is started (pg-maint worker)';
  end if;
  result := maint.run(force, "only");
  commit;
  run_id := (result ->> 'run_id')::bigint;
  if run_id is null then
    raise notice 'skipped: %', coalesce(result ->> 'detail', result ->> 'reason');
    return;
  end if;
  loop
    result := maint.result(run_id);
    actions := result -> 'actions';
    said := pg_catalog.format('actions of run %s: %s', run_id, coalesce((
      select pg_catalog.string_agg(c.value || ' ' || c.key, ', ' order by c.key)
      from pg_catalog.jsonb_each_text(actions) as c), 'none'));
    if said is distinct from seen then
      raise notice '%', said;
      seen := said;
    end if;
    state := case
      when not actions ?| array['queued', 'running'] then 'finished'
      when not coalesce((maint.status() #>> '{worker,alive}')::int, 0) > 0 then 'no_worker'
      when pg_catalog.clock_timestamp() - began >= timeout then 'timed_out' end;
    exit when state is not null;
    -- A snapshot is held while it sleeps: no longer than the worker waits for one anyway.
    commit;
    perform pg_catalog.pg_sleep(0.3);
    commit;
  end loop;
  if state = 'no_worker' then
    raise notice 'no worker is alive: what is queued waits until one is started (pg-maint worker)';
  elsif state = 'timed_out' then
    raise notice 'not finished within %: maint.result(%) has the numbers later', timeout, run_id;
  end if;
  result := result || pg_catalog.jsonb_build_object('wait', pg_catalog.jsonb_build_object('status', state,
    'seconds', pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - began), 1)));
end
$procedure$;
comment on procedure maint.run_and_wait(boolean, text[], interval, jsonb) is
  'Runs maintenance and waits until the worker has done what it queued: call maint.run_and_wait(force => true).';
