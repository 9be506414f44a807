/** How much of the transaction-id and multixact space is used up. At 100 % the server refuses every write. */
import { attempt, query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import type { Unexamined } from '../../core/coverage.ts';
import { unexaminedReason } from '../../core/sqlstate.ts';
import type { Finding } from '../step.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, namesInSummary, summarizeNames, wholeReport } from './check.ts';
import { horizonHolders, oldTables } from './freeze-horizon.ts';
import type { Holder, OldTable } from './freeze-horizon.ts';

interface Row {
  database: string;
  quoted: string;
  current: boolean;
  counter: 'transaction id' | 'multixact';
  age: number;
  percent: number;
}

/** Ids are compared modulo 2^32: 2^31 are in the past. */
const usableIds = 2 ** 31;

/**
 * vacuum_failsafe_age is 1.6e9 of 2^31 = 74.5 %: from there vacuum drops all else. Calling it critical a little early
 * costs a message; late, the database.
 */
const criticalPercent = 74;

const text = `
  select pg_catalog.jsonb_build_object('database', d.datname, 'quoted', pg_catalog.quote_ident(d.datname), 'current', d.datname = pg_catalog.current_database(),
      'counter', used.counter, 'age', used.age, 'percent', round(100.0 * used.age / ${usableIds}, 2)) as row
  from pg_catalog.pg_database as d
  cross join lateral (values
    ('transaction id', pg_catalog.age(d.datfrozenxid)),
    ('multixact', pg_catalog.mxid_age(d.datminmxid))) as used (counter, age)
  order by d.datname, used.counter`;

/** What to do in this database, and what it is about. */
interface Cause {
  tables: OldTable[];
  holders: Holder[];
}

/** A holder matters where vacuum could not get below the limit while it is there. */
function holding({ holders }: Cause, limit: number): Holder[] {
  return holders.filter(({ age }) => age >= (usableIds * limit) / 100);
}

function remedyOf(cause: Cause, limit: number): string | null {
  const orphans = cause.tables.filter(({ orphaned }) => orphaned);
  if (orphans.length > 0) return orphans.map(({ table }) => `drop table ${table};`).join('\n');
  const [holder] = holding(cause, limit);
  if (holder) return holder.remedy;
  const oldest = cause.tables.find(({ temporary }) => !temporary);
  return oldest ? `vacuum (freeze, verbose) ${oldest.table};` : null;
}

function causeText(cause: Cause, limit: number): string {
  const orphans = cause.tables.filter(({ orphaned }) => orphaned).map(({ table }) => table);
  const holders = holding(cause, limit).map(({ what, name }) => `${what} ${name}`);
  return [
    ...(orphans.length > 0
      ? [` Temporary tables whose session is gone, which no vacuum can freeze: ${summarizeNames(orphans)}.`]
      : []),
    ...(holders.length > 0 ? [` Vacuum cannot get below that because of ${holders.join(', ')}.`] : []),
  ].join('');
}

function* causeOf({ current, counter }: Row): Program<Cause> {
  if (!current) return { tables: [], holders: [] };
  return {
    tables: yield* oldTables(counter),
    holders: counter === 'multixact' ? [] : yield* horizonHolders(),
  };
}

const name = 'transaction_id_age';

export const transactionIdAge: IntegrityCheck = {
  name,
  title: 'Transaction-id and multixact age of every database',
  *look({ config }) {
    const limit = config.transaction_id_used_percent;
    const rows = yield* query<Row>(text);
    const findings: Finding[] = [];
    const unexamined: Omit<Unexamined, 'what'>[] = [];
    for (const row of rows.filter(({ percent }) => percent >= limit)) {
      // The finding is worth more than its cause, which needs rights that may be missing.
      const looked = yield* attempt(() => causeOf(row));
      if (!looked.ok) {
        const { sqlstate, message } = looked.failure;
        unexamined.push({
          reason: unexaminedReason(sqlstate) ?? 'failed',
          detail: `what holds back vacuum: ${sqlstate} ${message}`,
        });
      }
      const cause = looked.ok ? looked.value : { tables: [], holders: [] };
      const oldest = cause.tables.slice(0, namesInSummary);
      findings.push({
        kind: integrityKind(name),
        severity: row.percent >= criticalPercent ? 'critical' : 'warning',
        schema: null,
        table: null,
        object: row.database,
        discriminator: row.counter,
        summary: `Database ${row.quoted} has used ${row.percent} % of its ${row.counter}s.${causeText(cause, limit)}`,
        detail: {
          counter: row.counter,
          age: row.age,
          percent: row.percent,
          oldest_tables: row.current ? oldest.map((each) => ({ ...each })) : null,
          holders: row.current
            ? cause.holders.map(({ what, name: holder, age }) => ({ what, name: holder, age }))
            : null,
        },
        remedy: remedyOf(cause, limit),
      });
    }
    return { ...wholeReport(rows.length, findings), ...(unexamined.length > 0 && { unexamined }) };
  },
};
