-- Queues the inverse of an action that succeeded: a dropped index is built again, concurrently, with its comment,
-- statistics targets, tablespace, storage options, replica identity and clustering mark; an index that was built is
-- dropped. Returns {"action_id", "status", "kind", "target", "already"}. Raises 22023 where there is nothing to undo.
-- What was found may be found again by the next run: mute the finding.
create or replace function maint.undo(action_id bigint)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  done maint.action;
  table_oid bigint;
  table_name text;
  known_oid bigint;
  -- The index as it is now: built again already, or to be dropped.
  index_oid bigint;
  index_definition text;
  refusal text;
  evidence jsonb := pg_catalog.jsonb_build_object('undoes', action_id);
begin
  perform maint.require_primary();
  select a.* into done from maint.action as a where a.action_id = undo.action_id;
  if not found then
    raise exception 'there is no action %', coalesce(action_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.actions.action_id.';
  end if;
  -- By its oid: another table may have taken the name. Actions of earlier versions did not keep the oid of every table.
  known_oid := coalesce((done.inverse ->> 'table_oid')::bigint,
    case done.kind when 'create_index' then (done.target ->> 'oid')::bigint end);
  select c.oid::int8, case when n.nspname <> done.target ->> 'schema' or c.relname <> done.target ->> 'table'
      then pg_catalog.format('%I.%I', n.nspname, c.relname) end
    into table_oid, table_name
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where case when known_oid is null then n.nspname = done.target ->> 'schema' and c.relname = done.target ->> 'table'
    else c.oid::int8 = known_oid end;
  select x.indexrelid::int8, pg_catalog.pg_get_indexdef(x.indexrelid) into index_oid, index_definition
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = done.target ->> 'schema' and c.relname = done.target ->> 'index' and x.indrelid = table_oid;
  refusal := case
    when done.status <> 'succeeded' then 'it has not succeeded: it is ' || done.status
    when done.kind not in ('drop_index', 'create_index') then 'nothing undoes ' || done.kind
    when table_oid is null then 'the table is gone'
    when table_name is not null then 'the table is called ' || table_name || ' now'
    when done.kind = 'drop_index' and pg_catalog.jsonb_typeof(done.inverse -> 'statements' -> 0) is distinct from 'string'
      then 'its inverse was not recorded'
    when done.kind = 'drop_index' and index_oid is not null then 'the index is there'
    when done.kind = 'create_index' and index_oid is null then 'the index is gone'
    -- A rebuild by pg-maint gives the index another oid.
    when done.kind = 'create_index' and index_oid <> (done.inverse ->> 'built_oid')::bigint and not exists (
        select from maint.action as r
        where r.kind = 'reindex_index' and r.status = 'succeeded' and r.finished_at > done.finished_at
          and r.target ->> 'schema' = done.target ->> 'schema' and r.target ->> 'index' = done.target ->> 'index')
      then 'the index is another one, that was made since' end;
  if refusal is not null then
    raise exception 'action % can''t be undone: %', action_id, refusal using errcode = 'invalid_parameter_value';
  end if;
  if done.kind = 'create_index' then
    return maint.queue_action('drop_index', (done.target - 'statement') || pg_catalog.jsonb_build_object('oid', index_oid),
      done.step_number, done.run_id, null, pg_catalog.format('undoes action %s, asked by %s', action_id, session_user),
      evidence || pg_catalog.jsonb_build_object('definition', index_definition));
  end if;
  return maint.queue_action('create_index',
    done.target || pg_catalog.jsonb_build_object('oid', table_oid, 'statement', done.inverse -> 'statements' -> 0),
    done.step_number, done.run_id, null, pg_catalog.format('undoes action %s, asked by %s', action_id, session_user),
    evidence || pg_catalog.jsonb_build_object('settings', coalesce(done.inverse -> 'settings', '{}'),
      'afterwards', (done.inverse -> 'statements') - 0)
      || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('tree', done.inverse -> 'tree'))
      || case when done.inverse ? 'facts' then pg_catalog.jsonb_build_object('facts', done.inverse -> 'facts') else '{}' end);
end
$function$;
comment on function maint.undo(bigint) is
  'Queues the inverse of an action that succeeded: builds a dropped index again, drops one that was built.';
