/** Forgets workers that went without a word, and safeguard events older than the retention. */
import type { Chore } from './chore.ts';

export default {
  name: 'forget old',
  for: 'database',
  connection: 'shared',
  everySeconds: () => 3600,
  async run(client, { config }) {
    await client.query(
      `delete from maint.worker where last_seen < pg_catalog.clock_timestamp() - interval '1 day'`,
    );
    await client.query(
      `delete from maint.safeguard_event
       where at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => $1::int)`,
      [config['operational.maintenance_tasks.retention_days']],
    );
    return undefined;
  },
} satisfies Chore;
