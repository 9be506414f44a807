create or replace view maint.config_effective_brief as
select
  maint.wrap_text(c.path, 54) as path,
  maint.wrap_text(concat_ws(' ', c.value, c.unit), 20) as value,
  maint.wrap_text(c.scope, 14) as scope,
  maint.wrap_text(case
    when c.ignored is not null then c.ignored
    when c.set_by is not null then format('by %s; the default is %s', c.set_by, c.default_value) end, 20) as changed
from maint.config_effective as c;
comment on view maint.config_effective_brief is
  'maint.config_effective in 120 columns: the same rows in the same order.';
comment on column maint.config_effective_brief.path is 'The key, as in maint.configure and in YAML.';
comment on column maint.config_effective_brief.value is 'The value in force there, with its unit.';
comment on column maint.config_effective_brief.scope is 'database, or the objects it is narrowed to; the narrowest wins.';
comment on column maint.config_effective_brief.changed is
  'Who configured it and what would hold otherwise, or why a stored value is not used; null where the default holds.';
