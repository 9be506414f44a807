/** ANALYZE of one table, or of a partition tree at its root. It takes no lock that readers or writers wait for. */
import { queryRow } from '../connection.ts';
import { defineAction } from './action.ts';
import type { ActionRow } from './action.ts';
import { recheck } from './recheck.ts';
import type pg from 'pg';

interface Probe {
  quoted: string;
  /** As text, to the microsecond; null where it is not known. */
  analyzed: string | null;
}

/** By identity: a table that took the name of the one meant is another one. */
async function probe(client: pg.ClientBase, { target }: ActionRow<'analyze_table'>): Promise<Probe | null> {
  // Within a transaction the counters would be those of its beginning.
  await client.query('select pg_catalog.pg_stat_clear_snapshot()');
  const { row } = await queryRow<{ row: Probe | null }>(
    client,
    `select (
       select pg_catalog.jsonb_build_object('quoted', pg_catalog.format('%I.%I', n.nspname, c.relname),
         'analyzed', pg_catalog.pg_stat_get_last_analyze_time(c.oid))
       from pg_catalog.pg_class as c
       join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
       where c.oid = $1::oid and n.nspname = $2 and c.relname = $3 and c.relkind in ('r', 'm', 'p')) as row`,
    [target.oid, target.schema, target.table],
  );
  return row;
}

export const analyzeTable = defineAction({
  kind: 'analyze_table',

  async prepare(client, action) {
    const found = await probe(client, action);
    if (!found) {
      return { ok: false, outcome: 'expired', reason: 'the table is gone, or is another one under its name' };
    }
    const unwanted = await recheck(client, action, null);
    if (unwanted !== null) return unwanted;
    return {
      ok: true,
      // lock_timeout keeps it from waiting for long: behind it others would queue that want the table exclusively.
      statement: `analyze ${found.quoted}`,
      // Old statistics can't be brought back, and nobody wants them.
      inverse: null,
      sizeBefore: null,
      on: { tableOid: action.target.oid, need: 'maintain' },
      waitsOn: null,
      intent: { analyzed_before: found.analyzed },
    };
  },

  async verify(client, action, plan) {
    const before = plan.intent['analyzed_before'];
    // What a session did is counted a moment later than it did it.
    for (let attempt = 0; ; attempt += 1) {
      const found = await probe(client, action);
      if (!found) return { ok: false, sizeAfter: null, reason: 'the table is gone' };
      if (found.analyzed !== null && found.analyzed !== before) {
        return { ok: true, sizeAfter: null, reason: `analyzed at ${found.analyzed}` };
      }
      if (attempt === 20) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { ok: false, sizeAfter: null, reason: 'the server does not say that it was analyzed' };
  },
});
