create or replace view maint.alerts_brief as
select
  a.alert_id,
  to_char(a.created_at, 'YYYY-MM-DD HH24:MI') as created_at,
  a.severity,
  a.step,
  maint.wrap_text(a.message, 65) as message
from maint.alerts as a;
comment on view maint.alerts_brief is
  'maint.alerts in 120 columns: the same rows in the same order.';
comment on column maint.alerts_brief.alert_id is 'Number of the alert.';
comment on column maint.alerts_brief.created_at is 'When the run that raised it began.';
comment on column maint.alerts_brief.severity is 'critical, warning or info.';
comment on column maint.alerts_brief.step is 'Number of the step that raised it.';
comment on column maint.alerts_brief.message is 'What to know, in short lines.';
