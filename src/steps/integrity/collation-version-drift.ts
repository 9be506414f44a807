/**
 * Collations whose library has another version than the one indexes were built with: text may sort differently now,
 * so B-trees over it may miss rows and let duplicates in.
 */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  schema: string | null;
  collation: string;
  quoted: string;
  recorded: string | null;
  actual: string | null;
  indexes: number;
  default_of_database: boolean;
}

/** Only collations that a column or index key uses: the hundreds of others cannot have done harm. */
const text = `
  with used as (
    select distinct key.collation_oid, x.indexrelid
    from pg_catalog.pg_index as x
    cross join lateral pg_catalog.unnest(x.indcollation) as key (collation_oid)
    where key.collation_oid <> 0
  ), counted as (
    select u.collation_oid, pg_catalog.count(*) as indexes from used as u group by u.collation_oid
  )
  select pg_catalog.jsonb_build_object('schema', v.nspname, 'collation', v.collname, 'quoted', v.quoted,
      'recorded', v.recorded, 'actual', v.actual, 'indexes', v.indexes,
      'default_of_database', v.default_of_database) as row
  from (
    select n.nspname, c.collname, pg_catalog.format('%I.%I', n.nspname, c.collname) as quoted,
      c.collversion as recorded, pg_catalog.pg_collation_actual_version(c.oid) as actual,
      u.indexes, false as default_of_database
    from counted as u
    join pg_catalog.pg_collation as c on c.oid = u.collation_oid
    join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
    where c.collversion is not null
    union all
    select null, d.datname, pg_catalog.quote_ident(d.datname), d.datcollversion,
      pg_catalog.pg_database_collation_actual_version(d.oid),
      coalesce((select u.indexes from counted as u where u.collation_oid = 100), 0), true
    from pg_catalog.pg_database as d
    where d.datname = pg_catalog.current_database()
  ) as v
  order by v.default_of_database, v.quoted`;

const name = 'collation_version_drift';

export const collationVersionDrift: IntegrityCheck = {
  name,
  title: 'Collations whose version changed under their indexes',
  *look() {
    const rows = yield* query<Row>(text);
    const findings = rows
      .filter(({ recorded, actual }) => recorded !== null && recorded !== actual)
      .map((row) => {
        const what = row.default_of_database
          ? `The default collation of database ${row.quoted}`
          : `Collation ${row.quoted}`;
        const refresh = row.default_of_database
          ? `alter database ${row.quoted} refresh collation version;`
          : `alter collation ${row.quoted} refresh version;`;
        return {
          kind: integrityKind(name),
          severity: 'warning' as const,
          schema: row.schema,
          table: null,
          object: row.collation,
          discriminator: row.default_of_database ? 'database' : 'collation',
          summary: `${what} changed from version ${row.recorded} to ${row.actual ?? 'none'}: ${row.indexes} indexes may be out of order.`,
          detail: { recorded: row.recorded, actual: row.actual, indexes: row.indexes },
          remedy: `-- reindex what uses it first, then:\n${refresh}`,
        };
      });
    return wholeReport(rows.length, findings);
  },
};
