/** Code in an index that does not end, and catches every cancel, stops neither the actions on other tables nor the worker. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

/** Tables whose index expression does not end once it is armed. */
async function makeTraps(database: TestDatabase, names: readonly string[]): Promise<number[]> {
  await database.query(`
    create table armed (really boolean); insert into armed values (false);
    create function trap(int) returns int language plpgsql immutable as $f$
    begin
      if (select really from public.armed) then
        loop
          begin perform pg_catalog.pg_sleep(3600); exception when query_canceled then null; end;
        end loop;
      end if;
      return $1;
    end $f$`);
  const oids: number[] = [];
  for (const name of names) {
    await database.query(`create table ${name} (a int) with (autovacuum_enabled = off);
      insert into ${name} select generate_series(1, 1000); create index on ${name} (trap(a))`);
    oids.push(await oidOf(database, 'public', name));
  }
  await database.query('update armed set really = true');
  return oids;
}

const hanging = `select from pg_stat_activity where datname = current_database() and query ~ '^analyze public.t'
  and wait_event = 'PgSleep'`;

test('a drop on another table is done while both places hang; what hangs is ended, set aside and told', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const oids = await makeTraps(database, ['t1', 't2']);
  await run(database, { only: ['workload_analysis'] });
  await database.query('create table shop (a int); create index i on shop (a)');
  await database.query(`select maint.configure('operational.worker.analyze_timeout', '8')`);
  const ids = [];
  for (const [place, oid] of oids.entries())
    ids.push(await queueAction(database, 'analyze_table', { schema: 'public', table: `t${place + 1}`, oid }));
  const worker = startWorker(t, database);
  await waitForRow(database, `${hanging} having count(*) = 2`);
  const oid = await oidOf(database, 'public', 'i');
  const drop = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 'shop',
    index: 'i',
    oid,
  });
  await waitForRow(
    database,
    `select from maint.action where action_id = $1 and status = 'succeeded' and exists (${hanging})`,
    [drop],
  );
  for (const id of ids) {
    const { status, outcome } = await ended(database, id, 40);
    t.is(status, 'failed');
    t.regex(outcome!, /longer than 8 s/);
  }
  t.deepEqual(await database.query(hanging), []);
  t.is((await database.query(`select from maint.alert where message ~ 'is set aside'`)).length, 2);
  await worker.stop();

  // A step queues nothing on it until the code is another one.
  await database
    .query(`select maint.configure('features.refresh_statistics.min_rows', '1')`)
    .catch(() => undefined);
  const queued = `select maint.record_step(1, 9, 0, jsonb_build_object('status', 'success', 'examined', '[]'::jsonb,
      'result', '{}'::jsonb, 'coverage', '{"examined": 1, "of": 1, "unexamined": []}'::jsonb,
      'keep_open', '[]'::jsonb, 'alerts', '[]'::jsonb,
      'findings', jsonb_build_array(jsonb_build_object('key', 'k', 'kind', 'statistics.stale', 'severity', 'info',
        'schema', 'public', 'table', 't1', 'object', null, 'summary', 's', 'detail', '{}'::jsonb, 'remedy', null)),
      'actions', jsonb_build_array(jsonb_build_object('key', 'a', 'finding_key', 'k', 'kind', 'analyze_table',
        'target', jsonb_build_object('schema', 'public', 'table', 't1', 'oid', $1::int), 'reason', 'r',
        'evidence', '{}'::jsonb))))`;
  await database.query('delete from maint.step_log where step_number = 9');
  await database.query(queued, [oids[0]]);
  t.is((await database.query(`select from maint.action where action_key = 'a'`)).length, 0);
  await database.query(
    `create or replace function trap(int) returns int language sql immutable as 'select $1'`,
  );
  await database.query('delete from maint.step_log where step_number = 9');
  await database.query(queued, [oids[0]]);
  t.is((await database.query(`select from maint.action where action_key = 'a'`)).length, 1);
});

test('a worker stops in time though a statement catches every cancel', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const [oid] = await makeTraps(database, ['t1']);
  const id = await queueAction(database, 'analyze_table', { schema: 'public', table: 't1', oid: oid! });
  const worker = startWorker(t, database, { stopSeconds: 1 });
  await waitForRow(database, hanging);
  await worker.stop();
  t.deepEqual(await database.query(hanging), [], 'its session is ended, too');
  await database.query('update armed set really = false');
  startWorker(t, database);
  t.is((await ended(database, id)).status, 'succeeded', 'and the next worker does it');
});
