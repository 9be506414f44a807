/** Gaps: what a run could not examine makes it partial, and a person can accept that. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { createExtensions } from '../support/extensions.ts';
import { run } from '../support/maintenance.ts';

const only = ['integrity_check'];
const structure = 'Structure of B-tree indexes (amcheck)';

interface Gap {
  gap_id: number;
  state: string;
  what: string;
  reason: string;
  remedy: string | null;
}

async function gaps(database: TestDatabase): Promise<Gap[]> {
  return await database.query<Gap>('select gap_id::int, state, what, reason, remedy from maint.gaps');
}

async function accept(database: TestDatabase, id: number, until = 'infinity'): Promise<void> {
  await database.query(`select maint.accept_gap($1, 'no amcheck here', $2::timestamptz)`, [id, until]);
}

test('what was not examined makes step and run partial, with reason and remedy, and is closed by the run that sees it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const result = await run(database, { only });
  t.is(result.status, 'partial');
  t.is(result.integrity_check.status, 'unknown');
  const step = result.steps['integrity_check']!;
  t.is(step.status, 'partial');
  t.is(step.reason, `not examined: ${structure} (not_installed)`);
  t.like(step.coverage, { examined: 10, of: 11 });
  t.like(step.coverage!.unexamined[0], { what: structure, reason: 'not_installed', standing: 'gap' });
  t.like(result.unexamined, { gap: 1, accepted: 0 });
  const [gap, ...others] = await gaps(database);
  t.deepEqual(others, []);
  t.like(gap, {
    state: 'open',
    what: structure,
    reason: 'not_installed',
    remedy: 'create extension amcheck;',
  });

  await database.query(gap!.remedy!);
  // An installation would grant it to the owner, too; the run says what is missing else.
  await run(database, { only });
  const [next] = await gaps(database);
  if (process.env['MAINT_TEST_HOST'] !== 'node') t.like(next, { what: structure, reason: 'not_permitted' });
  // The host in Node runs as the superuser that the test connects as, and sees it at once.
  if (next) await database.query(next.remedy!);
  const complete = await run(database, { only });
  t.is(complete.status, 'success');
  t.is(complete.integrity_check.status, 'healthy');
  t.deepEqual(await gaps(database), []);
});

test('an accepted gap no longer makes the run partial, is still shown, and is no health', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await run(database, { only });
  const [gap] = await gaps(database);
  await accept(database, gap!.gap_id);
  const result = await run(database, { only });
  t.is(result.status, 'success');
  t.is(result.steps['integrity_check']!.status, 'success');
  t.is(result.integrity_check.status, 'unknown', 'accepted is not examined');
  t.like(result.unexamined, { gap: 0, accepted: 1 });
  t.like((await gaps(database))[0], { gap_id: gap!.gap_id, state: 'accepted' });

  await database.query(`update maint.gap_acceptance set until = now() - interval '1 second'`);
  t.is((await run(database, { only })).status, 'partial', 'an acceptance ends');
  await accept(database, gap!.gap_id);
  t.deepEqual(await database.query('select maint.unaccept_gap($1) as ended', [gap!.gap_id]), [
    { ended: true },
  ]);
  t.is((await run(database, { only })).status, 'partial');
});

test('an acceptance holds for one reason, and needs a reason, a time to come and a gap', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await run(database, { only });
  const [gap] = await gaps(database);
  await accept(database, gap!.gap_id);
  await createExtensions(database, ['amcheck']);
  await database.query(`select maint.configure('features.integrity_check.btree_time_budget', '0')`);
  const result = await run(database, { only });
  t.is(result.status, 'partial', 'accepted was that the extension is missing, not that there is no time');
  t.deepEqual(
    (await gaps(database)).map(({ reason, state }) => [reason, state]),
    [['timed_out', 'open']],
  );
  for (const [call, message] of [
    [`select maint.accept_gap(987654, 'x', 'infinity')`, /there is no gap 987654/],
    [`select maint.accept_gap(${gap!.gap_id}, ' ', 'infinity')`, /an accepted gap needs a reason/],
    [`select maint.accept_gap(${gap!.gap_id}, 'x', '2020-01-01')`, /needs a time in the future/],
    [`select maint.unaccept_gap(null)`, /there is no gap null/],
  ] as const) {
    await t.throwsAsync(database.query(call), { message });
  }
});

test('what a person switched off is shown as not examined and makes no run partial', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `select maint.configure('features.integrity_check.disabled_checks', '["btree_structure"]')`,
  );
  await database.query(`select maint.configure('features.index_health.enabled', 'false')`);
  const result = await run(database, { only: ['integrity_check', 'index_health'] });
  t.is(result.status, 'success');
  t.deepEqual(
    (await gaps(database)).map(({ what, reason, state }) => [what, reason, state]),
    [
      [structure, 'disabled', 'chosen'],
      ['step index_health', 'disabled', 'chosen'],
    ],
  );
  const [gap] = await database.query<{ gap_id: number }>('select gap_id::int from maint.gaps limit 1');
  await t.throwsAsync(accept(database, gap!.gap_id), { message: /there is nothing to accept/ });
});

test('a step that fails is a gap as a whole; one that is not due leaves its gaps as they are', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await run(database, { only });
  await run(database, { only: ['invalid_indexes'] });
  t.is((await gaps(database)).length, 1, 'a run of another step says nothing of this one');
  await database.query('alter table maint.index_check rename to index_check_away');
  const failed = await run(database, { only: ['orphaned_indexes'] });
  t.is(failed.steps['orphaned_indexes']!.status, 'failed');
  t.is(failed.status, 'partial');
  const whole = (await gaps(database)).find(({ what }) => what === 'step orphaned_indexes');
  t.like(whole, { state: 'open', reason: 'failed' });
  await accept(database, whole!.gap_id);
  t.is((await run(database, { only: ['orphaned_indexes'] })).status, 'success');
  await database.query('alter table maint.index_check_away rename to index_check');
  await run(database, { only: ['orphaned_indexes'] });
  t.false((await gaps(database)).some(({ what }) => what === 'step orphaned_indexes'));
});

test('maint.gaps_brief fits 120 columns', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await run(database, { only });
  const [gap] = await gaps(database);
  await accept(database, gap!.gap_id);
  const [row] = await database.query<{ not_examined: string; remedy: string }>(
    'select * from maint.gaps_brief',
  );
  t.regex(row!.remedy, /^accepted by/);
});
