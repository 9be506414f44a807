create or replace view maint.gaps_brief as
select
  g.gap_id,
  g.state,
  g.step,
  maint.wrap_text(concat_ws(': ', g.what, g.reason, g.detail), 44) as not_examined,
  maint.wrap_text(case
    when g.state = 'accepted' then format('accepted by %s until %s: %s', g.accepted_by, case
        when g.accepted_until = 'infinity' then 'further notice'
        else to_char(g.accepted_until, 'YYYY-MM-DD HH24:MI') end, g.accepted_reason)
    else g.remedy end, 42) as remedy
from maint.gaps as g;
comment on view maint.gaps_brief is
  'maint.gaps in 120 columns: the same rows in the same order.';
comment on column maint.gaps_brief.gap_id is 'Number of the gap, as maint.accept_gap takes it.';
comment on column maint.gaps_brief.state is 'open, accepted, not_yet or chosen.';
comment on column maint.gaps_brief.step is 'Number of the step.';
comment on column maint.gaps_brief.not_examined is 'What is not examined and why, in short lines.';
comment on column maint.gaps_brief.remedy is 'What would let it be examined; or who accepted it, and why.';
