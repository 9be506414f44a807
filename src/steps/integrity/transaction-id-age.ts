/** How much of the transaction-id and multixact space is used up. At 100 % the server refuses every write. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  database: string;
  quoted: string;
  current: boolean;
  counter: 'transaction id' | 'multixact';
  age: number;
  percent: number;
  oldest: { table: string; age: number }[] | null;
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
      'counter', used.counter, 'age', used.age, 'percent', round(100.0 * used.age / ${usableIds}, 2),
      'oldest', case when d.datname = pg_catalog.current_database() then (
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('table', o.name, 'age', o.age) order by o.age desc, o.name)
        from (
          select pg_catalog.format('%I.%I', n.nspname, c.relname) as name,
            case used.counter when 'multixact' then pg_catalog.mxid_age(c.relminmxid)
              else pg_catalog.age(c.relfrozenxid) end as age
          from pg_catalog.pg_class as c
          join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
          where c.relkind in ('r', 'm', 't') and used.age > ${usableIds} * $1::numeric / 100
          order by 2 desc, 1
          limit 5) as o) end) as row
  from pg_catalog.pg_database as d
  cross join lateral (values
    ('transaction id', pg_catalog.age(d.datfrozenxid)),
    ('multixact', pg_catalog.mxid_age(d.datminmxid))) as used (counter, age)
  order by d.datname, used.counter`;

const name = 'transaction_id_age';

export const transactionIdAge: IntegrityCheck = {
  name,
  title: 'Transaction-id and multixact age of every database',
  *look({ config }) {
    const limit = config.transaction_id_used_percent;
    const rows = yield* query<Row>(text, [limit]);
    const findings = rows
      .filter(({ percent }) => percent >= limit)
      .map((row) => {
        const [oldest] = row.oldest ?? [];
        return {
          kind: integrityKind(name),
          severity: row.percent >= criticalPercent ? ('critical' as const) : ('warning' as const),
          schema: null,
          table: null,
          object: row.database,
          discriminator: row.counter,
          summary: `Database ${row.quoted} has used ${row.percent} % of its ${row.counter}s.`,
          detail: {
            counter: row.counter,
            age: row.age,
            percent: row.percent,
            oldest_tables: row.oldest ? row.oldest.map((each) => ({ ...each })) : null,
          },
          remedy: oldest ? `vacuum (freeze, verbose) ${oldest.table};` : null,
        };
      });
    return wholeReport(rows.length, findings);
  },
};
