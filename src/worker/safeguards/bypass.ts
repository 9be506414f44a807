/** Nothing is done while everything, all actions or the feature that asked for it are bypassed. */
import type { Safeguard } from './safeguard.ts';

/** A bypass may be ended at any moment; asking again is one query. */
const retryAfterSeconds = 60;

interface Row {
  feature: string;
  reason: string;
  bypassed_by: string;
  until: string;
}

export const bypass: Safeguard = {
  name: 'bypass',
  async check(client, action) {
    const { rows } = await client.query<Row>(
      `select b.feature, b.reason, b.bypassed_by, b.until::text
       from maint.feature_bypass as b
       where b.until > pg_catalog.clock_timestamp()
         and b.feature in ('everything', 'actions', (
           select pg_catalog.regexp_replace(coalesce(d.feature, d.name), '^features\\.', '')
           from maint.step_definition as d where d.step_number = $1))
       order by b.until desc
       limit 1`,
      [action.step_number],
    );
    const [row] = rows;
    if (!row) return { allowed: true };
    const reason = `${row.feature} is bypassed by ${row.bypassed_by} until ${row.until}: ${row.reason}`;
    return { allowed: false, reason, retryAfterSeconds };
  },
};
