create or replace view maint.query_patterns as
select
  p.pattern_id,
  p.kind,
  case when maint.may_read_statement(p.text, current_user) then p.text else '<insufficient privilege>' end as text,
  p.tables,
  p.calls,
  p.total_exec_ms,
  p.mean_exec_ms,
  p.rows_per_call,
  p.blocks_per_call,
  p.share_of_time,
  maint.shown_detail(p.reasons, current_user) as reasons,
  maint.shown_detail(p.suggestions, current_user) as suggestions,
  p.parsed,
  p.statements,
  p.pattern_key,
  p.window_from,
  p.window_to,
  p.first_learned,
  p.last_learned,
  p.expires_at
from maint.query_pattern as p
where p.expires_at > clock_timestamp()
order by p.kind desc, p.total_exec_ms desc, p.pattern_id;
comment on view maint.query_patterns is
  'Shapes of statements that were slow or fast, with the reasons and what would help: the slow ones first, those that took most time on top.';
comment on column maint.query_patterns.pattern_id is 'Number of the pattern.';
comment on column maint.query_patterns.kind is 'slow or fast.';
comment on column maint.query_patterns.text is 'The most called of its statements, with $1 for each constant.';
comment on column maint.query_patterns.tables is 'The tables it uses; behind one that could not be told stands why.';
comment on column maint.query_patterns.calls is 'Calls in the window.';
comment on column maint.query_patterns.total_exec_ms is 'Time of execution in the window, in milliseconds.';
comment on column maint.query_patterns.mean_exec_ms is 'Milliseconds a call.';
comment on column maint.query_patterns.rows_per_call is 'Rows returned or changed by a call.';
comment on column maint.query_patterns.blocks_per_call is 'Blocks that a call looked at, in memory or not.';
comment on column maint.query_patterns.share_of_time is 'Share of the time of all statements of the database, from 0 to 1.';
comment on column maint.query_patterns.reasons is 'Why it is slow, each with its evidence.';
comment on column maint.query_patterns.suggestions is 'What would help; an index with its planned gain and what it costs the writers.';
comment on column maint.query_patterns.parsed is 'Whether a worker has parsed it; if not, the reasons are not complete.';
comment on column maint.query_patterns.statements is 'How many statements of pg_stat_statements have this shape.';
comment on column maint.query_patterns.pattern_key is 'The shape: the fingerprint of its parse tree.';
comment on column maint.query_patterns.window_from is 'Since when the figures count.';
comment on column maint.query_patterns.window_to is 'Until when they count.';
comment on column maint.query_patterns.first_learned is 'When it was learned first, as this kind.';
comment on column maint.query_patterns.last_learned is 'When it was learned last.';
comment on column maint.query_patterns.expires_at is 'When it is forgotten unless it is learned again.';
