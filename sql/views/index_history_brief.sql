create or replace view maint.index_history_brief as
select
  maint.wrap_text(format('%I.%I', h.schema_name, h.index_name), 30) as index,
  to_char(h.sampled_at, 'YYYY-MM-DD HH24:MI') as sampled_at,
  pg_size_pretty(h.size_bytes) as size,
  round(h.bloat_percent::numeric, 1) || ' %' || coalesce(' +/- ' || round(h.error_points::numeric, 1), '') as bloat,
  pg_size_pretty(h.wasted_bytes) as wasted,
  h.scans,
  h.rebuilt
from maint.index_history as h;
comment on view maint.index_history_brief is
  'maint.index_history in 120 columns: the same rows in the same order.';
comment on column maint.index_history_brief.index is 'The index, quoted as it must be typed now.';
comment on column maint.index_history_brief.sampled_at is 'When the sample was taken.';
comment on column maint.index_history_brief.size is 'Size of the index.';
comment on column maint.index_history_brief.bloat is 'What a REINDEX would have given back of it; null where it was not measured at that time.';
comment on column maint.index_history_brief.wasted is 'The same in bytes.';
comment on column maint.index_history_brief.scans is 'All scans of the index known by then.';
comment on column maint.index_history_brief.rebuilt is 'Whether it was rebuilt since the sample before.';
