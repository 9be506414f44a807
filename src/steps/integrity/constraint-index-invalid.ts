/** Constraints that rest on an invalid index: uniqueness or exclusion may not hold. Step 3 never touches these. */
import { query } from '../../core/program.ts';
import { invalidIndexes, undecidedFindings } from '../../catalog/invalid-indexes.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';
import type { Finding } from '../step.ts';

const countQuery = `
  select pg_catalog.to_jsonb(pg_catalog.count(*)) as row
  from pg_catalog.pg_constraint as k where k.conindid <> 0 and k.contype in ('p', 'u', 'x')
  order by 1`;

const name = 'constraint_index_invalid';

export const constraintIndexInvalid: IntegrityCheck = {
  name,
  title: 'Constraints that rest on an invalid index',
  *look() {
    const [total = 0] = yield* query<number>(countQuery);
    const { settled, undecided } = yield* invalidIndexes();
    const findings = settled
      .filter(({ constraint, partitioned, attached }) => constraint !== null && !partitioned && !attached)
      .map((index): Finding => ({
        kind: integrityKind(name),
        severity: 'critical',
        schema: index.schema,
        table: index.table,
        object: index.index,
        summary: `Index ${index.quoted} of constraint ${index.constraint} is invalid.`,
        detail: { constraint: index.constraint, definition: index.definition },
        remedy: `reindex index concurrently ${index.quoted};`,
      }));
    return { ...wholeReport(total, findings), keepOpen: undecidedFindings(integrityKind(name), undecided) };
  },
};
