/** A corrupt B-tree is not healthy because nobody could look at it again. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeIndexCorrupt, turnableIndex } from '../support/corrupt-index.ts';
import { openFindings, openTransaction, run } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { createExtensions } from '../support/extensions.ts';

async function check(database: TestDatabase): Promise<RunResult['integrity_check']> {
  await database.query(`update maint.index_check set checked_at = checked_at - interval '31 days'`);
  return (await run(database, { only: ['integrity_check'] })).integrity_check;
}

async function found(database: TestDatabase): Promise<unknown[]> {
  return (await openFindings(database, 'integrity.btree_structure')).map(({ object_name }) => object_name);
}

test('a corrupt B-tree that could not be looked at again stays found, until somebody has looked', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, ['amcheck']);
  await database.query('create table t as select g as a from generate_series(1, 5000) g');
  await database.query(turnableIndex('broken', 't', 'a'));
  await database.query('create index sound on t (a)');
  t.is((await check(database)).status, 'healthy');
  await makeIndexCorrupt(database, true);
  t.is((await check(database)).status, 'unhealthy');
  t.deepEqual(await found(database), ['broken']);

  const holder = await openTransaction(database, 'lock table t in access exclusive mode');
  await database.query(`select maint.configure('operational.maintenance_tasks.lock_timeout', '50')`);
  const locked = await check(database);
  t.not(locked.status, 'healthy');
  t.not(locked.checks['btree_structure']!.status, 'healthy');
  t.deepEqual(await found(database), ['broken'], 'nobody could look at it');
  t.deepEqual(await database.query(`select outcome from maint.index_check where index_name = 'broken'`), [
    { outcome: 'corrupt' },
  ]);
  await holder.end();

  await makeIndexCorrupt(database, false);
  t.is((await check(database)).status, 'healthy', 'somebody has looked');
  t.deepEqual(await found(database), []);
});
