-- Why a plan is missing, as a step counts it: what could not be examined is named with its reason.

alter table maint.plan_request add column reason text;
comment on column maint.plan_request.reason is
  'The reason in src/core/coverage.ts, where the statement could have been planned and was not; null where there is nothing to plan any more.';
-- Those that were answered before have none: they are planned again when a run asks for them.
delete from maint.plan_request as p where p.problem is not null;
