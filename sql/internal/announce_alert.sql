-- NOTIFY maint_alert with the alert as JSON: {"database", "alert_id", "run_id", "step", "severity", "message", "detail",
-- "created_at"}. The server takes no payload of 8000 bytes or more: then detail is left out, and a long message is cut.
create or replace function maint.announce_alert(alert_id bigint)
returns void
language sql
volatile
set search_path = pg_catalog, maint, pg_temp
as $function$
  select pg_notify('maint_alert', case
      when octet_length(whole.payload::text) < 8000 then whole.payload
      -- A character may take six bytes of JSON.
      when octet_length((whole.payload - 'detail')::text) < 8000 then whole.payload - 'detail'
      else whole.payload - 'detail' || jsonb_build_object('message', left(whole.payload ->> 'message', 1000) || '...')
    end::text)
  from alert as a
  cross join lateral (select jsonb_build_object('database', current_database(), 'alert_id', a.alert_id,
      'run_id', a.run_id, 'step', a.step_number, 'severity', a.severity, 'message', a.message, 'detail', a.detail,
      'created_at', a.created_at) as payload) as whole
  where a.alert_id = announce_alert.alert_id
$function$;
comment on function maint.announce_alert(bigint) is 'Internal: sends an alert as NOTIFY maint_alert.';
