create or replace view maint.findings_brief as
select
  f.finding_id,
  case
    when f.resolved_at is not null then 'resolved'
    when f.muted_until is not null then 'muted'
    else 'open' end as state,
  f.severity,
  maint.wrap_text(f.summary, 50) as summary,
  case
    when f.resolved_at is not null then null
    when maint.finding_action(f.finding_id) ->> 'refusal' is null then format('select maint.apply(%s);', f.finding_id)
    when f.remedy is not null then format('select maint.remedy(%s);', f.finding_id) end as command
from maint.findings as f;
comment on view maint.findings_brief is
  'maint.findings in 120 columns: the same rows in the same order.';
comment on column maint.findings_brief.finding_id is 'Number of the finding.';
comment on column maint.findings_brief.state is 'open, muted or resolved.';
comment on column maint.findings_brief.severity is 'critical, warning or info.';
comment on column maint.findings_brief.summary is 'What is the matter, in short lines.';
comment on column maint.findings_brief.command is 'What to type: maint.apply lets the worker mend it, maint.remedy gives the statements that would.';
