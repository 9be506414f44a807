-- Runs maintenance, waits for the worker to do what it queued, and returns the final result dictionary:
-- call maint.run_and_wait(force => true). A notice tells of each step and action as it ends. Says at once when no worker is
-- alive, and does not wait then. result has "wait": {"status": "finished" | "timed_out" | "no_worker", "seconds"} beside
-- the keys of maint.result. On a server without a JavaScript language (engine worker) it waits for the run itself, too.
-- It commits between its steps, as the worker sees only what is committed, and would wait for ever for an open snapshot:
-- it can't be called within a transaction block (2D000). For the same reason it runs with the caller's rights and sets
-- no search_path: everything is qualified, and it uses nothing but the API.
create or replace procedure maint.run_and_wait(force boolean default false, "only" text[] default null,
  timeout interval default '10 min', inout result jsonb default null)
language plpgsql
as $procedure$
declare
  began constant timestamptz := pg_catalog.clock_timestamp();
  this_run bigint;
  alive boolean;
  state text;
  said text;
  last_said text;
  told bigint[] := '{}';
  ended record;
begin
  -- Fails at once within a transaction block, before anything was done.
  commit;
  if timeout is null or timeout < interval '0' then
    raise exception 'the timeout must be an interval of 0 or more, not %', coalesce(timeout::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Expected an interval such as ''10 min''.';
  end if;
  if not coalesce((maint.status() #>> '{worker,alive}')::int, 0) > 0 then
    raise notice 'no worker is alive: %, until one is started (pg-maint worker)',
      case when maint.status() ->> 'engine' = 'worker' then 'the run is queued and waits'
        else 'the checks run, and what they queue waits' end;
  end if;
  perform pg_catalog.set_config('maint.progress', 'notice', true);
  result := maint.run(force, "only");
  commit;
  this_run := (result ->> 'run_id')::bigint;
  if this_run is null then
    raise notice 'skipped: %', coalesce(result ->> 'detail', result ->> 'reason');
    return;
  end if;
  loop
    alive := coalesce((maint.status() #>> '{worker,alive}')::int, 0) > 0;
    result := maint.result(this_run);
    for ended in
      select a.action_id, a.kind, a.object, a.status, a.outcome
      from maint.actions as a
      where a.last_run_id = this_run and a.finished_at is not null and not a.action_id = any (told)
      order by a.finished_at, a.action_id
    loop
      told := told || ended.action_id;
      raise notice 'action % % %: % (%)', ended.action_id, ended.kind, ended.object, ended.status, ended.outcome;
    end loop;
    said := case
      when result ->> 'status' = 'queued' then coalesce('run ' || this_run || ': ' || (result ->> 'progress'),
        'run ' || this_run || ' waits for a worker')
      when result ->> 'status' = 'skipped' then
        'skipped: ' || coalesce(result ->> 'detail', result ->> 'reason')
      else pg_catalog.format('actions of run %s: %s', this_run, coalesce((
        select pg_catalog.string_agg(c.value || ' ' || c.key, ', ' order by c.key)
        from pg_catalog.jsonb_each_text(result -> 'actions') as c), 'none')) end;
    if said is distinct from last_said then
      raise notice '%', said;
      last_said := said;
    end if;
    state := case
      when result ->> 'status' <> 'queued' and not coalesce(result -> 'actions' ?| array['queued', 'running'], false)
        then 'finished'
      when not alive then 'no_worker'
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
    raise notice 'not finished within %: maint.result(%) has the numbers later', timeout, this_run;
  end if;
  result := result || pg_catalog.jsonb_build_object('wait', pg_catalog.jsonb_build_object('status', state,
    'seconds', pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - began), 1)));
end
$procedure$;
comment on procedure maint.run_and_wait(boolean, text[], interval, jsonb) is
  'Runs maintenance and waits until the worker has done what it queued: call maint.run_and_wait(force => true).';
