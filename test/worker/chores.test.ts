import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { PgBoss } from 'pg-boss';
import { ChoreRunner } from '../../src/worker/chores/runner.ts';
import type { Chore } from '../../src/worker/chores/chore.ts';
import { chores } from '../../src/worker/chores/index.ts';
import { connectAsOwner } from '../../src/worker/session.ts';
import { SharedSession } from '../../src/worker/shared-session.ts';
import { Tasks } from '../../src/worker/tasks.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { startWorker } from '../support/worker.ts';

interface Running {
  runner: ChoreRunner;
  log: string[];
  /** Starts what is due, again and again, until `enough` says so. */
  until(enough: () => boolean): Promise<void>;
}

/** A runner with chores of the test's own, as a worker has one. */
async function runnerOf(t: ExecutionContext, database: TestDatabase, own: Chore[]): Promise<Running> {
  const control = await connectAsOwner(database.url);
  const tasks = new Tasks(database.url, () => undefined);
  const log: string[] = [];
  const shared = new SharedSession(control);
  const runner = new ChoreRunner({
    control: shared,
    tasks,
    chores: own,
    changed: () => undefined,
    context: {
      url: database.url,
      control: shared,
      workerId: 'test',
      version: '0',
      boss: new PgBoss({ connectionString: database.url }),
      signal: new AbortController().signal,
      log: (line) => log.push(line),
      actionsUnderWay: () => 0,
    },
  });
  t.teardown(async () => {
    await tasks.ended();
    await runner.ended();
    await control.end();
  });
  const until = async (enough: () => boolean): Promise<void> => {
    const deadline = Date.now() + 20_000;
    while (!enough()) {
      if (Date.now() > deadline) throw new Error(`not within 20 s; log: ${log.join('; ')}`);
      await sleep(Math.min(20, await runner.begin()));
    }
    await tasks.ended();
    await runner.ended();
  };
  return { runner, log, until };
}

test('a chore does not overlap with itself and holds up no other', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  let [slow, slowAtATime, most, quick] = [0, 0, 0, 0];
  const { until } = await runnerOf(t, database, [
    {
      name: 'slow',
      for: 'worker',
      connection: 'own',
      everySeconds: () => 0.05,
      async run(client) {
        slowAtATime += 1;
        most = Math.max(most, slowAtATime);
        await client.query('select pg_catalog.pg_sleep(0.3)');
        slowAtATime -= 1;
        slow += 1;
        return undefined;
      },
    },
    {
      name: 'quick',
      for: 'worker',
      connection: 'shared',
      everySeconds: () => 0.05,
      async run(client) {
        await client.query('select');
        quick += 1;
        return undefined;
      },
    },
    {
      name: 'never',
      for: 'worker',
      connection: 'shared',
      everySeconds: () => null,
      run: () => Promise.reject(new Error('was switched off')),
    },
  ]);
  await until(() => slow >= 3);
  t.is(most, 1);
  t.true(quick > slow, `${quick} quick ones beside ${slow} slow ones`);
});

for (const connection of ['own', 'shared'] as const) {
  test(`a chore that fails on its ${connection} connection is logged and tried again, sooner than its interval`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    let [tries, others] = [0, 0];
    const { runner, log, until } = await runnerOf(t, database, [
      {
        name: 'failing',
        for: 'database',
        connection,
        everySeconds: () => 3600,
        async run(client) {
          tries += 1;
          await client.query('begin');
          if (tries === 1) await client.query('select 1 / 0');
          await client.query('commit');
          return undefined;
        },
      },
      {
        name: 'other',
        for: 'worker',
        connection: 'shared',
        everySeconds: () => 0.05,
        async run(client) {
          await client.query('select');
          others += 1;
          return undefined;
        },
      },
    ]);
    await until(() => log.length > 0);
    t.deepEqual(log, ['failing: division by zero; trying again in 5 s']);
    const [failed] = await database.query(
      `select error, extract(epoch from clock_timestamp() - begun_at)::float8 as age from maint.chore`,
    );
    t.is(failed!['error'], 'division by zero');
    t.true((failed!['age'] as number) > 3600 - 10, 'due in a few seconds, also for other workers');
    const before = others;
    await until(() => others > before);
    await database.query(`update maint.chore set begun_at = begun_at - interval '10 s'`);
    runner.soon('failing', 0);
    await until(() => tries === 2);
    t.deepEqual(await database.query('select error from maint.chore'), [{ error: null }]);
  });
}

for (const [how, statements] of [
  ['outside of a transaction', ['select 1 / 0']],
  ['in one it began', ['begin', 'select 1 / 0']],
  ['in one that begins and fails in one go', ['begin; select 1 / 0']],
  ['after it began one and stopped for a reason of its own', ['begin']],
] as const)
  test(`a chore that fails ${how} leaves none, and the server is told to end none that is not there`, async (t) => {
    const database = await createDatabase(t, { template: 'installed' });
    const inTransaction: boolean[] = [];
    const notices: string[] = [];
    const { log, until } = await runnerOf(t, database, [
      {
        name: 'failing',
        for: 'database',
        connection: 'shared',
        everySeconds: () => 3600,
        async run(client) {
          client.on('notice', ({ message }) => notices.push(message ?? ''));
          for (const statement of statements) await client.query(statement);
          throw new Error('a reason of its own');
        },
      },
      {
        name: 'after',
        for: 'worker',
        connection: 'shared',
        everySeconds: () => 0.05,
        async run(client) {
          if (log.length === 0) return undefined;
          await client.query('select');
          inTransaction.push(client.getTransactionStatus() !== 'I');
          return undefined;
        },
      },
    ]);
    await until(() => inTransaction.length > 0);
    t.false(inTransaction[0]);
    t.deepEqual(notices, []);
    t.regex(log.join(), /^failing: (division by zero|a reason of its own); trying again in 5 s$/);
  });

test('a chore of the database is done by one worker, and again when its interval is over or shortened', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  let done = 0;
  const chore: Chore = {
    name: 'snapshot',
    for: 'database',
    connection: 'own',
    everySeconds: (config) => Number(config['operational.maintenance_tasks.interval']),
    run() {
      done += 1;
      return Promise.resolve(undefined);
    },
  };
  const workers = [await runnerOf(t, database, [chore]), await runnerOf(t, database, [chore])];
  for (const { runner } of workers) await runner.begin();
  await Promise.all(workers.map(({ until }) => until(() => done > 0)));
  for (const { runner } of workers) t.true((await runner.begin()) > 1000);
  t.is(done, 1);
  await database.query(`update maint.chore set begun_at = begun_at - interval '2 minutes'`);
  await database.query(`select maint.configure('operational.maintenance_tasks.interval', '60')`);
  for (const { runner } of workers) {
    runner.settingsChanged();
    await runner.begin();
  }
  await Promise.all(workers.map(({ until }) => until(() => done > 1)));
  t.is(done, 2);
});

test('all chores have names of their own', (t) => {
  const names = chores.map(({ name }) => name);
  t.deepEqual(names, [...new Set(names)]);
});

test('a worker forgets silent workers and old safeguard events', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`insert into maint.worker (worker_id, last_seen, host, pid, version)
    values ('old', now() - interval '25 hours', 'here', 1, '1'), ('silent', now() - interval '1 hour', 'here', 2, '1')`);
  await database.query(`insert into maint.safeguard_event (at, kind, event)
    values (now() - interval '91 days', 'drop_index', 'attempt'), (now() - interval '89 days', 'drop_index', 'attempt')`);
  startWorker(t, database);
  await waitForRow(database, `select from maint.chore where name = 'forget old' and finished_at is not null`);
  t.is((await database.query(`select from maint.worker where worker_id = 'old'`)).length, 0);
  t.is((await database.query(`select from maint.worker where worker_id = 'silent'`)).length, 1);
  t.is((await database.query('select from maint.safeguard_event')).length, 1);
});
