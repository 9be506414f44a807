/**
 * Actions beside other sessions: none is touched that builds, none queues behind a lock that an action waits for, longer
 * than lock_timeout. Told by who blocks whom in the server, not by the clock.
 */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTransaction, queuedActions, run, startStatement, waitForRow } from '../support/maintenance.ts';
import type { UnderWay } from '../support/maintenance.ts';
import { actionRecord, ended, oidOf, queueAction, startWorker } from '../support/worker.ts';

const kinds = ['drop_index', 'reindex_index', 'create_index', 'analyze_table'] as const;
type Kind = (typeof kinds)[number];
const ofIndexes = kinds.filter((kind) => kind !== 'analyze_table');

/** A table with an index, and one of that table's actions queued. */
async function queue(database: TestDatabase, kind: Kind): Promise<number> {
  const table = { schema: 'public', table: 't', oid: await oidOf(database, 'public', 't') };
  if (kind === 'analyze_table') return await queueAction(database, kind, table);
  if (kind === 'create_index') {
    const statement = 'create index concurrently j on public.t (a)';
    return await queueAction(database, kind, { ...table, index: 'j', statement });
  }
  return await queueAction(database, kind, {
    ...table,
    index: 'i',
    oid: await oidOf(database, 'public', 'i'),
  });
}

/** Times that do not matter here are long, so that a wait that ends has ended by the limit that is tested. */
async function withTable(t: ExecutionContext, lockTimeout: number): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query('create table public.t (a int); create index i on public.t (a)');
  await database.query(
    `select maint.configure('operational.worker.lock_timeout', $1),
       maint.configure('operational.worker.build_lock_timeout', '600000'),
       maint.configure('operational.worker.wait_for_transactions', '600')`,
    [String(lockTimeout)],
  );
  return database;
}

/** Processes that a session waits for: those that hold what it wants, and those before it in the queue. */
async function blockers(database: TestDatabase, pid: number): Promise<number[]> {
  const [row] = await database.query<{ pids: number[] }>('select pg_blocking_pids($1) as pids', [pid]);
  return row!.pids;
}

/** The worker's session, once it waits with a lock on a relation that it has not got. */
async function waitingFor(database: TestDatabase, relation: string): Promise<number> {
  const text = `select l.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where a.application_name like 'pg-maint%' and not l.granted and l.relation = $1::regclass
      and l.database = (select oid from pg_database where datname = current_database())`;
  await waitForRow(database, text, [relation]);
  const [row] = await database.query<{ pid: number }>(text, [relation]);
  return row?.pid ?? 0;
}

/** All locks on the table that sessions of pg-maint hold or want. */
async function locksOfOurs(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ said: string }>(
    `select l.mode || case when l.granted then ' held' else ' wanted' end as said
     from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where a.application_name like 'pg-maint%' and l.locktype = 'relation'
       and l.relation in ('public.t'::regclass, 'public.i'::regclass)
       and l.database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.map(({ said }) => said);
}

/** A statement that gives up when it would have to wait longer than any limit of the tests. */
async function patiently(database: TestDatabase, text: string): Promise<UnderWay> {
  return await startStatement(database, `set lock_timeout = '60s'; ${text}`);
}

for (const kind of kinds) {
  test(`${kind}: who queues behind its wait for the table goes on when it gives up, not when it has got it`, async (t) => {
    // On a busy machine its wait must last long enough to be seen.
    const database = await withTable(t, 5000);
    const id = await queue(database, kind);
    // Events are committed with the intent: here it waits, with no limit, before the statement.
    const gate = await openTransaction(database, 'lock table maint.safeguard_event in share mode');
    startWorker(t, database);
    await waitingFor(database, 'maint.safeguard_event');
    // Does not conflict with itself, but with what the statement wants.
    const holder = await openTransaction(database, 'lock table public.t in share mode');
    await gate.end();
    const acting = await waitingFor(database, 'public.t');
    const behind = await patiently(database, 'begin; lock table public.t in share mode; commit');
    await waitForRow(database, 'select where $1 = any (pg_blocking_pids($2))', [acting, behind.pid]);
    t.deepEqual(await blockers(database, behind.pid), [acting], 'the action alone is in its way');
    t.is(await behind.ended, null, 'and gets out of it, while what it waits for is held');
    t.not((await actionRecord(database, id)).status, 'succeeded');
    await waitForRow(
      database,
      `select from maint.safeguard_event where event = 'lock_timeout' and action_id = $1`,
      [id],
    );
    await holder.end();
    const record = await ended(database, id);
    t.is(record.status, 'succeeded', record.outcome!);
    t.deepEqual(await database.query('select from pg_index where not indisvalid'), []);
  });
}

for (const kind of ofIndexes) {
  test(`${kind}: while a long transaction uses the table it has no lock and no place in a queue there`, async (t) => {
    const database = await withTable(t, 100);
    const user = await openTransaction(database, 'insert into public.t values (1)');
    const { rows } = await user.client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const [pid] = rows;
    await waitForRow(
      database,
      `select from pg_stat_activity where pid = $1 and xact_start < clock_timestamp() - interval '200 ms'`,
      [pid!.pid],
    );
    const id = await queue(database, kind);
    startWorker(t, database);
    // It looks whether somebody is in the way, again and again.
    await waitForRow(
      database,
      `select from pg_stat_activity where datname = current_database() and application_name like 'pg-maint%'
         and query ~ 'sees an old state of it'`,
    );
    const other = await startStatement(database, 'alter table public.t add b int');
    await waitForRow(database, 'select from pg_locks where pid = $1 and not granted', [other.pid]);
    for (let look = 0; look < 20; look += 1) {
      t.deepEqual(await locksOfOurs(database), []);
      t.deepEqual(await blockers(database, other.pid), [pid!.pid]);
      await database.query('select pg_sleep(0.05)');
    }
    t.is((await actionRecord(database, id)).status, 'running');
    await user.end();
    t.is(await other.ended, null);
    const record = await ended(database, id);
    t.is(record.status, 'succeeded', record.outcome!);
  });

  test(`${kind}: held up for longer than its patience it is skipped, and says by whom`, async (t) => {
    const database = await withTable(t, 50);
    await database.query(`select maint.configure('operational.worker.wait_for_transactions', '0'),
      maint.configure('operational.worker.patience', '1')`);
    const reader = await openTransaction(
      database,
      'set transaction isolation level repeatable read',
      kind === 'create_index' ? 'lock table public.t in row exclusive mode' : 'select * from public.t',
    );
    const { rows } = await reader.client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const id = await queue(database, kind);
    await database.query(`update maint.action set queued_at = queued_at - interval '1 hour'`);
    await database.query('select pg_sleep(0.1)');
    startWorker(t, database);
    const record = await ended(database, id);
    t.is(record.status, 'skipped');
    t.regex(
      record.outcome!,
      new RegExp(`held up: process ${rows[0]!.pid} \\(postgres, idle in transaction\\)`),
    );
    t.is(record.statement, null, 'nothing was begun');
    await reader.end();
  });

  test(`${kind}: a table on which somebody builds is left alone until that is over`, async (t) => {
    const database = await withTable(t, 60_000);
    // Young enough not to be waited for: only the build itself can keep the action away.
    const writer = await openTransaction(database, 'insert into public.t values (1)');
    const build = await startStatement(database, 'create index concurrently theirs on public.t (a)');
    await waitForRow(
      database,
      `select from pg_index where indexrelid = to_regclass('theirs') and not indisvalid`,
    );
    await run(database, { only: ['orphaned_indexes', 'invalid_indexes'] });
    t.deepEqual(await queuedActions(database), [], 'their index is invalid because it is being built');
    const id = await queue(database, kind);
    startWorker(t, database);
    await waitForRow(
      database,
      `select from maint.action where action_id = $1 and outcome = format('process %s works on the table or its index', $2::int)`,
      [id, build.pid],
    );
    t.deepEqual(await locksOfOurs(database), []);
    await writer.end();
    t.is(await build.ended, null, 'nobody has cut it off');
    const record = await ended(database, id);
    t.is(record.status, 'succeeded', record.outcome!);
    t.deepEqual(
      await database.query(`select indisvalid from pg_index where indexrelid = 'theirs'::regclass`),
      [{ indisvalid: true }],
    );
  });
}

test('an index that is being built is not dropped, even where an action names it', async (t) => {
  const database = await withTable(t, 60_000);
  const writer = await openTransaction(database, 'insert into public.t values (1)');
  const build = await startStatement(database, 'create index concurrently theirs on public.t (a)');
  await waitForRow(
    database,
    `select from pg_index where indexrelid = to_regclass('theirs') and not indisvalid`,
  );
  const oid = await oidOf(database, 'public', 'theirs');
  const id = await queueAction(database, 'drop_index', {
    schema: 'public',
    table: 't',
    index: 'theirs',
    oid,
  });
  startWorker(t, database);
  await waitForRow(
    database,
    `select from maint.action where action_id = $1 and outcome ~ 'works on the table'`,
    [id],
  );
  await database.query(`select maint.cancel($1)`, [id]);
  await writer.end();
  t.is(await build.ended, null);
  t.deepEqual(await database.query(`select indisvalid from pg_index where indexrelid = $1`, [oid]), [
    { indisvalid: true },
  ]);
});
