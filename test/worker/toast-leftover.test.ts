/** What a REINDEX CONCURRENTLY that was cut off leaves of a TOAST table is dropped: the server allows that, and nothing else there. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { openFindings, openTransaction, run } from '../support/maintenance.ts';
import { ended, startWorker } from '../support/worker.ts';

test('the leftover of a TOAST index is dropped, once, and no other index of TOAST', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create schema app; create table app.doc (id int primary key, body text)');
  const holder = await openTransaction(database, 'select count(*) from app.doc');
  const client = await database.client();
  await client.query(`set statement_timeout = '500ms'`);
  await t.throwsAsync(client.query('reindex table concurrently app.doc'));
  await holder.end();
  const toast = (): Promise<{ name: string; valid: boolean }[]> =>
    database.query(
      `select c.relname as name, x.indisvalid as valid
       from pg_index as x join pg_class as c on c.oid = x.indexrelid
       where x.indrelid = (select reltoastrelid from pg_class where oid = 'app.doc'::regclass) order by 1`,
    );
  t.is((await toast()).length, 2);
  await run(database, { only: ['orphaned_indexes', 'invalid_indexes'] });
  const found = await openFindings(database, 'index.orphaned');
  t.true(found.some(({ schema_name }) => schema_name === 'pg_toast'));
  const actions = await database.query<{ action_id: number }>(
    `select action_id::int from maint.action where target ->> 'schema' = 'pg_toast'`,
  );
  t.is(actions.length, 1);
  startWorker(t, database);
  const record = await ended(database, actions[0]!.action_id);
  t.is(record.status, 'succeeded', record.outcome ?? '');
  const left = await toast();
  t.deepEqual(
    left.map(({ valid }) => valid),
    [true],
  );
});
