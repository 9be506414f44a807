/** Foreign keys whose triggers are switched off: nothing enforces them, though the constraint looks valid. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, userSchema, wholeReport } from './check.ts';

interface Row {
  schema: string;
  table: string;
  constraint: string;
  quoted_table: string;
  quoted_constraint: string;
  /** The tables whose triggers are off, quoted; null where all fire. */
  disabled_on: string[] | null;
}

/** tgenabled: O fires in origin mode, A always; D never, R only while replaying. */
const text = `
  select pg_catalog.jsonb_build_object('schema', n.nspname, 'table', c.relname, 'constraint', k.conname,
      'quoted_table', pg_catalog.format('%I.%I', n.nspname, c.relname),
      'quoted_constraint', pg_catalog.quote_ident(k.conname),
      'disabled_on', off.tables) as row
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as c on c.oid = k.conrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join (
    select g.tgconstraint, pg_catalog.jsonb_agg(distinct pg_catalog.format('%I.%I', tn.nspname, t.relname)) as tables
    from pg_catalog.pg_trigger as g
    join pg_catalog.pg_class as t on t.oid = g.tgrelid
    join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
    where g.tgisinternal and g.tgconstraint <> 0 and g.tgenabled in ('D', 'R')
    group by g.tgconstraint
  ) as off on off.tgconstraint = k.oid
  where k.contype = 'f' and k.conparentid = 0 and ${userSchema}
  order by n.nspname, c.relname, k.conname`;

const name = 'foreign_key_disabled';

export const foreignKeyDisabled: IntegrityCheck = {
  name,
  title: 'Foreign keys whose triggers are disabled',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows.flatMap((row) => {
      const { disabled_on: tables } = row;
      if (!tables) return [];
      return {
        kind: integrityKind(name),
        severity: 'critical' as const,
        schema: row.schema,
        table: row.table,
        object: row.constraint,
        summary: `Foreign key ${row.quoted_constraint} of ${row.quoted_table} is not enforced: its triggers are disabled on ${tables.join(', ')}.`,
        detail: { disabled_on: tables },
        remedy: tables.map((table) => `alter table ${table} enable trigger all;`).join('\n'),
      };
    });
    return wholeReport(rows.length, findings);
  },
};
