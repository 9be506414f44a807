import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';

const only = ['safeguard_metrics'];

interface Metrics {
  index_creation: { attempts: number; successes: number; success_rate: number | null };
  actions: Record<string, { attempts: number; failures: number; success_rate: number | null }>;
  rate_limit_triggers: number;
  load_throttle_triggers: number;
  lock_acquisition_failures: number;
  maintenance_window_skips: number;
  refusals: Record<string, { times: number; actions: number; waiting: number }>;
}

function metricsOf(result: RunResult): Metrics {
  return result.cleanup['safeguard_metrics'] as unknown as Metrics;
}

async function events(
  database: TestDatabase,
  count: number,
  event: string,
  { kind = 'create_index', safeguard = null as string | null, action = 1, hoursAgo = 0 } = {},
): Promise<void> {
  await database.query(
    `insert into maint.safeguard_event (action_id, kind, event, safeguard, at)
     select $4, $2, $3, $5, now() - make_interval(hours => $6) from generate_series(1, $1)`,
    [count, kind, event, action, safeguard, hoursAgo],
  );
}

test('nothing attempted: no rate, and neither healthy nor degraded', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database, { only });
  const metrics = metricsOf(result);
  t.like(metrics.index_creation, { attempts: 0, successes: 0, success_rate: null });
  t.deepEqual(metrics.actions, {});
  t.is(metrics.rate_limit_triggers, 0);
  t.is(result.cleanup['safeguard_status'], 'n/a');
  t.deepEqual(result.alerts, []);
});

test('refusals alone are no attempts', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await events(database, 3, 'refused', { safeguard: 'maintenance_window' });
  const result = await run(database, { only });
  t.is(metricsOf(result).maintenance_window_skips, 3);
  t.is(metricsOf(result).index_creation.success_rate, null);
  t.is(result.cleanup['safeguard_status'], 'n/a');
});

test('an attempt under way is not a failed one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await events(database, 1, 'attempt');
  const result = await run(database, { only });
  t.like(metricsOf(result).index_creation, { attempts: 1, successes: 0, success_rate: null });
  t.is(result.cleanup['safeguard_status'], 'healthy');
});

test('counts by kind and by safeguard, of the last day', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await events(database, 10, 'attempt');
  await events(database, 9, 'success');
  await events(database, 1, 'failure');
  await events(database, 2, 'attempt', { kind: 'drop_index' });
  await events(database, 2, 'success', { kind: 'drop_index' });
  await events(database, 2, 'lock_timeout', { kind: 'drop_index' });
  await events(database, 2, 'refused', { safeguard: 'rate_limit' });
  await events(database, 3, 'refused', { safeguard: 'load_throttle', action: 7 });
  await events(database, 1, 'refused', { safeguard: 'load_throttle', action: 8 });
  await events(database, 99, 'failure', { hoursAgo: 25 });
  const result = await run(database, { only });
  const metrics = metricsOf(result);
  t.like(metrics.index_creation, { attempts: 10, successes: 9, success_rate: 0.9 });
  t.is(metrics.actions['drop_index']!.success_rate, 1);
  t.is(metrics.rate_limit_triggers, 2);
  t.is(metrics.load_throttle_triggers, 4);
  t.is(metrics.lock_acquisition_failures, 2);
  t.deepEqual(metrics.refusals['load_throttle'], { times: 4, actions: 2, waiting: 0 });
  t.is(result.cleanup['safeguard_status'], 'healthy');
});

test('degraded from three that ended with more failed than done, and well again when they succeed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await events(database, 2, 'attempt');
  await events(database, 2, 'failure');
  t.is((await run(database, { only })).cleanup['safeguard_status'], 'healthy', 'two say nothing');
  await events(database, 1, 'attempt');
  await events(database, 1, 'failure');
  const result = await run(database, { only });
  t.is(result.cleanup['safeguard_status'], 'degraded');
  t.deepEqual(result.cleanup['safeguard_status_reasons'], ['create_index: 3 of 3 attempts failed']);
  t.is(result.alerts[0]!.severity, 'warning');
  await events(database, 3, 'success');
  t.is((await run(database, { only })).cleanup['safeguard_status'], 'healthy');
});
