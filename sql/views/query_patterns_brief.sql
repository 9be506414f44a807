create or replace view maint.query_patterns_brief as
select
  p.pattern_id,
  p.kind,
  maint.wrap_text(p.text, 56) as text,
  p.calls,
  round(p.mean_exec_ms::numeric, 3) as mean_ms,
  round(100 * p.share_of_time::numeric) || ' %' as share
from maint.query_patterns as p;
comment on view maint.query_patterns_brief is
  'maint.query_patterns in 120 columns: the same rows in the same order. The reasons and what would help stand there.';
comment on column maint.query_patterns_brief.pattern_id is 'Number of the pattern.';
comment on column maint.query_patterns_brief.kind is 'slow or fast.';
comment on column maint.query_patterns_brief.text is 'The most called of its statements, in short lines, with $1 for each constant.';
comment on column maint.query_patterns_brief.calls is 'Calls in the window.';
comment on column maint.query_patterns_brief.mean_ms is 'Milliseconds a call.';
comment on column maint.query_patterns_brief.share is 'Its share of the time of all statements of the database.';
