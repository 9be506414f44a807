import { once } from 'node:events';
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { makeInvalidIndex } from '../support/broken-indexes.ts';
import { openTransaction, run, waitForRow } from '../support/maintenance.ts';
import {
  actionRecord,
  ended,
  oidOf,
  queueAction,
  spawnWorker,
  startWorker,
  waitingFor,
} from '../support/worker.ts';

test('two workers, two hundred actions: each is done once, and one at a time for a table', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const tables = 20;
  for (let n = 0; n < tables; n += 1) {
    await database.query(`create table public.t${n} (a int)`);
    for (let i = 0; i < 10; i += 1) await database.query(`create index t${n}_${i} on public.t${n} (a)`);
  }
  const [{ targets } = { targets: [] }] = await database.query<{
    targets: { schema: string; table: string; index: string; oid: number }[];
  }>(
    `select jsonb_agg(jsonb_build_object('schema', 'public', 'table', t.relname, 'index', c.relname, 'oid', c.oid::int8))
       as targets
     from pg_index join pg_class c on c.oid = indexrelid join pg_class t on t.oid = indrelid
     where t.relname ~ '^t[0-9]+$' and c.relnamespace = 'public'::regnamespace`,
  );
  t.is(targets.length, 10 * tables);
  await database.query(`select maint.configure('operational.safeguards.actions_per_hour', '1000'),
    maint.configure('operational.safeguards.max_actions_per_window', '1000')`);
  // Nothing but the server's own count shows an index that was rebuilt twice.
  await database.query('create extension pg_stat_statements');
  for (const target of targets)
    await queueAction(database, /_[01]$/.test(target.index) ? 'reindex_index' : 'drop_index', target);
  // Every claim is an attempt: a second one of an action, or an overlap in a table, would show.
  startWorker(t, database, { concurrency: 4 });
  startWorker(t, database, { concurrency: 4 });
  for (let waits = 0; waits < 6; waits += 1) {
    await waitForRow(
      database,
      `select from maint.action having count(*) filter (where finished_at is not null) >= ${Math.min(200, 30 * (waits + 1))}`,
    );
  }
  await waitForRow(database, `select where not exists (select from maint.action where finished_at is null)`);
  t.deepEqual(
    await database.query(`select status, outcome, error from maint.action where status <> 'succeeded'`),
    [],
  );
  const [done] = await database.query(
    `select count(*) filter (where status = 'succeeded')::int as succeeded, max(attempts) as attempts,
       count(distinct worker_id)::int as workers from maint.action`,
  );
  const others = await database.query(
    `select status, outcome, error from maint.action where status <> 'succeeded' order by action_id`,
  );
  t.deepEqual(others, []);
  t.deepEqual(done, { succeeded: 200, attempts: 1, workers: 2 });
  const [attempts] = await database.query(
    `select count(*)::int as events from maint.safeguard_event where event = 'attempt'`,
  );
  t.is(attempts!['events'], 200);
  const statements = await database.query<{ word: string; statements: number; calls: number }>(
    `select split_part(query, ' ', 1) as word, count(*)::int as statements, sum(calls)::int as calls
     from pg_stat_statements
     where dbid = (select oid from pg_database where datname = current_database())
       and query ~ '^(drop|reindex) index concurrently public.(t|maint_drop_)'
     group by 1 order by 1`,
  );
  t.deepEqual(statements, [
    { word: 'drop', statements: 160, calls: 160 },
    { word: 'reindex', statements: 40, calls: 40 },
  ]);
  const overlaps = await database.query(
    `select from maint.action as a join maint.action as b on a.action_id < b.action_id
       and a.target ->> 'table' = b.target ->> 'table'
       and tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)`,
  );
  t.is(overlaps.length, 0);
});

test('a queued action begins within two seconds of an idle worker', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  // Idle: none of its sessions has asked anything for a while.
  await waitForRow(
    database,
    `select from pg_stat_activity where datname = current_database() and application_name = 'pg-maint'
     having count(*) > 0 and bool_and(state = 'idle' and state_change < clock_timestamp() - interval '0.3 s')`,
  );
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  await run(database, { only: ['invalid_indexes'] });
  await ended(database, 1);
  const [row] = await database.query(
    `select extract(epoch from started_at - queued_at)::float8 as seconds from maint.action`,
  );
  t.true((row!['seconds'] as number) < 2, `${String(row!['seconds'])} s`);
});

test('it reports while it lives, and says goodbye', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const worker = startWorker(t, database);
  await waitForRow(database, `select from maint.worker where last_seen > now() - interval '5 s'`);
  await worker.stop();
  t.is((await database.query('select from maint.worker')).length, 0);
  const left = await database.query(
    `select from pg_stat_activity where datname = current_database() and application_name = 'pg-maint'`,
  );
  t.is(left.length, 0);
});

test('pg-maint worker stops at SIGTERM; what is under way beyond the time is given back', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  await database.query('create table public.t (a int); create index i on public.t (a)');
  const oid = await oidOf(database, 'public', 'i');
  const writer = await openTransaction(database, 'insert into public.t values (1)');
  const id = await queueAction(database, 'drop_index', { schema: 'public', table: 't', index: 'i', oid });
  const worker = startWorker(t, database, { stopSeconds: 0 });
  await waitForRow(database, waitingFor('^drop index'));
  await worker.stop();
  const given = await actionRecord(database, id);
  t.is(given.status, 'queued');
  t.is(given.outcome, 'the worker stopped');
  await writer.end();
  const process = await spawnWorker(t, database);
  t.is((await ended(database, id)).status, 'succeeded');
  process.kill('SIGTERM');
  const [code] = (await once(process, 'exit')) as [number | null];
  t.is(code, 0);
});

test('it comes back when the server ends its connections', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker');
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'pg-maint'`,
  );
  await makeInvalidIndex(database, { schema: 'public', table: 't', index: 'i' });
  await run(database, { only: ['invalid_indexes'] });
  t.is((await ended(database, 1)).status, 'succeeded');
});
