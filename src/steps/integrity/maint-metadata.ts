/** pg-maint's own tables: records about objects that are gone, and definitions that are not this bundle's. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  table: string;
  problem: string;
  severity: 'info' | 'warning';
  rows: number;
}

/** Vanished objects are forgotten by step 2 of the same run: that they were there is said, but nobody need act. */
const text = `
  select pg_catalog.jsonb_build_object('table', p.table_name, 'problem', p.problem, 'severity', p.severity,
      'rows', p.found) as row
  from (
    select 'index_check' as table_name, 'of indexes that no longer exist' as problem, 'info' as severity,
      pg_catalog.count(*) as found
    from maint.index_check as k
    where not exists (select from pg_catalog.pg_class as c where c.oid = k.index_oid)
    union all
    select 'action', 'queued for objects that no longer exist', 'info', pg_catalog.count(*)
    from maint.action as a
    where a.status = 'queued' and a.target ? 'oid'
      and not exists (select from pg_catalog.pg_class as c where c.oid = (a.target ->> 'oid')::oid)
    union all
    select 'setting', 'whose key this version does not know', 'warning', pg_catalog.count(*)
    from maint.setting as s
    where not exists (select from maint.setting_definition as d where d.path = s.path)
    union all
    select 'feature_bypass', 'whose feature this version does not know', 'warning', pg_catalog.count(*)
    from maint.feature_bypass as b
    where b.feature not in ('everything', 'actions')
      and not exists (
        select from maint.step_definition as d
        where b.feature in (d.name, pg_catalog.regexp_replace(d.feature, '^features\\.', '')))
    union all
    select 'finding', 'open, of steps this version does not have', 'warning', pg_catalog.count(*)
    from maint.finding as f
    where f.resolved_at is null
      and not exists (select from maint.step_definition as d where d.step_number = f.step_number)
  ) as p
  order by p.table_name, p.problem`;

const name = 'maint_metadata';

export const maintMetadata: IntegrityCheck = {
  name,
  title: "pg-maint's own records",
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows
      .filter(({ rows: count }) => count > 0)
      .map(({ table, problem, severity, rows: count }) => ({
        kind: integrityKind(name),
        severity,
        schema: 'maint',
        table,
        object: null,
        discriminator: problem,
        summary: `maint.${table} has ${count} rows ${problem}.`,
        detail: { rows: count },
        remedy: null,
      }));
    return wholeReport(rows.length, findings);
  },
};
