create or replace view maint.config_effective as
select
  d.path,
  case when s.path is null or problem.message is not null then d.default_value else s.value end as value,
  d.default_value,
  'database' as scope,
  d.unit,
  s.set_by,
  s.set_at,
  d.doc,
  problem.message || ': the default holds' as ignored
from maint.setting_definition as d
left join maint.setting as s on s.path = d.path and s.scope = 'database'
left join lateral (
  select maint.setting_problem(d, s.value) ->> 'message' as message where s.path is not null) as problem on true
union all
select
  s.path,
  s.value,
  d.default_value,
  s.scope,
  d.unit,
  s.set_by,
  s.set_at,
  d.doc,
  case
    when d.path is null then 'this version does not know it; maint.reset removes it'
    when s.scope <> 'database' and not d.scoped then 'it holds for the whole database only'
    else maint.setting_problem(d, s.value) ->> 'message'
  end
from maint.setting as s
left join maint.setting_definition as d on d.path = s.path
where s.scope <> 'database' or d.path is null
order by path, scope;
comment on view maint.config_effective is
  'The configuration in force: one row a setting for the database, then one for each narrower scope that has a value.';
comment on column maint.config_effective.path is 'The key, as in maint.configure and in YAML.';
comment on column maint.config_effective.value is 'The value in force there.';
comment on column maint.config_effective.default_value is 'What holds when nothing is configured.';
comment on column maint.config_effective.scope is 'database, or the objects it is narrowed to; the narrowest wins.';
comment on column maint.config_effective.unit is 'Unit of the value.';
comment on column maint.config_effective.set_by is 'Who configured it; null where the default holds.';
comment on column maint.config_effective.set_at is 'When it was configured.';
comment on column maint.config_effective.doc is 'What it means.';
comment on column maint.config_effective.ignored is 'Why a stored value is not used; null for all that are.';
