import test from 'ava';
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase } from '../support/database.ts';
import { BoundedSessions, problemOf } from './bounded.ts';
import type { Ending } from './bounded.ts';
import { corpus } from './corpus.ts';
import { openDatabase, openSession, refusalOf, Session } from './language.ts';

for (const ending of ['statement_timeout', 'pg_terminate_backend'] satisfies Ending[]) {
  test(`${ending} ends what V8 itself does not end, within the memory`, async (t) => {
    t.timeout(600_000);
    const sessions = await BoundedSessions.open(await createDatabase(t));
    for (const body of corpus) {
      const outcome = await sessions.run(body, ending);
      t.is(problemOf(outcome, ending), null, body);
      await sessions.requireServer();
    }
  });
}

test('a session whose JavaScript does not come back says why it ended, and leaves its locks to others', async (t) => {
  const { database, session } = await openDatabase(t);
  await session.client.query('create table held (a int)');
  const victim = new Session(await database.client());
  const call = await victim.make('return [].includes.call({ length: 2 ** 53 - 1 }, 1)');
  await victim.client.query(
    `set maint_v8.kill_after = '200ms'; begin; insert into held values (1); lock table held; set statement_timeout = 100`,
  );
  const ended = await refusalOf(victim.client.query(call));
  t.is(ended.code, '57P01');
  t.is(ended.message, 'terminating connection because JavaScript did not stop within 200 ms');
  await session.client.query(`set lock_timeout = '20s'`);
  t.is(await session.value('select count(*)::int from held'), 0);
});

test('BigInt functions end with the statement, not with the session', async (t) => {
  const session = await openSession(t);
  const call = await session.make('return (2n ** (2n ** 26n)).toString().length');
  await session.client.query('set statement_timeout = 200');
  t.is((await session.refusal(call)).code, '57014');
});

test('memory that no collection frees is taken from a loop by an error, from one step by the session', async (t) => {
  const { database, session } = await openDatabase(t);
  const other = await database.client();
  await session.client.query(`set maint_v8.memory_limit = '64MB'`);
  t.is((await session.failing('const a = []; for (;;) a.push(new Array(3e7).fill(1))')).code, '53200');
  const call = await session.make('return (0, eval)("[" + "1,".repeat(2 ** 27) + "1]").length');
  t.is((await refusalOf(session.client.query(call))).code, '53200');
  t.is(await new Session(other).value('select 1'), 1);
});

test('a long statement that nobody cancels is left to run', async (t) => {
  const session = await openSession(t);
  await session.client.query(`set maint_v8.kill_after = '100ms'`);
  t.is(await session.call('return [].indexOf.call({ length: 4e7 }, 1)', 'int'), -1);
});

test('another process that sends the signal ends nothing', async (t) => {
  const session = await openSession(t);
  const call = await session.make('return [].indexOf.call({ length: 4e7 }, 1)', 'int');
  const pid = await session.processId();
  const running = session.value(call);
  for (let times = 0; times < 20; times += 1) {
    await sleep(10);
    spawnSync('kill', ['-s', 'RTMIN+8', String(pid)]);
  }
  t.is(await running, -1);
});

test('a cancel during the first compile in a session is a cancel, also where a block catches all others', async (t) => {
  const { database, session } = await openDatabase(t);
  const filler = Array.from({ length: 40_000 }, (_, at) => `const f${at} = (a) => a + ${at};`).join('\n');
  await session.make(`${filler}\nreturn f1(1)`);
  await session.client.query(
    `create function caught() returns text language plpgsql as $$
     begin perform f1(); return 'done'; exception when others then return 'caught ' || sqlerrm; end $$`,
  );
  let cancelled = 0;
  for (let timeout = 2; timeout < 60; timeout += 4) {
    const client = await database.client();
    await client.query(`set statement_timeout = ${timeout}`);
    const message = await client
      .query<{ v: string }>('select caught() as v')
      .then(({ rows }) => rows[0]?.v ?? '')
      .catch((error: unknown) => (error as Error).message);
    t.true(message === 'done' || message === 'canceling statement due to statement timeout', message);
    if (message !== 'done') cancelled += 1;
    await client.end();
  }
  t.true(cancelled > 0);
  t.is(await session.value('select caught()'), 'done');
});
