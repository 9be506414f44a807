/** Constraints that were added NOT VALID: rows from before need not satisfy them, and the planner cannot rely on them. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, userSchema, wholeReport } from './check.ts';

interface Row {
  schema: string;
  table: string;
  constraint: string;
  quoted_owner: string;
  quoted_constraint: string;
  domain: boolean;
  validated: boolean;
}

/** Inherited ones are judged where they were declared. NOT ENFORCED ones (PostgreSQL 18) are meant to be unchecked. */
const text = `
  select pg_catalog.jsonb_build_object('schema', n.nspname, 'table', coalesce(c.relname, t.typname),
      'constraint', k.conname,
      'quoted_owner', pg_catalog.format('%I.%I', n.nspname, coalesce(c.relname, t.typname)),
      'quoted_constraint', pg_catalog.quote_ident(k.conname),
      'domain', k.contypid <> 0, 'validated', k.convalidated) as row
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_namespace as n on n.oid = k.connamespace
  left join pg_catalog.pg_class as c on c.oid = k.conrelid
  left join pg_catalog.pg_type as t on t.oid = k.contypid
  where k.contype in ('c', 'f', 'n')
    and k.conparentid = 0 and k.coninhcount = 0
    and pg_catalog.to_jsonb(k) ->> 'conenforced' is distinct from 'false'
    and ${userSchema}
  order by n.nspname, coalesce(c.relname, t.typname), k.conname`;

const name = 'constraint_not_valid';

export const constraintNotValid: IntegrityCheck = {
  name,
  title: 'Constraints that are NOT VALID',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows
      .filter(({ validated }) => !validated)
      .map((row) => ({
        kind: integrityKind(name),
        severity: 'warning' as const,
        schema: row.schema,
        table: row.table,
        object: row.constraint,
        summary: `Constraint ${row.quoted_constraint} of ${row.quoted_owner} is NOT VALID: existing rows were never checked.`,
        detail: { domain: row.domain },
        remedy: `alter ${row.domain ? 'domain' : 'table'} ${row.quoted_owner} validate constraint ${row.quoted_constraint};`,
      }));
    return wholeReport(rows.length, findings);
  },
};
