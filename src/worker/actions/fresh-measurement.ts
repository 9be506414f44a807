/** Measures an index that was just rebuilt, so that its history begins where it is at its best. */
import type pg from 'pg';
import { configForObject, configOf } from '../../core/configuration.ts';
import type { SettingsSnapshot } from '../../core/configuration.ts';
import { FailureError, query } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import indexHealth from '../../steps/07-index-health.ts';
import { lookAtIndexes } from '../../steps/index-health/look.ts';
import type { IndexHealthConfig } from '../../steps/index-health/settings.ts';
import { lockClass, measurementLock, queryRow } from '../connection.ts';
import { sqlstateOf } from '../errors.ts';
import { runInTransaction } from '../host.ts';

/** Long enough for a statement of another's, not for a run, which keeps what it wrote locked to its end. */
const lockTimeout = '2s';

/** Null when it is done, or is not wanted; else why not. The rebuild stands in any case: the next run measures, too. */
export async function measureFresh(client: pg.ClientBase, oid: number): Promise<string | null> {
  await client.query(`set lock_timeout = '${lockTimeout}'`);
  try {
    await measure(client, oid);
    return null;
  } catch (error) {
    // A lost connection has no SQLSTATE, and ends the action.
    if (sqlstateOf(error) === null && !(error instanceof FailureError)) throw error;
    return (error as Error).message;
  } finally {
    await client.query('set lock_timeout = 0');
  }
}

async function measure(client: pg.ClientBase, oid: number): Promise<void> {
  const { settings, now } = await queryRow<{ settings: SettingsSnapshot; now: string }>(
    client,
    `select maint.settings_snapshot() as settings, pg_catalog.to_jsonb(pg_catalog.clock_timestamp()) as now`,
  );
  const config = configOf(indexHealth, settings) as unknown as IndexHealthConfig;
  if (!config.enabled) return;
  const configFor = (object: Parameters<typeof configForObject>[2]): IndexHealthConfig =>
    configForObject(indexHealth, settings, object) as unknown as IndexHealthConfig;
  await runInTransaction(client, alone(lookAtIndexes({ config, configFor, now }, oid)));
}

/** One after another: each of several rebuilds that end at once would write the same rows. */
function* alone<Value>(program: Program<Value>): Program<Value> {
  yield* query(
    'select pg_catalog.to_jsonb(pg_catalog.pg_advisory_xact_lock($1::int, $2::int)::text) as row',
    [lockClass, measurementLock],
  );
  return yield* program;
}
