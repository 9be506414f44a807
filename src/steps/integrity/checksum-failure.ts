/** Pages whose checksum did not match when they were read, counted by the server since the statistics were reset. */
import { query } from '../../core/program.ts';
import type { IntegrityCheck } from './check.ts';
import { integrityKind, wholeReport } from './check.ts';

interface Row {
  database: string | null;
  quoted: string;
  enabled: boolean;
  failures: number | null;
  last_failure: string | null;
}

/** The row without a database name counts shared relations. */
const text = `
  select pg_catalog.jsonb_build_object('database', s.datname,
      'quoted', coalesce('database ' || pg_catalog.quote_ident(s.datname), 'the shared relations'),
      'enabled', pg_catalog.current_setting('data_checksums') = 'on',
      'failures', s.checksum_failures, 'last_failure', s.checksum_last_failure) as row
  from pg_catalog.pg_stat_database as s
  order by s.datname nulls first`;

const name = 'checksum_failure';

export const checksumFailure: IntegrityCheck = {
  name,
  title: 'Data checksum failures',
  *look() {
    const rows = yield* query<Row>(text);
    if (rows.some(({ enabled }) => !enabled)) {
      return {
        findings: [],
        total: rows.length,
        examined: 0,
        unexamined: [
          {
            reason: 'not_counted',
            detail: 'data checksums are off on this server: no damage of a page is noticed',
            remedy: 'pg_checksums --enable, while the server is stopped',
          },
        ],
      };
    }
    const findings = rows
      .filter(({ failures }) => failures !== null && failures > 0)
      .map(({ database, quoted, failures, last_failure }) => ({
        kind: integrityKind(name),
        severity: 'critical' as const,
        schema: null,
        table: null,
        object: database,
        summary: `${failures} pages of ${quoted} failed their checksum, last at ${last_failure}.`,
        detail: { failures, last_failure },
        remedy: null,
      }));
    return wholeReport(rows.length, findings);
  },
};
