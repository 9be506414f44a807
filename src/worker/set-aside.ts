/** A table whose statement had to be ended by force: recorded, told in an alert, and left alone by the steps for a while. */
import type pg from 'pg';

/** Too short, and its next attempt takes a place again; too long, and a table that was fixed by hand waits. */
const days = 7;

/**
 * On another session than the one that was ended. Where the action is not running any more, nothing is done. What a build has
 * left is found by steps 2 and 3.
 */
export async function setAside(client: pg.ClientBase, actionId: number, reason: string): Promise<void> {
  await client.query(
    `with failed as (
       update maint.action as a set status = 'failed', outcome = $2::text, session_pid = null, session_started = null,
         intent = null, finished_at = pg_catalog.clock_timestamp(),
         error = pg_catalog.jsonb_build_object('message', $2::text)
       where a.action_id = $1 and a.status = 'running'
       returning a.*
     ), event as (
       insert into maint.safeguard_event (action_id, kind, event, reason)
       select f.action_id, f.kind, 'failure', $2::text from failed as f
     ), alert as (
       insert into maint.alert (run_id, step_number, severity, message, detail, created_at)
       select r.run_id, f.step_number, 'warning', pg_catalog.format('%I.%I is set aside for %s days: %s of it %s',
           f.target ->> 'schema', f.target ->> 'table', $3::int, f.kind, $2::text),
         pg_catalog.jsonb_build_object('action_id', f.action_id, 'kind', f.kind), pg_catalog.clock_timestamp()
       from failed as f
       -- The run that wanted it, or the last one where that is forgotten.
       cross join lateral (
         select l.run_id from maint.run_log as l
         order by l.run_id = f.requested_run_id desc, l.run_id desc limit 1) as r
     )
     insert into maint.set_aside as s (table_oid, schema_name, table_name, kind, action_id, reason, definition, until)
     select c.oid::int8, f.target ->> 'schema', f.target ->> 'table', f.kind, f.action_id, $2::text,
       maint.table_code(c.oid::int8), pg_catalog.clock_timestamp() + $3::int * interval '1 day'
     from failed as f
     join pg_catalog.pg_namespace as n on n.nspname = f.target ->> 'schema'
     join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = f.target ->> 'table'
     on conflict (table_oid) do update set kind = excluded.kind, action_id = excluded.action_id, reason = excluded.reason,
       definition = excluded.definition, since = pg_catalog.clock_timestamp(), until = excluded.until`,
    [actionId, reason, days],
  );
}
