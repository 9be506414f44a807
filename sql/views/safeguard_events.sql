create or replace view maint.safeguard_events as
select
  e.event_id,
  e.at,
  e.event,
  e.safeguard,
  e.kind,
  e.reason,
  e.action_id,
  e.detail
from maint.safeguard_event as e
order by e.at desc, e.event_id desc;
comment on view maint.safeguard_events is
  'What came of each try of an action, and what the safeguards held back, the newest first. Step 15 counts them.';
comment on column maint.safeguard_events.event_id is 'Number of the event.';
comment on column maint.safeguard_events.at is 'When it happened.';
comment on column maint.safeguard_events.event is 'attempt, success, failure, refused (by a safeguard), or lock_timeout.';
comment on column maint.safeguard_events.safeguard is 'Which one refused; null where none did.';
comment on column maint.safeguard_events.kind is 'What was to be done, for instance drop_index.';
comment on column maint.safeguard_events.reason is 'Why, in words.';
comment on column maint.safeguard_events.action_id is 'The action, which may be forgotten by now.';
comment on column maint.safeguard_events.detail is 'More of it, as data.';
