/**
 * Measures indexes that workers have rebuilt, so that their history begins where they are at their best. Beside the actions,
 * not within them: one look at all costs little more than one at each, and keeps no rebuild waiting.
 */
import type pg from 'pg';
import { configForObject, configOf } from '../core/configuration.ts';
import type { SettingsSnapshot } from '../core/configuration.ts';
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import indexHealth from '../steps/07-index-health.ts';
import { lookAtIndexes } from '../steps/index-health/look.ts';
import type { IndexHealthConfig } from '../steps/index-health/settings.ts';
import { queryRow } from './connection.ts';
import { runInTransaction } from './host.ts';

/** Long enough for a statement of another's, not for a run, which keeps what it wrote locked to its end. */
const lockTimeout = '2s';

/**
 * Those of the last hour at which step 7 has not looked since; later than that a run has, or the step is switched off. One
 * that was rebuilt has another file; one that was dropped or renamed meanwhile is left to the next run.
 */
const rebuiltQuery = `
  select pg_catalog.to_jsonb(c.oid::int8) as row
  from maint.action as a
  join pg_catalog.pg_namespace as n on n.nspname = a.target ->> 'schema'
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = a.target ->> 'index' and c.relkind = 'i'
  where a.kind = 'reindex_index' and a.status = 'succeeded'
    and a.finished_at > pg_catalog.clock_timestamp() - interval '1 hour'
    and not exists (
      select from maint.index_usage as u
      join maint.index_measurement as m on m.usage_id = u.usage_id
      where u.index_oid = c.oid and m.relfilenode = c.relfilenode)
  group by c.oid
  order by c.oid`;

/** Whether there are any. */
export async function rebuiltAreWaiting(client: pg.ClientBase): Promise<boolean> {
  const { waiting } = await queryRow<{ waiting: boolean }>(
    client,
    `select exists (${rebuiltQuery}) as waiting`,
  );
  return waiting;
}

/**
 * False where a run or another worker is at it: then it is to be asked again. Throws what the server throws; the rebuilds
 * stand in any case, and the next run measures, too.
 */
export async function measureRebuilt(client: pg.ClientBase): Promise<boolean> {
  const { settings, now } = await queryRow<{ settings: SettingsSnapshot; now: string }>(
    client,
    `select maint.settings_snapshot() as settings, pg_catalog.to_jsonb(pg_catalog.clock_timestamp()) as now`,
  );
  const config = configOf(indexHealth, settings) as unknown as IndexHealthConfig;
  if (!config.enabled) return true;
  const configFor = (object: Parameters<typeof configForObject>[2]): IndexHealthConfig =>
    configForObject(indexHealth, settings, object) as unknown as IndexHealthConfig;
  await client.query(`set lock_timeout = '${lockTimeout}'`);
  return await runInTransaction(
    client,
    unlessBusy(function* () {
      const oids = yield* query<number>(rebuiltQuery);
      if (oids.length > 0) yield* lookAtIndexes({ config, configFor, now }, oids);
    }),
  );
}

/** A run keeps the lock to its end, which may be minutes: it is not waited for. */
function* unlessBusy(program: () => Program<void>): Program<boolean> {
  const free = yield* queryOne<boolean>(
    `with locked as (
       select l.name from maint.lock as l where l.name = 'identity' order by l.name for update skip locked)
     select pg_catalog.to_jsonb(pg_catalog.count(*) > 0) as row from locked order by 1`,
  );
  if (free) yield* program();
  return free;
}
