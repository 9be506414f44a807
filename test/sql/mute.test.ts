import test from 'ava';
import { createSampleDatabase } from '../../build/sample/database.ts';
import { install } from '../../src/worker/install.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeInvalidIndex, quoted } from '../support/broken-indexes.ts';
import { run } from '../support/maintenance.ts';

const index = { schema: 'shop', table: 'orders', index: 'orders_a_key' };
const only = ['invalid_indexes'];

interface Muted {
  finding_id: number;
  muted: boolean;
  resolved: boolean;
}

async function findings(database: TestDatabase): Promise<Muted[]> {
  return await database.query<Muted>(
    `select finding_id::int, muted_until is not null as muted, resolved_at is not null as resolved
     from maint.findings order by finding_id`,
  );
}

async function withFinding(t: Parameters<typeof createDatabase>[0]): Promise<[TestDatabase, number]> {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, index);
  await run(database, { only });
  const [finding] = await findings(database);
  return [database, finding!.finding_id];
}

test('a mute says who, why and until when, and ends when it is taken back', async (t) => {
  const [database, id] = await withFinding(t);
  const [row] = await database.query<{ mute: Record<string, unknown> }>(
    `select maint.mute($1, 'known', 'infinity') as mute`,
    [id],
  );
  t.deepEqual(Object.keys(row!.mute).sort(), ['finding_id', 'muted_by', 'reason', 'since', 'until']);
  t.is(row!.mute['reason'], 'known');
  t.deepEqual(await findings(database), [{ finding_id: id, muted: true, resolved: false }]);
  const unmute = async (): Promise<boolean> =>
    (await database.query<{ ended: boolean }>('select maint.unmute($1) as ended', [id]))[0]!.ended;
  t.true(await unmute());
  t.deepEqual(await findings(database), [{ finding_id: id, muted: false, resolved: false }]);
  t.false(await unmute());
});

test('muted again, the new reason and time hold', async (t) => {
  const [database, id] = await withFinding(t);
  await database.query(`select maint.mute($1, 'first', 'infinity')`, [id]);
  await database.query(`select maint.mute($1, 'second', now() + interval '1 hour')`, [id]);
  t.deepEqual(
    await database.query("select reason, until < now() + interval '2 hours' as soon from maint.finding_mute"),
    [{ reason: 'second', soon: true }],
  );
});

test('it expires', async (t) => {
  const [database, id] = await withFinding(t);
  await database.query(`select maint.mute($1, 'for now', now() + interval '1 hour')`, [id]);
  await database.query(`update maint.finding_mute set until = now() - interval '1 second'`);
  t.false((await findings(database))[0]!.muted);
  t.deepEqual(await database.query('select maint.unmute($1) as ended', [id]), [{ ended: false }]);
});

test('a muted finding is kept up to date, resolved when it is gone, and muted when found again', async (t) => {
  const [database, id] = await withFinding(t);
  await database.query(`select maint.mute($1, 'known', 'infinity')`, [id]);
  await database.query(`update maint.finding set last_seen = last_seen - interval '1 day'`);
  await run(database, { only });
  t.deepEqual(
    await database.query(`select last_seen > now() - interval '1 hour' as recent from maint.findings`),
    [{ recent: true }],
  );
  await database.query(`drop index ${quoted(index)}`);
  await run(database, { only });
  t.true((await findings(database))[0]!.resolved);
  await makeInvalidIndex(database, index);
  await run(database, { only });
  const [, again] = await findings(database);
  t.deepEqual([again!.muted, again!.resolved], [true, false]);
});

test('what makes no sense is refused, and changes nothing', async (t) => {
  const [database, id] = await withFinding(t);
  for (const [call, message] of [
    [`maint.mute(${id + 1}, 'why', 'infinity')`, /there is no finding/],
    [`maint.mute(null, 'why', 'infinity')`, /there is no finding null/],
    [`maint.mute(${id}, ' ', 'infinity')`, /needs a reason/],
    [`maint.mute(${id}, null, 'infinity')`, /needs a reason/],
    [`maint.mute(${id}, 'why', now())`, /needs a time in the future/],
    [`maint.mute(${id}, 'why', null)`, /needs a time in the future, not null/],
    [`maint.unmute(${id + 1})`, /there is no finding/],
    ['maint.unmute(null)', /there is no finding/],
  ] as const) {
    await t.throwsAsync(database.query(`select ${call}`), { code: '22023', message }, call);
  }
  t.deepEqual(await database.query('select from maint.finding_mute'), []);
});

test('an alert counts and names no finding that is muted', async (t) => {
  const [database, id] = await withFinding(t);
  const other = { schema: 'shop', table: 'orders', index: 'orders_other' };
  await makeInvalidIndex(database, other);
  const alerts = async (): Promise<string[]> =>
    (await run(database, { only })).alerts.map(({ message }) => message);
  await database.query(`select maint.configure('features.invalid_index_cleanup.auto_cleanup', 'false')`);
  t.regex((await alerts()).join(), /^invalid indexes found: 2, /);
  await database.query(`select maint.mute($1, 'known', 'infinity')`, [id]);
  t.regex((await alerts()).join(), /^invalid indexes found: 1, /);
  await database.query(
    `select maint.mute(finding_id, 'known too', 'infinity') from maint.findings where object_name = 'orders_other'`,
  );
  t.deepEqual(await alerts(), []);
  t.is((await run(database, { only })).cleanup['invalid_indexes_found'], 2, 'the result has them all');
  await database.query('select maint.unmute($1)', [id]);
  t.regex((await alerts()).join(), /^invalid indexes found: 1, /);
});

test('where all findings of a step are muted, it gives no alert', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create schema shop; create table shop.orders (a int, b int);
    create index one on shop.orders (a); create index two on shop.orders (a, b)`);
  const alerts = async (): Promise<number> =>
    (await run(database, { only: ['redundant_indexes'] })).alerts.length;
  t.is(await alerts(), 1);
  await database.query(`select maint.mute(finding_id, 'known', 'infinity') from maint.findings`);
  t.is(await alerts(), 0);
});

test('whichever step found it: what is muted is in no alert, and the actions for it are in no count', async (t) => {
  const database = await createDatabase(t);
  await createSampleDatabase(database.url, database.name);
  await install(database.url);
  const { alerts } = await run(database);
  t.deepEqual([...new Set(alerts.map(({ step }) => step))], [1, 2, 3, 7, 10]);
  await database.query(`select maint.mute(finding_id, 'known', 'infinity') from maint.findings
    where kind <> 'index.invalid' and resolved_at is null`);
  // A second invalid index, whose removal is as muted as its finding.
  await makeInvalidIndex(database, index);
  await run(database, { only });
  await database.query(`select maint.mute(finding_id, 'known', 'infinity') from maint.findings
    where object_name = 'orders_a_key'`);
  t.deepEqual(
    (await run(database)).alerts.map(({ step, message }) => [step, message]),
    [[3, 'invalid indexes found: 1, to be removed: 1']],
  );
  await database.query(
    `select maint.mute(finding_id, 'known', 'infinity') from maint.findings where resolved_at is null`,
  );
  t.deepEqual((await run(database)).alerts, []);
});
