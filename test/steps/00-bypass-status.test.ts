import test from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { openFindings, queuedActions, run } from '../support/maintenance.ts';

const shop = { schema: 'shop', table: 'orders', index: 'orders_a_key' };

async function bypass(
  database: TestDatabase,
  feature: string,
  until = "now() + interval '1 hour'",
): Promise<void> {
  await database.query(`select maint.bypass($1, 'because; it''s "hostile"', ${until})`, [feature]);
}

test('nothing bypassed: nothing said', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database);
  t.deepEqual(result.bypass_status.active, []);
  t.deepEqual(result.alerts, []);
});

test('a bypassed feature is skipped, said with who, why and until when, and comes back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await run(database);
  await bypass(database, 'features.invalid_index_cleanup');
  const result = await run(database);
  t.is(result.status, 'partial');
  t.is(result.steps['invalid_indexes']!.reason, 'bypassed');
  t.is(result.cleanup['invalid_indexes_found'], null);
  t.is(result.steps['orphaned_indexes']!.status, 'success');
  t.deepEqual(
    result.bypass_status.active.map(({ feature }) => feature),
    ['invalid_index_cleanup'],
  );
  const [alert] = result.alerts;
  t.is(alert!.severity, 'warning');
  t.regex(alert!.message, /^invalid_index_cleanup bypassed until .* by postgres: because; it's "hostile"$/);
  t.is((await openFindings(database, 'index.invalid')).length, 1);
  t.deepEqual(await database.query('select maint.unbypass($1) as ended', ['invalid_indexes']), [
    { ended: true },
  ]);
  t.is((await run(database)).cleanup['invalid_indexes_found'], 1);
  t.deepEqual(await database.query('select maint.unbypass($1) as ended', ['invalid_indexes']), [
    { ended: false },
  ]);
});

test('actions bypassed: checks run, nothing is queued, and the step says so', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, shop);
  await bypass(database, 'actions', "'infinity'");
  const result = await run(database);
  t.is(result.cleanup['invalid_indexes_found'], 1);
  t.is(result.cleanup['invalid_indexes_queued'], 0);
  t.is(result.steps['invalid_indexes']!.reason, '1 actions withheld: bypassed');
  t.deepEqual(await queuedActions(database), []);
  t.regex(result.alerts[0]!.message, /^actions bypassed permanently/);
});

test('everything bypassed: the run is skipped with the reason', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await bypass(database, 'everything');
  const result = await run(database);
  t.is(result.status, 'skipped');
  t.is(result.reason, 'bypassed');
});

test('an expired bypass is none', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await bypass(database, 'everything');
  await database.query(`update maint.feature_bypass set until = now() - interval '1 second'`);
  const result = await run(database);
  t.is(result.status, 'partial');
  t.deepEqual(result.bypass_status.active, []);
});

test('a bypass needs a known feature, a reason and a time to come; else nothing changes', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const [call, hint] of [
    [`maint.bypass('index_cleanups', 'why', 'infinity')`, /everything, actions, .*invalid_index_cleanup/],
    [`maint.bypass(null, 'why', 'infinity')`, /everything, actions/],
    [`maint.bypass('bypass_status', 'why', 'infinity')`, /everything, actions/],
    [`maint.bypass('actions', '  ', 'infinity')`, /Say why/],
    [`maint.bypass('actions', null, 'infinity')`, /Say why/],
    [`maint.bypass('actions', 'why', null)`, /infinity/],
    [`maint.bypass('actions', 'why', now() - interval '1 hour')`, /infinity/],
    [`maint.unbypass('nothing')`, /everything, actions/],
  ] as const) {
    const error = await t.throwsAsync(
      database.query(`select ${call}`),
      { instanceOf: pg.DatabaseError },
      call,
    );
    t.is(error.code, '22023', call);
    t.regex(error.hint!, hint, call);
  }
  t.deepEqual(await database.query('select from maint.feature_bypass'), []);
});
