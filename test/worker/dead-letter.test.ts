import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { actionRecord, oidOf, queueAction, startWorker } from '../support/worker.ts';

test('the policy of a queue is copied to a job that SQL queues', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int); create index i on public.t (a)');
  const oid = await oidOf(database, 'public', 'i');
  await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const differing = await database.query(
    `select j.id from maint_boss.job j join maint_boss.queue q using (name)
     where (j.policy, j.retry_limit, j.retry_delay, j.retry_backoff, j.retry_delay_max, j.expire_seconds,
       j.deletion_seconds, j.dead_letter, j.heartbeat_seconds)
       is distinct from (q.policy, q.retry_limit, q.retry_delay, q.retry_backoff, q.retry_delay_max, q.expire_seconds,
       q.deletion_seconds, q.dead_letter, q.heartbeat_seconds)`,
  );
  t.deepEqual(differing, []);
  const [job] = await database.query('select policy, dead_letter, singleton_key from maint_boss.job');
  t.deepEqual(job, { policy: 'singleton', dead_letter: 'maint_dead', singleton_key: 'public.t' });
});

test('an action whose job was given up has failed, with the reason', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int); create index i on public.t (a)');
  const oid = await oidOf(database, 'public', 'i');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  await database.query('update maint_boss.job set retry_limit = 0');
  await database.query(
    `alter table maint.action add constraint none_can_be_claimed check (status <> 'running')`,
  );
  const worker = startWorker(t, database);
  await waitForRow(database, `select from maint.action where status = 'failed'`);
  const action = await actionRecord(database, id);
  t.regex(action.outcome!, /^given up: its job failed once: .*none_can_be_claimed/);
  t.is((await database.query(`select from pg_indexes where indexname = 'i'`)).length, 1);
  t.deepEqual(await database.query('select event from maint.safeguard_event'), [{ event: 'failure' }]);
  t.regex(
    (await database.query('select error from maint.actions'))[0]!['error'] as string,
    /none_can_be_claimed/,
  );
  t.true(worker.log.some((line) => line.startsWith(`action ${id} was given up`)));
});
