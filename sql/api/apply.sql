-- Queues what a finding's remedy says, as an action for the worker: the removal of an index, a rebuild, a new index, an
-- ANALYZE. It is asked for explicitly, so auto_* settings do not matter; bypass, feature switch and safeguards do, and the
-- worker probes again before it acts. Returns {"action_id", "status", "kind", "target", "already"}; already means that
-- such an action was queued or running before. Raises 22023, with the reason, where there is nothing to apply.
create or replace function maint.apply(finding_id bigint)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, maint, pg_temp
as $function$
declare
  finding maint.finding;
  refusal text;
  table_oid bigint;
  table_kind "char";
  target jsonb;
  action_kind text;
  new_index text;
  already jsonb;
begin
  perform maint.require_primary();
  select f.* into finding from maint.finding as f where f.finding_id = apply.finding_id for share;
  if not found then
    raise exception 'there is no finding %', coalesce(finding_id::text, 'null')
      using errcode = 'invalid_parameter_value',
      hint = 'The numbers are in maint.findings.finding_id.';
  end if;
  select c.oid::int8, c.relkind into table_oid, table_kind
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = finding.schema_name and c.relname = finding.table_name;
  action_kind := maint.finding_action(finding_id) ->> 'kind';
  refusal := maint.finding_action(finding_id) ->> 'refusal';
  if refusal is not null then
    raise exception 'finding % can''t be applied: %', finding_id, refusal
      using errcode = 'invalid_parameter_value',
      hint = coalesce('By hand: ' || finding.remedy, 'Look at maint.findings.detail.');
  end if;

  target := pg_catalog.jsonb_build_object('schema', finding.schema_name, 'table', finding.table_name);
  if action_kind in ('drop_index', 'reindex_index') then
    target := target || pg_catalog.jsonb_build_object('index', finding.object_name,
      'oid', (finding.detail ->> 'index_oid')::int8);
  else
    target := target || pg_catalog.jsonb_build_object('oid', table_oid);
  end if;
  if action_kind = 'create_index' then
    -- The name is made here, so that asking twice for one finding must be told by the finding.
    select pg_catalog.jsonb_build_object('action_id', a.action_id, 'status', a.status, 'kind', a.kind,
      'target', a.target, 'already', true) into already
    from maint.action as a
    where a.finding_id = apply.finding_id and a.kind = action_kind and a.status in ('queued', 'running');
    if found then
      return already;
    end if;
    new_index := maint.new_index_name(finding.schema_name, finding.table_name,
      array(select pg_catalog.jsonb_array_elements_text(coalesce(finding.detail -> 'columns', '[]'))));
    target := target || pg_catalog.jsonb_build_object('index', new_index, 'statement', case table_kind
      -- The worker builds the partitions' indexes one by one and attaches them.
      when 'p' then pg_catalog.format('create index concurrently %I on %I.%I %s', new_index, finding.schema_name,
        finding.table_name, finding.detail ->> 'index_on')
      else
      -- A replacement in which a backslash of the name would mean something is none: the parts are put together.
      pg_catalog.rtrim(pg_catalog.substring(finding.remedy, '(?i)^create (?:unique )?index concurrently ')
        || pg_catalog.quote_ident(new_index) || ' '
        || pg_catalog.substr(finding.remedy, pg_catalog.length(
          pg_catalog.substring(finding.remedy, '(?i)^create (?:unique )?index concurrently ')) + 1), ';') end);
  end if;
  return maint.queue_action(action_kind, target, finding.step_number, finding.run_id, apply.finding_id,
    'applied by ' || session_user, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
      'definition', finding.detail -> 'definition', 'size_bytes', finding.detail -> 'size_bytes',
      'covered_by_oid', finding.detail -> 'covered_by_oid')));
end
$function$;
comment on function maint.apply(bigint) is
  'Queues what a finding''s remedy says as an action for the worker; refuses with the reason where there is none.';
