import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { run } from '../support/maintenance.ts';

test('a queued action is taken back; one that has begun or ended is not', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeInvalidIndex(database, { schema: 'shop', table: 'orders', index: 'orders_a_key' });
  await run(database, { only: ['invalid_indexes'] });
  const [action] = await database.query<{ id: number; status: string }>(
    'select action_id::int as id, status from maint.actions',
  );
  t.is(action!.status, 'queued');
  await database.query(`update maint.action set status = 'running'`);
  await t.throwsAsync(database.query('select maint.cancel($1)', [action!.id]), {
    code: '22023',
    message: /is not queued but running/,
  });
  await database.query(`update maint.action set status = 'queued'`);
  t.deepEqual(await database.query('select maint.cancel($1) as answer', [action!.id]), [
    { answer: { action_id: action!.id, status: 'skipped' } },
  ]);
  t.like((await database.query('select status, outcome from maint.actions'))[0], {
    status: 'skipped',
    outcome: 'cancelled by postgres',
  });
  await t.throwsAsync(database.query('select maint.cancel($1)', [action!.id]), {
    code: '22023',
    message: /is not queued but skipped/,
  });
  for (const unknown of [action!.id + 1, null]) {
    await t.throwsAsync(database.query('select maint.cancel($1)', [unknown]), {
      code: '22023',
      message: /there is no action/,
    });
  }
});
