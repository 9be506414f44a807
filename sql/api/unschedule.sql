-- No worker runs maintenance by itself any more, until maint.schedule. maint.run still does, and actions that are queued
-- are done. Returns whether it was scheduled before.
create or replace function maint.unschedule()
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  before constant boolean := maint.config('operational.maintenance_tasks.scheduled')::boolean;
begin
  perform maint.require_primary();
  perform maint.configure('operational.maintenance_tasks.scheduled', 'false');
  return before;
end
$function$;
comment on function maint.unschedule() is
  'No worker runs maintenance by itself any more, until maint.schedule. Returns whether it was scheduled before.';
