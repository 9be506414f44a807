import test from 'ava';
import type { ExecutionContext } from 'ava';
import { KeptSessions } from '../../src/worker/kept-sessions.ts';
import type { Session } from '../../src/worker/session.ts';
import { Tasks } from '../../src/worker/tasks.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

async function kept(t: ExecutionContext): Promise<{ database: TestDatabase; sessions: KeptSessions }> {
  const database = await createDatabase(t, { template: 'installed' });
  const sessions = new KeptSessions(database.url);
  t.teardown(() => sessions.close());
  return { database, sessions };
}

async function state({ client }: Session): Promise<unknown> {
  const { rows } = await client.query(
    `select current_user::text as role, current_setting('lock_timeout') as lock_timeout,
       current_setting('search_path') as search_path, current_setting('own.text', true) as own,
       to_regclass('pg_temp.left_behind')::text as temporary,
       (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
       (select count(*)::int from pg_listening_channels()) as channels`,
  );
  return rows[0];
}

test('one that was given back is as new, whatever was done in it', async (t) => {
  const { sessions } = await kept(t);
  const first = await sessions.take();
  const asNew = await state(first);
  t.like(asNew, { lock_timeout: '0', search_path: 'pg_catalog, pg_temp' });
  await first.client.query(
    `set lock_timeout = 7; set search_path = public; set own.text = 'x'; listen somebody;
     create temporary table left_behind (); select pg_advisory_lock(1);
     set role pg_monitor`,
  );
  t.notDeepEqual(await state(first), asNew);
  sessions.giveBack(first);
  const second = await sessions.take();
  t.is(second.pid, first.pid);
  t.deepEqual(await state(second), { ...(asNew as object), own: '' });
  // It is one session's at a time.
  const other = await sessions.take();
  t.not(other.pid, first.pid);
  sessions.giveBack(second);
  sessions.giveBack(other);
});

test('one with an open or a failed transaction, or that the server has ended, is not used again', async (t) => {
  const { database, sessions } = await kept(t);
  const spoil: ((session: Session) => Promise<unknown>)[] = [
    ({ client }) => client.query('begin'),
    async ({ client }) => {
      await client.query('begin');
      await t.throwsAsync(client.query('select 1 / 0'));
    },
    ({ pid }) => database.query('select pg_terminate_backend($1, 10000)', [pid]),
  ];
  for (const each of spoil) {
    const session = await sessions.take();
    await each(session);
    sessions.giveBack(session);
    const next = await sessions.take();
    t.not(next.pid, session.pid);
    sessions.giveBack(next);
    // The next round begins with the one that is there.
    t.is((await sessions.take().then((again) => (sessions.giveBack(again), again))).pid, next.pid);
  }
});

test('a task that does not give its session back leaves none', async (t) => {
  const { database } = await kept(t);
  const tasks = new Tasks(database.url, () => undefined);
  const pids: number[] = [];
  const perform = async (givesBack: boolean): Promise<void> => {
    tasks.start(
      'task',
      async (client, giveBack) => {
        const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
        pids.push(rows[0]!.pid);
        if (givesBack) giveBack();
      },
      (error) => t.fail(String(error)),
      'kept',
    );
    await tasks.ended();
  };
  await perform(true);
  await perform(false);
  await perform(true);
  t.is(pids[1], pids[0]);
  t.not(pids[2], pids[1]);
  await tasks.close();
  const left = await database.query(
    `select pid from pg_stat_activity where pid = any ($1) and pid <> pg_backend_pid()`,
    [pids],
  );
  t.deepEqual(left, []);
});

test('statements of one text are prepared, and no more of them than are worth it', async (t) => {
  const { sessions } = await kept(t);
  const session = await sessions.take();
  for (let round = 0; round < 3; round += 1) await session.client.query('select $1::int as a', [round]);
  const prepared = async (): Promise<number> => {
    const { rows } = await session.client.query<{ count: number }>(
      'select count(*)::int as count from pg_prepared_statements',
    );
    return rows[0]!.count;
  };
  t.is(await prepared(), 2);
  for (let number = 0; number < 250; number += 1) await session.client.query(`select ${number} as a`);
  t.is(await prepared(), 200);
  const { rows } = await session.client.query('select 249 as a');
  t.deepEqual(rows, [{ a: 249 }]);
  sessions.giveBack(session);
});
