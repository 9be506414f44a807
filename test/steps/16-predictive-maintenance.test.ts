import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { lastOpening } from '../../src/worker/forecast/forecast-job.ts';
import { parseWindow } from '../../src/core/window.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import { forecast, grow, noise, withHistory } from '../support/forecasts.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { foundNames, openFindings, run, waitForRow } from '../support/maintenance.ts';
import { hostileNames } from '../support/names.ts';
import { startWorker } from '../support/worker.ts';

const only = ['predictive_maintenance'];
const kind = 'index.forecast_bloat';

async function step(database: TestDatabase): Promise<JsonObject> {
  return (await run(database, { only })).cleanup['predictive_maintenance'] as JsonObject;
}

async function growing(t: ExecutionContext): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await grow(database);
  return database;
}

test('no history: unknown, and a forecast is queued once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const first = await step(database);
  t.is(first['predicted_reindex_needs'], null);
  t.is(first['recommendations'], null);
  t.is(first['status'], 'not_made');
  t.is(first['next_forecast'], 'queued');
  t.is((await step(database))['next_forecast'], 'already_queued');
  await withHistory(database, 'young', 5, () => 3);
  await forecast(database);
  const after = await step(database);
  t.is(after['predicted_reindex_needs'], null, 'nothing is known of the one index there is');
  t.is(after['status'], 'insufficient_data');
  const [row] = await database.query('select status, reason from maint.forecasts');
  t.is(row!['status'], 'insufficient_history');
  t.regex(row!['reason'] as string, /days are known/);
});

test('an index that will pass its threshold is found; a flat one is not, and what is rebuilt is forgotten', async (t) => {
  const database = await growing(t);
  await withHistory(database, 'flat', 60, (ago) => 5 + noise(99, ago) / 4);
  await withHistory(database, 'past it', 60, (ago) => 30 - ago / 10);
  await forecast(database);
  const statuses = await database.query<{ index_name: string; status: string; days: number | null }>(
    'select index_name, status, days from maint.forecasts order by index_name',
  );
  const of = (name: string): { status: string; days: number | null } =>
    statuses.find(({ index_name }) => index_name === name)!;
  t.is(of('past it').status, 'bloated');
  t.is(of('flat').days, null);
  const result = await step(database);
  t.is(result['status'], 'done');
  const found = await foundNames(database, kind);
  t.true(found.length >= 4, JSON.stringify(statuses));
  t.is(result['predicted_reindex_needs'], found.length);
  t.is(result['recommendations'], found.length);
  t.false(found.includes('public.flat'));
  t.false(found.includes('public.past it'));
  const [finding] = await openFindings(database, kind);
  t.is(finding!.severity, 'info');
  t.is(finding!.detail['threshold'], 20);
  t.is(finding!.detail['expected_saving_bytes'], 10_000_000);
  t.true((finding!.detail['skill'] as number) > 0);
  const days = finding!.detail as Record<string, number>;
  t.true(days['days_low']! <= days['days']! && days['days']! <= 7);
  await database.query(finding!.remedy!);
  await database.query(`update maint.index_measurement set rebuilt_at = now() + interval '1 second'`);
  t.is((await step(database))['predicted_reindex_needs'], 0);
  t.deepEqual(await foundNames(database, kind), []);
});

test('its own threshold holds for an index, and the window says when', async (t) => {
  const database = await growing(t);
  await database.query(`select maint.configure('features.index_health.bloat_threshold', '90', 'index:public."grows 0"'),
    maint.configure('operational.safeguards.maintenance_windows', '["22:00-23:00"]')`);
  await forecast(database);
  const rows = await database.query<{ index_name: string; threshold: number; at: string | null }>(
    `select index_name, threshold, to_char(reindex_at at time zone 'UTC', 'HH24:MI') as at from maint.forecasts
     where status = 'forecast' order by index_name`,
  );
  t.is(rows[0]?.threshold, 90);
  t.is(rows[0]?.at, null);
  t.true(rows.slice(1).some(({ at }) => at !== null));
  for (const { at } of rows.filter((row) => row.at !== null)) t.regex(at!, /^2[12]:(00|59)$/);
});

test('a forecast that is too old is no forecast, and its findings stay open', async (t) => {
  const database = await growing(t);
  await forecast(database);
  t.true(((await step(database))['predicted_reindex_needs'] as number) > 0);
  await database.query(
    `update maint.training set finished_at = now() - interval '3 days' where kind = 'forecast'`,
  );
  const result = await step(database);
  t.is(result['predicted_reindex_needs'], null);
  t.regex(JSON.stringify(result['reason']), /too old/);
  t.true((await foundNames(database, kind)).length > 0);
});

test('hostile names', async (t) => {
  const database = await growing(t);
  await database.query(`create schema ${pg.escapeIdentifier(hostileNames[0]!)}`);
  await withHistory(
    database,
    hostileNames[1]!,
    60,
    (ago) => 19.5 - ago * 0.3 + noise(5, ago),
    hostileNames[0],
  );
  await forecast(database);
  await step(database);
  for (const finding of await openFindings(database, kind)) {
    if (finding.object_name === hostileNames[1]) {
      await database.query(finding.remedy!);
      t.true(
        finding.summary.includes(pg.escapeIdentifier(hostileNames[1])) ||
          finding.summary.includes(hostileNames[1]),
      );
    }
  }
  t.pass();
});

test('a worker makes the forecast that the step queued', async (t) => {
  const database = await growing(t);
  await step(database);
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.training where kind = 'forecast' and status = 'done'`,
    [],
    120,
  );
  t.true(((await step(database))['predicted_reindex_needs'] as number) > 0);
});

test('the last opening of a window before a moment, or else the next', (t) => {
  const windows = [parseWindow('sat 02:00-04:00')!];
  const monday = { day: 1, minute: 0 };
  t.is(lastOpening(windows, monday, 14 * 1440), 5 * 1440 + 120 + 7 * 1440);
  t.is(lastOpening(windows, monday, 7 * 1440), 5 * 1440 + 120);
  t.is(lastOpening(windows, monday, 1440), 5 * 1440 + 120, 'none before: the next one there is');
});

test('switched off, the step does not run and the result is unknown', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('features.predictive_maintenance.enabled', 'false')`);
  const result = await run(database, { only });
  t.is(result.steps['predictive_maintenance']?.reason, 'disabled');
  t.deepEqual(result.cleanup['predictive_maintenance'], {
    predicted_reindex_needs: null,
    recommendations: null,
  });
});
