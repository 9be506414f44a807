create or replace view maint.alerts as
select
  a.alert_id,
  a.created_at,
  a.severity,
  a.message,
  a.run_id,
  a.step_number as step,
  maint.shown_detail(a.detail, current_user) as detail
from maint.alert as a
order by
  a.run_id desc,
  array_position(array['critical', 'warning', 'info'], a.severity),
  a.alert_id;
comment on view maint.alerts is 'What runs wanted someone to know: the newest run first, the worst on top.';
comment on column maint.alerts.alert_id is 'Number of the alert.';
comment on column maint.alerts.created_at is 'When the run that raised it began.';
comment on column maint.alerts.severity is 'critical, warning or info.';
comment on column maint.alerts.message is 'What to know, in a sentence.';
comment on column maint.alerts.run_id is 'The run that raised it.';
comment on column maint.alerts.step is 'Number of the step that raised it.';
comment on column maint.alerts.detail is 'More of it, as data.';
