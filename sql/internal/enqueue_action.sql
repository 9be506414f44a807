-- Puts the job of one action into its queue. Actions on one table share a key, so that one at a time is under way.
create or replace function maint.enqueue_action(action_id bigint, delay interval default '0')
returns jsonb
language sql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
  select maint.enqueue('maint_action', jsonb_build_object('action_id', a.action_id),
    coalesce(quote_ident(a.target ->> 'schema') || '.' || quote_ident(a.target ->> 'table'),
      'pid:' || (a.target ->> 'pid')),
    enqueue_action.delay,
    -- These run no code of a table's owner, and so end: a worker keeps a place for them.
    case when a.kind in ('drop_index', 'terminate_backend') then 1 else 0 end)
  from maint.action as a
  where a.action_id = enqueue_action.action_id
$function$;
comment on function maint.enqueue_action(bigint, interval) is 'Internal: puts the job of one action into its queue.';
