-- What pg_stat_statements and the table statistics counted, kept as differences between snapshots, so that resets,
-- evictions and restarts of the server neither lose it nor count it twice; and what was learned from it.

create table maint.query_history_state (
  only_row boolean primary key default true check (only_row),
  database_oid oid not null,
  sampled_at timestamptz not null,
  stats_reset timestamptz,
  dealloc bigint not null,
  unreadable int not null
);
comment on table maint.query_history_state is 'How pg_stat_statements stood at the last snapshot: one row.';
comment on column maint.query_history_state.only_row is 'Always true.';
comment on column maint.query_history_state.database_oid is
  'The database it was taken in: in a copy of it the history begins anew.';
comment on column maint.query_history_state.sampled_at is 'When the last snapshot was taken.';
comment on column maint.query_history_state.stats_reset is
  'pg_stat_statements_info.stats_reset: another value means that all counters began anew at that moment.';
comment on column maint.query_history_state.dealloc is
  'pg_stat_statements_info.dealloc: how often the server threw out the statements that were executed least.';
comment on column maint.query_history_state.unreadable is
  'Entries of other roles that could not be read. What they counted before they can be read is not history.';

create table maint.query_text (
  text_id int generated always as identity primary key,
  digest text not null unique,
  text text not null,
  length int not null,
  verb text not null,
  own boolean not null,
  first_seen timestamptz not null,
  parsed_at timestamptz,
  parse_error text,
  fingerprint text,
  shape jsonb
);
create index query_text_not_parsed_idx on maint.query_text (text_id) where parsed_at is null;
comment on table maint.query_text is
  'Texts of statements as pg_stat_statements normalised them ($1 for each constant), once each, and what a worker parsed.';
comment on column maint.query_text.text_id is 'Number of the text.';
comment on column maint.query_text.digest is 'md5 of the whole text in hexadecimal.';
comment on column maint.query_text.text is 'The text, cut after 20,000 characters.';
comment on column maint.query_text.length is 'Characters of the whole text; one that was cut is not parsed.';
comment on column maint.query_text.verb is
  'select, insert, update, delete, merge or utility; with where the first word does not tell and no worker has parsed it.';
comment on column maint.query_text.own is
  'It names pg-maint, its queue, or the system catalogs explicitly: no pattern is learned from such a one unless it reads a table of the users as well.';
comment on column maint.query_text.first_seen is 'The snapshot that saw it first.';
comment on column maint.query_text.parsed_at is 'When a worker parsed it, or failed to; null: not parsed yet.';
comment on column maint.query_text.parse_error is 'Why it could not be parsed; null where it was.';
comment on column maint.query_text.fingerprint is
  'Of its parse tree without constants, aliases'' order and list lengths: texts with the same one are one pattern.';
comment on column maint.query_text.shape is
  'What it does: ParsedStatement of src/catalog/parsed-statement.ts. Names as written, not resolved.';

create table maint.query_statement (
  statement_id int generated always as identity primary key,
  user_oid oid not null,
  database_oid oid not null,
  queryid bigint not null,
  toplevel boolean not null,
  text_id int not null references maint.query_text,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  unique (user_oid, database_oid, queryid, toplevel)
);
create index query_statement_text_id_idx on maint.query_statement (text_id);
comment on table maint.query_statement is
  'Statements of this database as pg_stat_statements tells them apart: by user, query and whether a client sent them.';
comment on column maint.query_statement.statement_id is 'Number of the statement.';
comment on column maint.query_statement.user_oid is 'The role that ran it.';
comment on column maint.query_statement.database_oid is
  'The database it ran in: another one than this where the database was copied together with its history.';
comment on column maint.query_statement.queryid is 'The server''s hash of the parsed query.';
comment on column maint.query_statement.toplevel is 'False where a function ran it.';
comment on column maint.query_statement.text_id is 'Its text.';
comment on column maint.query_statement.first_seen is 'The snapshot that saw it first.';
comment on column maint.query_statement.last_seen is 'When a snapshot saw it last to have been called, to the hour; at first when it was first seen.';

create table maint.query_counter (
  statement_id int primary key references maint.query_statement on delete cascade,
  born timestamptz,
  calls bigint not null,
  total_exec_ms float8 not null,
  min_exec_ms float8 not null,
  max_exec_ms float8 not null,
  total_plan_ms float8 not null,
  row_count bigint not null,
  shared_blks_hit bigint not null,
  shared_blks_read bigint not null,
  shared_blks_dirtied bigint not null,
  shared_blks_written bigint not null,
  temp_blks_read bigint not null,
  temp_blks_written bigint not null,
  blk_read_ms float8 not null,
  blk_write_ms float8 not null,
  wal_records bigint not null,
  wal_bytes bigint not null
) with (fillfactor = 60);
comment on table maint.query_counter is
  'The server''s counters of each statement that it had at the last snapshot: what the next one takes its differences from.';
comment on column maint.query_counter.statement_id is 'The statement.';
comment on column maint.query_counter.born is 'stats_since, from PostgreSQL 17 on: another value is another count from zero.';
comment on column maint.query_counter.calls is 'calls of pg_stat_statements.';
comment on column maint.query_counter.total_exec_ms is 'total_exec_time, in milliseconds.';
comment on column maint.query_counter.min_exec_ms is 'min_exec_time: of one and the same entry it never rises.';
comment on column maint.query_counter.max_exec_ms is 'max_exec_time: of one and the same entry it never falls.';
comment on column maint.query_counter.total_plan_ms is 'total_plan_time, in milliseconds; 0 unless pg_stat_statements.track_planning is on.';
comment on column maint.query_counter.row_count is 'rows of pg_stat_statements.';
comment on column maint.query_counter.shared_blks_hit is 'Blocks found in shared buffers.';
comment on column maint.query_counter.shared_blks_read is 'Blocks read into shared buffers.';
comment on column maint.query_counter.shared_blks_dirtied is 'Blocks dirtied.';
comment on column maint.query_counter.shared_blks_written is 'Blocks written out by the statement itself.';
comment on column maint.query_counter.temp_blks_read is 'Blocks of temporary files read.';
comment on column maint.query_counter.temp_blks_written is 'Blocks of temporary files written.';
comment on column maint.query_counter.blk_read_ms is 'Time spent reading blocks in milliseconds; 0 unless track_io_timing is on.';
comment on column maint.query_counter.blk_write_ms is 'Time spent writing blocks in milliseconds; 0 unless track_io_timing is on.';
comment on column maint.query_counter.wal_records is 'WAL records written.';
comment on column maint.query_counter.wal_bytes is 'WAL written, in bytes.';

create table maint.query_interval (
  interval_id int generated always as identity primary key,
  started_at timestamptz not null,
  ended_at timestamptz not null check (ended_at >= started_at),
  snapshots int not null,
  rolled_up boolean not null,
  counters_lost boolean not null,
  evictions bigint not null,
  unreadable int not null,
  statements int not null
);
create index query_interval_ended_at_idx on maint.query_interval (ended_at);
comment on table maint.query_interval is
  'The time between two snapshots of pg_stat_statements; older ones are rolled up to one row an hour.';
comment on column maint.query_interval.interval_id is 'Number of the interval.';
comment on column maint.query_interval.started_at is 'The snapshot before; or since when the counters counted, where there was none.';
comment on column maint.query_interval.ended_at is 'The snapshot that made it.';
comment on column maint.query_interval.snapshots is 'How many snapshots were rolled up into it; 1 where it is not.';
comment on column maint.query_interval.rolled_up is 'True for a row of an hour.';
comment on column maint.query_interval.counters_lost is
  'The statistics were reset in it, or lost by a crash: what was called between its start and the reset is not counted.';
comment on column maint.query_interval.evictions is
  'How often the server threw out the least executed statements meanwhile: their calls since the snapshot before are not counted.';
comment on column maint.query_interval.unreadable is 'Entries of other roles that could not be read at its end.';
comment on column maint.query_interval.statements is 'Different statements that were called in it, at least; pg-maint''s own are not counted.';

create table maint.query_sample (
  interval_id int not null references maint.query_interval on delete cascade,
  statement_id int references maint.query_statement on delete cascade,
  verb text not null,
  calls bigint not null,
  total_exec_ms float8 not null,
  total_plan_ms float8 not null,
  row_count bigint not null,
  shared_blks_hit bigint not null,
  shared_blks_read bigint not null,
  shared_blks_dirtied bigint not null,
  shared_blks_written bigint not null,
  temp_blks_read bigint not null,
  temp_blks_written bigint not null,
  blk_read_ms float8 not null,
  blk_write_ms float8 not null,
  wal_records bigint not null,
  wal_bytes bigint not null,
  unique nulls not distinct (interval_id, statement_id, verb)
);
create index query_sample_statement_id_idx on maint.query_sample (statement_id);
comment on table maint.query_sample is
  'What each statement did in an interval: the difference of its counters, or all of them where they began at zero in it. The statements with the most time and the most calls have rows of their own, utility statements and our own excepted; the rest is summed up in one row for each verb, so that sums over all rows are those of the server.';
comment on column maint.query_sample.interval_id is 'The interval.';
comment on column maint.query_sample.statement_id is 'The statement; null for the sum of those without a row of their own.';
comment on column maint.query_sample.verb is 'As in query_text when the sample was taken; own for all that is pg-maint''s own or asks the system catalogs.';
comment on column maint.query_sample.calls is 'Calls in the interval.';
comment on column maint.query_sample.total_exec_ms is 'Time of execution in milliseconds.';
comment on column maint.query_sample.total_plan_ms is 'Time of planning in milliseconds; 0 unless pg_stat_statements.track_planning is on.';
comment on column maint.query_sample.row_count is 'Rows returned or changed.';
comment on column maint.query_sample.shared_blks_hit is 'Blocks found in shared buffers.';
comment on column maint.query_sample.shared_blks_read is 'Blocks read into shared buffers.';
comment on column maint.query_sample.shared_blks_dirtied is 'Blocks dirtied.';
comment on column maint.query_sample.shared_blks_written is 'Blocks written out by the statement itself.';
comment on column maint.query_sample.temp_blks_read is 'Blocks of temporary files read.';
comment on column maint.query_sample.temp_blks_written is 'Blocks of temporary files written: sorts and hashes that did not fit into work_mem.';
comment on column maint.query_sample.blk_read_ms is 'Time spent reading blocks in milliseconds.';
comment on column maint.query_sample.blk_write_ms is 'Time spent writing blocks in milliseconds.';
comment on column maint.query_sample.wal_records is 'WAL records written.';
comment on column maint.query_sample.wal_bytes is 'WAL written, in bytes.';

create table maint.query_pattern (
  pattern_id int generated always as identity primary key,
  pattern_key text not null unique,
  kind text not null check (kind in ('slow', 'fast')),
  text text not null,
  parsed boolean not null,
  tables jsonb not null,
  statements int not null,
  calls bigint not null,
  total_exec_ms float8 not null,
  mean_exec_ms float8 not null,
  rows_per_call float8 not null,
  blocks_per_call float8 not null,
  share_of_time float8,
  reasons jsonb not null,
  suggestions jsonb not null,
  window_from timestamptz not null,
  window_to timestamptz not null,
  first_learned timestamptz not null,
  last_learned timestamptz not null,
  expires_at timestamptz not null
);
comment on table maint.query_pattern is
  'Shapes of statements that were slow or fast in the 24 hours before they were learned last; forgotten when they expire.';
comment on column maint.query_pattern.pattern_id is 'Number of the pattern.';
comment on column maint.query_pattern.pattern_key is 'Fingerprint of the parse tree, or text: and the digest of one that is not parsed.';
comment on column maint.query_pattern.kind is 'slow or fast; never both, for there is one row a shape.';
comment on column maint.query_pattern.text is 'The most called of its statements.';
comment on column maint.query_pattern.parsed is 'Whether a worker has parsed it: if not, why it is slow is not known yet.';
comment on column maint.query_pattern.tables is 'The tables it uses, as psql needs their names; those that could not be resolved as written.';
comment on column maint.query_pattern.statements is 'How many statements of pg_stat_statements have this shape.';
comment on column maint.query_pattern.calls is 'Calls in the window.';
comment on column maint.query_pattern.total_exec_ms is 'Time of execution in the window, in milliseconds.';
comment on column maint.query_pattern.mean_exec_ms is 'Milliseconds a call.';
comment on column maint.query_pattern.rows_per_call is 'Rows returned or changed by a call.';
comment on column maint.query_pattern.blocks_per_call is 'Shared blocks that a call looked at, found in memory or not.';
comment on column maint.query_pattern.share_of_time is 'Share of the time of all statements of the database in the window, from 0 to 1.';
comment on column maint.query_pattern.reasons is 'Why it is slow, each with its evidence: [{"reason", "detail", ...}]. Empty for a fast one.';
comment on column maint.query_pattern.suggestions is 'What would help: [{"kind", "statement", ...}], with what an index would cost.';
comment on column maint.query_pattern.window_from is 'Since when the figures count.';
comment on column maint.query_pattern.window_to is 'Until when they count.';
comment on column maint.query_pattern.first_learned is 'When it was learned first, as this kind.';
comment on column maint.query_pattern.last_learned is 'When it was learned last.';
comment on column maint.query_pattern.expires_at is 'When it is forgotten unless it is learned again.';

create table maint.workload_state (
  only_row boolean primary key default true check (only_row),
  sampled_at timestamptz not null,
  statistics text not null,
  counters jsonb not null,
  wal_lsn pg_catalog.pg_lsn
);
comment on table maint.workload_state is 'How the counters of the whole database stood at the last sample: one row.';
comment on column maint.workload_state.only_row is 'Always true.';
comment on column maint.workload_state.sampled_at is 'When the last sample was taken.';
comment on column maint.workload_state.statistics is
  'Names the life of the server''s statistics: another text means that all counters began anew.';
comment on column maint.workload_state.counters is 'The counters of pg_stat_database.';
comment on column maint.workload_state.wal_lsn is 'How far the WAL was written then.';

create table maint.workload_sample (
  hour timestamptz primary key,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  counters_lost boolean not null,
  transactions bigint not null,
  rows_returned bigint not null,
  rows_fetched bigint not null,
  rows_inserted bigint not null,
  rows_updated bigint not null,
  rows_deleted bigint not null,
  blks_hit bigint not null,
  blks_read bigint not null,
  temp_bytes bigint not null,
  server_wal_bytes bigint not null
) with (fillfactor = 60);
comment on table maint.workload_sample is 'What the whole database did, by the hour in which a sample was taken.';
comment on column maint.workload_sample.hour is 'Start of the hour (UTC) in which its samples were taken.';
comment on column maint.workload_sample.started_at is 'The sample before the first of this hour.';
comment on column maint.workload_sample.ended_at is 'The last sample of this hour.';
comment on column maint.workload_sample.counters_lost is 'Statistics were reset or lost meanwhile: it did more than is counted here.';
comment on column maint.workload_sample.transactions is 'Transactions committed and rolled back.';
comment on column maint.workload_sample.rows_returned is 'tup_returned: live rows read by scans of tables and index entries returned.';
comment on column maint.workload_sample.rows_fetched is 'tup_fetched: live rows fetched by index scans.';
comment on column maint.workload_sample.rows_inserted is 'Rows inserted.';
comment on column maint.workload_sample.rows_updated is 'Rows updated.';
comment on column maint.workload_sample.rows_deleted is 'Rows deleted.';
comment on column maint.workload_sample.blks_hit is 'Blocks found in shared buffers.';
comment on column maint.workload_sample.blks_read is 'Blocks read from outside of shared buffers.';
comment on column maint.workload_sample.temp_bytes is 'Bytes written to temporary files.';
comment on column maint.workload_sample.server_wal_bytes is 'WAL that the whole server wrote meanwhile, in bytes; other databases included.';

create table maint.table_counter (
  table_oid oid primary key,
  rows_scanned bigint not null,
  rows_fetched bigint not null,
  rows_inserted bigint not null,
  rows_updated bigint not null,
  rows_hot_updated bigint not null,
  rows_deleted bigint not null,
  blocks bigint not null
) with (fillfactor = 60);
comment on table maint.table_counter is 'The server''s counters of each table at the last sample: what the next one takes its differences from.';
comment on column maint.table_counter.table_oid is 'The table; 0 never occurs here.';
comment on column maint.table_counter.rows_scanned is 'seq_tup_read: live rows read by sequential scans.';
comment on column maint.table_counter.rows_fetched is 'idx_tup_fetch: live rows fetched by index scans.';
comment on column maint.table_counter.rows_inserted is 'Rows inserted.';
comment on column maint.table_counter.rows_updated is 'Rows updated, HOT ones included.';
comment on column maint.table_counter.rows_hot_updated is 'Rows updated without a new index entry.';
comment on column maint.table_counter.rows_deleted is 'Rows deleted.';
comment on column maint.table_counter.blocks is 'Blocks of table and indexes that were looked at, in memory or not.';

create table maint.table_workload (
  hour timestamptz not null,
  table_oid oid not null,
  rows_scanned bigint not null,
  rows_fetched bigint not null,
  rows_inserted bigint not null,
  rows_updated bigint not null,
  rows_hot_updated bigint not null,
  rows_deleted bigint not null,
  blocks bigint not null,
  primary key (hour, table_oid)
) with (fillfactor = 60);
comment on table maint.table_workload is
  'What was read and written in each table, by the hour in which a sample was taken. The busiest tables have rows of their own, the others are summed up under 0.';
comment on column maint.table_workload.hour is 'As in workload_sample.';
comment on column maint.table_workload.table_oid is 'The table; 0 for the sum of those without a row of their own.';
comment on column maint.table_workload.rows_scanned is 'Live rows read by sequential scans.';
comment on column maint.table_workload.rows_fetched is 'Live rows fetched by index scans.';
comment on column maint.table_workload.rows_inserted is 'Rows inserted.';
comment on column maint.table_workload.rows_updated is 'Rows updated, HOT ones included.';
comment on column maint.table_workload.rows_hot_updated is 'Rows updated without a new index entry.';
comment on column maint.table_workload.rows_deleted is 'Rows deleted.';
comment on column maint.table_workload.blocks is 'Blocks of table and indexes that were looked at.';
