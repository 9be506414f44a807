create or replace view maint.findings as
select
  f.finding_id,
  f.run_id,
  f.step_number as step,
  f.kind,
  f.severity,
  f.schema_name,
  f.table_name,
  f.object_name,
  maint.shown_summary(f.summary, f.kind, f.detail, current_user) as summary,
  maint.shown_detail(f.detail, current_user) as detail,
  f.remedy,
  f.first_seen,
  f.last_seen,
  f.resolved_at,
  m.until as muted_until
from maint.finding as f
left join maint.finding_mute as m on m.finding_key = f.finding_key and m.until > clock_timestamp()
order by
  f.resolved_at desc nulls first,
  m.until is not null,
  array_position(array['critical', 'warning', 'info'], f.severity),
  f.last_seen desc,
  f.step_number,
  case when f.kind in ('index.unused', 'index.redundant') then (f.detail ->> 'size_bytes')::float8 end desc nulls last,
  f.finding_id;
comment on view maint.findings is
  'What the checks found: open ones first, the worst on top, muted ones below, then those that are resolved.';
comment on column maint.findings.finding_id is 'Number of the finding.';
comment on column maint.findings.run_id is 'The last run that saw it.';
comment on column maint.findings.step is 'Number of the step that found it.';
comment on column maint.findings.kind is 'What it is, for instance index.invalid.';
comment on column maint.findings.severity is 'critical, warning or info.';
comment on column maint.findings.schema_name is 'Schema of the object, not quoted.';
comment on column maint.findings.table_name is 'Table of the object, not quoted.';
comment on column maint.findings.object_name is 'The object itself, not quoted: an index, a constraint, a sequence.';
comment on column maint.findings.summary is 'What is the matter, in a sentence.';
comment on column maint.findings.detail is 'The evidence; its keys depend on the kind.';
comment on column maint.findings.remedy is 'A statement for psql that would mend it, where there is one.';
comment on column maint.findings.first_seen is 'When it was found first.';
comment on column maint.findings.last_seen is 'When a run saw it last.';
comment on column maint.findings.resolved_at is 'When a run found it gone; null while it is open.';
comment on column maint.findings.muted_until is 'Until when nobody wants to hear of it; null where it is not muted.';
