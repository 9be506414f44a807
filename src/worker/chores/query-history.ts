/** Snapshots of pg_stat_statements and of the table counters between the runs, so that no reset or eviction costs much. */
import { queryRow } from '../connection.ts';
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
  async run(client, { log, signal }) {
    const { snapshot } = await queryRow<{ snapshot: { status: string; detail?: string } }>(
      client,
      'select maint.take_query_snapshot(pg_catalog.clock_timestamp()) as snapshot',
    );
    await client.query('select maint.sample_workload(pg_catalog.clock_timestamp())');
    if (snapshot.status !== 'taken' && snapshot.status !== 'busy') {
      log(`query history: ${snapshot.status}: ${snapshot.detail ?? ''}`);
    }
    await parseTexts(client, signal);
    return undefined;
  },
} satisfies Chore;
