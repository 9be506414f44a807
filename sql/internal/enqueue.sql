-- Puts a job into a queue of pg-boss, in the caller's transaction, and wakes the workers at its end. The job takes the
-- settings of its queue, as pg-boss's own insert does. Returns {"queued": true, "job_id": id}, or
-- {"queued": false, "reason": "no_queue"} while there is no such queue, or "reason": "already_queued" where the queue's
-- policy keeps a second one out. Nothing is lost without a queue: workers look for actions that have no job.
create or replace function maint.enqueue(queue text, data jsonb, singleton_key text default null,
  delay interval default '0', priority int default 0)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  job_id uuid;
begin
  perform pg_catalog.pg_notify('maint_work', enqueue.queue);
  -- Two conditions, one after the other: the second can't be read where there is no such table.
  if pg_catalog.to_regclass('maint_boss.job') is null then
    return pg_catalog.jsonb_build_object('queued', false, 'reason', 'no_queue');
  end if;
  if not exists (select from maint_boss.queue as q where q.name = enqueue.queue) then
    return pg_catalog.jsonb_build_object('queued', false, 'reason', 'no_queue');
  end if;
  insert into maint_boss.job (name, data, singleton_key, start_after, expire_seconds, deletion_seconds, keep_until,
    retry_limit, retry_delay, retry_backoff, retry_delay_max, policy, dead_letter, heartbeat_seconds, priority)
  select q.name, enqueue.data, enqueue.singleton_key, due.at, q.expire_seconds, q.deletion_seconds,
    due.at + pg_catalog.make_interval(secs => q.retention_seconds), q.retry_limit, q.retry_delay, q.retry_backoff,
    q.retry_delay_max, q.policy, q.dead_letter, q.heartbeat_seconds, enqueue.priority
  from maint_boss.queue as q
  cross join lateral (values (pg_catalog.clock_timestamp() + enqueue.delay)) as due (at)
  where q.name = enqueue.queue
  on conflict do nothing
  returning id into job_id;
  if job_id is null then
    return pg_catalog.jsonb_build_object('queued', false, 'reason', 'already_queued');
  end if;
  return pg_catalog.jsonb_build_object('queued', true, 'job_id', job_id);
end
$function$;
comment on function maint.enqueue(text, jsonb, text, interval, int) is
  'Internal: puts a job into a queue of pg-boss and wakes the workers.';
