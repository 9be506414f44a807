create or replace view maint.forecasts_brief as
select
  maint.wrap_text(format('%I.%I', f.schema_name, f.index_name), 30) as index,
  round(f.bloat_percent::numeric, 1) || ' %' as bloat,
  round(f.threshold::numeric, 1) || ' %' as threshold,
  to_char(f.crosses_at, 'YYYY-MM-DD') as crosses_at,
  to_char(f.reindex_at, 'YYYY-MM-DD HH24:MI') as reindex_at,
  pg_size_pretty(f.expected_saving_bytes) as saving,
  maint.wrap_text(concat_ws(': ', nullif(f.status, 'forecast'), f.reason), 20) as why
from maint.forecasts as f;
comment on view maint.forecasts_brief is
  'maint.forecasts in 120 columns: the same rows in the same order.';
comment on column maint.forecasts_brief.index is 'The index, quoted as it must be typed.';
comment on column maint.forecasts_brief.bloat is 'Its bloat when the forecast was made.';
comment on column maint.forecasts_brief.threshold is 'The bloat from which it counts as bloated.';
comment on column maint.forecasts_brief.crosses_at is 'On which day it passes the threshold; null: not within 14 days, or not known.';
comment on column maint.forecasts_brief.reindex_at is 'When to rebuild it: in the last maintenance window that opens before.';
comment on column maint.forecasts_brief.saving is 'What a REINDEX gives back then, about.';
comment on column maint.forecasts_brief.why is 'Why nothing is foreseen.';
