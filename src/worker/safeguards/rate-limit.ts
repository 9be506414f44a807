/** So many actions an hour and no more, whoever begins them. */
import { queryRow } from '../connection.ts';
import type { Safeguard } from './safeguard.ts';

export const rateLimit: Safeguard = {
  name: 'rate_limit',
  async check(client, action, config) {
    const limit = Number(config['actions_per_hour']);
    if (limit === 0) return { allowed: true };
    const { begun, again } = await queryRow<{ begun: number; again: number | null }>(
      client,
      `select pg_catalog.count(*)::int as begun,
         pg_catalog.ceil(extract(epoch from
           pg_catalog.min(e.at) + interval '1 hour' - pg_catalog.clock_timestamp()))::int as again
       from maint.safeguard_event as e
       where e.event = 'attempt' and e.at > pg_catalog.clock_timestamp() - interval '1 hour'
         and e.action_id is distinct from $1::int8`,
      [action.action_id],
    );
    if (begun < limit) return { allowed: true };
    return {
      allowed: false,
      reason: `${begun} actions were begun within an hour, and ${limit} is the most`,
      retryAfterSeconds: Math.max(again ?? 0, 10),
    };
  },
};
