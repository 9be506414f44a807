/** Snapshots of pg_stat_statements and of the table counters between the runs, so that no reset or eviction costs much. */
import { parseTexts } from '../parse-texts.ts';
import type { Chore } from './chore.ts';

export default {
  name: 'query history',
  for: 'database',
  connection: 'own',
  everySeconds(config) {
    const seconds = Number(config['features.pattern_learning.snapshot_interval']);
    return config['features.pattern_learning.enabled'] === true && seconds > 0 ? seconds : null;
  },
  async run(client, { signal }) {
    // What keeps it from reading pg_stat_statements is said by each run of step 8, with the remedy, not here every time.
    await client.query('select maint.take_query_snapshot(pg_catalog.clock_timestamp())');
    await client.query('select maint.sample_workload(pg_catalog.clock_timestamp())');
    await parseTexts(client, signal);
    return undefined;
  },
} satisfies Chore;
