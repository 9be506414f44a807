create or replace view maint.gaps as
select
  g.gap_id,
  g.run_id,
  g.step_number as step,
  d.name as step_name,
  case
    when g.standing <> 'gap' then g.standing
    when a.gap_key is not null then 'accepted'
    else 'open' end as state,
  g.what,
  g.reason,
  g.detail,
  g.remedy,
  g.first_seen,
  g.last_seen,
  a.accepted_by,
  a.reason as accepted_reason,
  a.until as accepted_until
from maint.gap as g
left join maint.step_definition as d on d.step_number = g.step_number
left join maint.gap_acceptance as a
  on a.gap_key = g.gap_key and g.standing = 'gap' and a.until > clock_timestamp()
where g.resolved_at is null
order by
  g.standing <> 'gap',
  a.gap_key is not null,
  g.standing,
  g.step_number,
  g.gap_id;
comment on view maint.gaps is
  'What is not examined, as each step said last: open gaps first, then the accepted ones, then what needs nobody.';
comment on column maint.gaps.gap_id is 'Number of the gap, as maint.accept_gap takes it.';
comment on column maint.gaps.run_id is 'The last run that could not examine it.';
comment on column maint.gaps.step is 'Number of the step.';
comment on column maint.gaps.step_name is 'Name of the step.';
comment on column maint.gaps.state is
  'open (makes each run partial), accepted, not_yet (known later by itself) or chosen (switched off by a person).';
comment on column maint.gaps.what is 'What is not examined: a class of things, or one.';
comment on column maint.gaps.reason is
  'Why: not_permitted, not_installed, timed_out, locked, not_counted, lost, no_worker, not_yet, disabled and others.';
comment on column maint.gaps.detail is 'How many, which, or why.';
comment on column maint.gaps.remedy is 'What would let it be examined, where there is something.';
comment on column maint.gaps.first_seen is 'When it could not be examined first.';
comment on column maint.gaps.last_seen is 'When a run met it last.';
comment on column maint.gaps.accepted_by is 'Who accepted it; null where nobody did.';
comment on column maint.gaps.accepted_reason is 'Why it was accepted.';
comment on column maint.gaps.accepted_until is 'Until when it is accepted.';
