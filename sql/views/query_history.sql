create or replace view maint.query_history as
select
  i.interval_id,
  i.started_at,
  i.ended_at,
  q.statement_id,
  s.user_oid,
  s.queryid,
  s.toplevel,
  t.text_id,
  -- As pg_stat_statements shows it.
  case when t.text is null or pg_has_role(current_user, 'pg_read_all_stats', 'usage') or pg_has_role(s.user_oid, 'usage')
    then t.text else '<insufficient privilege>' end as text,
  q.verb,
  t.fingerprint,
  q.calls,
  q.total_exec_ms,
  q.total_exec_ms / nullif(q.calls, 0) as mean_exec_ms,
  q.total_plan_ms,
  q.row_count,
  q.shared_blks_hit,
  q.shared_blks_read,
  q.shared_blks_dirtied,
  q.shared_blks_written,
  q.temp_blks_read,
  q.temp_blks_written,
  q.blk_read_ms,
  q.blk_write_ms,
  q.wal_records,
  q.wal_bytes,
  s.first_seen,
  s.last_seen,
  t.own
from maint.query_interval as i
join maint.query_sample as q on q.interval_id = i.interval_id
left join maint.query_statement as s on s.statement_id = q.statement_id
left join maint.query_text as t on t.text_id = s.text_id
order by i.ended_at desc, i.interval_id desc, q.total_exec_ms desc, q.statement_id;
comment on view maint.query_history is
  'What each statement did between two snapshots of pg_stat_statements, newest first. Rows without a statement sum up the rest.';
comment on column maint.query_history.interval_id is 'Number of the interval.';
comment on column maint.query_history.started_at is 'Start of the interval.';
comment on column maint.query_history.ended_at is 'End of the interval.';
comment on column maint.query_history.statement_id is 'The statement; null for the sum of those without a row of their own.';
comment on column maint.query_history.user_oid is 'The role that ran it.';
comment on column maint.query_history.queryid is 'As in pg_stat_statements.';
comment on column maint.query_history.toplevel is 'False where a function ran it.';
comment on column maint.query_history.text_id is 'Number of its text.';
comment on column maint.query_history.text is 'Its text with $1 for each constant.';
comment on column maint.query_history.verb is 'select, insert, update, delete, merge, utility; with where that is not known.';
comment on column maint.query_history.fingerprint is 'Of its parse tree; null where no worker has parsed it.';
comment on column maint.query_history.calls is 'Calls in the interval.';
comment on column maint.query_history.total_exec_ms is 'Time of execution in milliseconds.';
comment on column maint.query_history.mean_exec_ms is 'Milliseconds a call.';
comment on column maint.query_history.total_plan_ms is 'Time of planning in milliseconds, where it is tracked.';
comment on column maint.query_history.row_count is 'Rows returned or changed.';
comment on column maint.query_history.shared_blks_hit is 'Blocks found in shared buffers.';
comment on column maint.query_history.shared_blks_read is 'Blocks read into shared buffers.';
comment on column maint.query_history.shared_blks_dirtied is 'Blocks dirtied.';
comment on column maint.query_history.shared_blks_written is 'Blocks written out by the statement itself.';
comment on column maint.query_history.temp_blks_read is 'Blocks of temporary files read.';
comment on column maint.query_history.temp_blks_written is 'Blocks of temporary files written.';
comment on column maint.query_history.blk_read_ms is 'Time spent reading blocks in milliseconds.';
comment on column maint.query_history.blk_write_ms is 'Time spent writing blocks in milliseconds.';
comment on column maint.query_history.wal_records is 'WAL records written.';
comment on column maint.query_history.wal_bytes is 'WAL written, in bytes.';
comment on column maint.query_history.first_seen is 'When the statement was first seen.';
comment on column maint.query_history.last_seen is 'When it was last seen to be called.';
comment on column maint.query_history.own is 'Whether it is pg-maint''s own, or asks the system catalogs.';
