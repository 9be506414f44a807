-- Which alerts are to be posted to the webhook, and how far that has come.

create table maint.alert_delivery (
  alert_id bigint primary key references maint.alert on delete cascade,
  status text not null check (status in ('waiting', 'delivered', 'failed', 'repeated')),
  attempts int not null default 0,
  next_attempt_at timestamptz not null default pg_catalog.clock_timestamp(),
  delivered_at timestamptz,
  error text
);
create index alert_delivery_waiting_idx on maint.alert_delivery (next_attempt_at) where status = 'waiting';
comment on table maint.alert_delivery is
  'Alerts that were taken up for the webhook; one without a row has not been looked at, or is less severe than asked for.';
comment on column maint.alert_delivery.alert_id is 'The alert.';
comment on column maint.alert_delivery.status is
  'waiting; delivered; failed: tried as often as configured, or refused; repeated: the same one was taken up not long before.';
comment on column maint.alert_delivery.attempts is 'How often it was tried.';
comment on column maint.alert_delivery.next_attempt_at is 'When it is tried next, where it waits.';
comment on column maint.alert_delivery.delivered_at is 'When it was answered with a success.';
comment on column maint.alert_delivery.error is 'Why the last try failed.';
