create or replace view maint.index_health_brief as
select
  maint.wrap_text(format('%I.%I', h.schema_name, h.index_name), 30) as index,
  h.verdict,
  h.size,
  round(h.bloat_percent::numeric, 1) || ' %' || coalesce(' +/- ' || round(h.error_points::numeric, 1), '') as bloat,
  h.wasted,
  maint.wrap_text(h.why, 28) as why
from maint.index_health as h;
comment on view maint.index_health_brief is
  'maint.index_health in 120 columns: the same rows in the same order.';
comment on column maint.index_health_brief.index is 'The index, quoted as it must be typed.';
comment on column maint.index_health_brief.verdict is 'healthy, bloated, underutilized or unknown.';
comment on column maint.index_health_brief.size is 'Its size.';
comment on column maint.index_health_brief.bloat is 'What a REINDEX would give back of it, and how far off that may be; null where it is not known.';
comment on column maint.index_health_brief.wasted is 'The same in bytes.';
comment on column maint.index_health_brief.why is 'What the verdict rests on, in short lines.';
