create or replace view maint.workload as
select
  n.nspname as schema_name,
  c.relname as table_name,
  w.rows_read,
  w.rows_written,
  w.rows_read::float8 / nullif(w.rows_read + w.rows_written, 0) as read_ratio,
  w.rows_inserted,
  w.rows_updated,
  w.rows_deleted,
  w.rows_hot_updated::float8 / nullif(w.rows_updated, 0) as hot_share,
  w.blocks,
  (select count(*) from pg_catalog.pg_index as x where x.indrelid = c.oid) as indexes,
  s.since,
  s.until
from (
  select t.table_oid, sum(t.rows_scanned + t.rows_fetched) as rows_read,
    sum(t.rows_inserted + t.rows_updated + t.rows_deleted) as rows_written, sum(t.rows_inserted) as rows_inserted,
    sum(t.rows_updated) as rows_updated, sum(t.rows_hot_updated) as rows_hot_updated,
    sum(t.rows_deleted) as rows_deleted, sum(t.blocks) as blocks
  from maint.table_workload as t
  where t.hour > clock_timestamp() - interval '24 hours'
  group by t.table_oid
) as w
join pg_catalog.pg_class as c on c.oid = w.table_oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join (
  select min(d.started_at) as since, max(d.ended_at) as until
  from maint.workload_sample as d where d.hour > clock_timestamp() - interval '24 hours'
) as s
order by w.blocks desc, n.nspname, c.relname;
comment on view maint.workload is
  'What was read and written in each table in the last 24 hours, the busiest first; of a partitioned table each partition.';
comment on column maint.workload.schema_name is 'Schema of the table, not quoted.';
comment on column maint.workload.table_name is 'The table, not quoted.';
comment on column maint.workload.rows_read is 'Live rows that scans of the table and its indexes looked at.';
comment on column maint.workload.rows_written is 'Rows inserted, updated and deleted.';
comment on column maint.workload.read_ratio is 'Share of the rows that were read, from 0 to 1.';
comment on column maint.workload.rows_inserted is 'Rows inserted.';
comment on column maint.workload.rows_updated is 'Rows updated.';
comment on column maint.workload.rows_deleted is 'Rows deleted.';
comment on column maint.workload.hot_share is 'Share of the updates that wrote no index entry (HOT), from 0 to 1.';
comment on column maint.workload.blocks is 'Blocks of the table and its indexes that were looked at, in memory or not.';
comment on column maint.workload.indexes is 'How many indexes the table has: each makes its writes dearer.';
comment on column maint.workload.since is 'Since when this is counted.';
comment on column maint.workload.until is 'Until when this is counted.';
