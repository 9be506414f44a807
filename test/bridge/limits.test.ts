import test from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase, openSession, refusalOf, Session } from './language.ts';

/** Loops that never end: in JavaScript alone, in what V8 does for it, and around statements. */
const endless: [name: string, body: string][] = [
  ['an empty loop', 'for (;;);'],
  ['a loop that catches everything', 'for (;;) { try { for (;;); } catch (e) {} finally { continue } }'],
  ['a loop in finally', 'try { for (;;); } finally { for (;;); }'],
  ['recursion', 'const f = (n) => { try { f(n + 1) } catch (e) {} f(n + 1) }; f(0)'],
  ['microtasks', 'Promise.resolve().then(function next() { return Promise.resolve().then(next) })'],
  ['a regular expression', 'return /(a*)*b/.test("a".repeat(50))'],
  ['a sort', 'Array.from({ length: 1e5 }).fill(0).sort(() => { for (;;); })'],
  ['toString of the result', 'return { toString() { for (;;); } }'],
  ['toJSON of a parameter', `plv8.execute('select $1::json', [{ toJSON() { for (;;); } }])`],
  ['toString of an error', 'throw { toString() { for (;;); } }'],
  ['a statement', `plv8.execute('select pg_sleep(1000)')`],
  ['statements, errors caught', `for (;;) try { plv8.execute('select pg_sleep(1000)') } catch (e) {}`],
  ['short statements, errors caught', `for (;;) try { plv8.execute('select 1') } catch (e) {}`],
  [
    'subtransactions',
    `for (;;) try { plv8.subtransaction(() => plv8.execute('select pg_sleep(1000)')) } catch (e) {}`,
  ],
  ['plans', `const p = plv8.prepare('select pg_sleep(1000)'); for (;;) try { p.execute() } catch (e) {}`],
  ['a long list as a parameter', `plv8.execute('select $1::int[]', [new Array(1e8)])`],
  ['a nested call', `for (;;) try { plv8.execute('select forever()') } catch (e) {}`],
];

async function withForever(session: Session): Promise<void> {
  await session.client.query('create function forever() returns int language maint_v8 as $$ for (;;); $$');
}

test('statement_timeout ends every endless loop at once', async (t) => {
  const session = await openSession(t);
  await withForever(session);
  for (const [name, body] of endless) {
    const call = await session.make(body);
    await session.client.query('set statement_timeout = 150');
    const started = performance.now();
    const refusal = await session.refusal(call);
    const took = performance.now() - started;
    await session.client.query('reset statement_timeout');
    t.is(refusal.code, '57014', name);
    t.is(refusal.message, 'canceling statement due to statement timeout', name);
    t.true(took < 1500, `${name} took ${String(took)} ms`);
    t.is(await session.call('return 1 + 1', 'int'), 2, `after ${name}`);
  }
});

test('a cancel ends every endless loop at once', async (t) => {
  const { database, session } = await openDatabase(t);
  await withForever(session);
  const pid = await session.processId();
  const other = await database.client();
  for (const [name, body] of endless) {
    const running = session.refusal(await session.make(body));
    await sleep(100);
    const started = performance.now();
    await other.query('select pg_cancel_backend($1)', [pid]);
    const refusal = await running;
    t.is(refusal.message, 'canceling statement due to user request', name);
    t.true(performance.now() - started < 1500, name);
    t.is(await session.call('return 1 + 1', 'int'), 2, `after ${name}`);
  }
});

test('pg_terminate_backend ends the session, and only it', async (t) => {
  const { database, session } = await openDatabase(t);
  await withForever(session);
  const started = await session.value('select pg_postmaster_start_time()::text');
  const calls = new Map<string, string>();
  for (const [name, body] of endless) calls.set(name, await session.make(body));
  for (const [name, call] of calls) {
    const victim = await database.client();
    const pid = (await victim.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
    const running = refusalOf(victim.query(call));
    await sleep(100);
    await session.client.query('select pg_terminate_backend($1)', [pid]);
    t.is((await running).code, '57P01', name);
  }
  // A crash of one backend would have restarted all of them and cut this session.
  t.is(await session.value('select pg_postmaster_start_time()::text'), started);
});

test('what the server asks of a busy session is served while JavaScript runs', async (t) => {
  const { database, session } = await openDatabase(t);
  const pid = await session.processId();
  const busy = session.refusal(await session.make('for (;;);'));
  await sleep(100);
  const other = await database.client();
  // Dropping a database waits until every session has passed a barrier.
  const name = `barrier_${String(Math.random()).slice(2)}`;
  await other.query(`create database ${name}`);
  await other.query('set statement_timeout = 5000');
  await other.query(`drop database ${name}`);
  await other.query('select pg_cancel_backend($1)', [pid]);
  t.is((await busy).code, '57014');
});

test('JavaScript can’t run anything after a cancel', async (t) => {
  const session = await openSession(t);
  await session.client.query('create table seen (what text)');
  const call = await session.make(
    `try { plv8.execute('select pg_sleep(1000)') }
     catch (e) { globalThis.swallowed = 1; return 'swallowed' }
     finally { globalThis.finished = 1 }`,
  );
  await session.client.query('set statement_timeout = 100');
  t.is((await session.refusal(call)).code, '57014');
  await session.client.query('reset statement_timeout');
  t.deepEqual(await session.call('return [typeof swallowed, typeof finished]', 'jsonb'), [
    'undefined',
    'undefined',
  ]);
});

test('recursion without end is an error, at any max_stack_depth', async (t) => {
  const session = await openSession(t);
  await session.client.query(
    `create function down(a int) returns int language maint_v8 as $$ return plv8.execute('select down($1) as v', [a + 1])[0].v $$;
     create function caught(a int) returns int language maint_v8 as $$
       try { return plv8.execute('select caught($1) as v', [a + 1])[0].v } catch (e) { return a } $$`,
  );
  const bodies = [
    'const f = (n) => f(n + 1) + 1; return f(0)',
    'const f = (n) => { try { return f(n + 1) } catch (e) { throw new Error(e.message) } }; return f(0)',
    'const o = { get x() { return this.x } }; return o.x',
    'const o = {}; o.toString = () => String(o); return o',
    'const a = []; a[0] = new Proxy(a, { get: (target, key, proxy) => proxy[key] }); return a[0].x',
    'let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a)',
    'return JSON.parse("[".repeat(1e5) + "]".repeat(1e5)).toString()',
    'return (0, eval)("(".repeat(1e5) + ")".repeat(1e5))',
    'return new RegExp("(".repeat(1e5) + ")".repeat(1e5))',
  ];
  for (const depth of ['100kB', '2MB', '6MB']) {
    await session.client.query(`set max_stack_depth = '${depth}'`);
    for (const body of bodies) {
      const refusal = await session.failing(body);
      t.regex(refusal.message, /RangeError|SyntaxError|call stack/, `${depth} ${body}`);
    }
    const refusal = await session.refusal('select down(0)');
    t.regex(
      refusal.message,
      /RangeError: Maximum call stack size exceeded|stack depth limit exceeded/,
      depth,
    );
    t.true(((await session.value('select caught(0)')) as number) > 1, depth);
  }
  t.is(await session.call('const f = (n) => n === 0 ? 0 : f(n - 1) + 1; return f(5000)', 'int'), 5000);
});

/** Allocations without end, or too large at once. */
const greedy: [name: string, body: string][] = [
  ['objects', 'const a = []; for (;;) a.push({ x: [1, 2, 3] })'],
  [
    'objects, everything caught',
    'const a = []; for (;;) try { for (;;) a.push({ x: [1, 2, 3] }) } catch (e) {}',
  ],
  ['strings', 'const a = []; for (let i = 0; ; i++) a.push(String(i).repeat(1000).split("").join(" "))'],
  ['a map', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, String(i))'],
  ['huge arrays', 'const a = []; for (;;) a.push(new Array(3e7).fill(1))'],
  ['array buffers', 'const a = []; for (;;) a.push(new ArrayBuffer(1e6))'],
  ['small array buffers', 'const a = []; for (;;) a.push(new Uint8Array(100))'],
  ['one huge array buffer', 'return new ArrayBuffer(1e10).byteLength'],
  ['closures', 'let f = () => 0; for (;;) { const g = f; f = () => g }'],
  [
    'a table’s rows',
    `const a = []; for (;;) a.push(plv8.execute('select g, md5(g::text) as m from generate_series(1, 100000) g'))`,
  ],
  ['too many rows', `plv8.execute('select g, md5(g::text) as m from generate_series(1, 1000000) g')`],
  ['in a nested call', `for (;;) try { plv8.execute('select greedy()') } catch (e) {}`],
  ['BigInts', 'const a = []; for (let n = 1n; ; n *= 3n) a.push(n)'],
];

test('a runaway allocation is an error, and the session goes on', async (t) => {
  const { database, session } = await openDatabase(t);
  await session.client.query(
    `create function greedy() returns int language maint_v8 as $$ const a = []; for (;;) a.push([1, 2]) $$`,
  );
  await session.client.query(`set maint_v8.memory_limit = '64MB'`);
  for (const [name, body] of greedy) {
    const refusal = await session.failing(body);
    t.is(refusal.code, '53200', `${name}: ${refusal.message}`);
    t.is(await session.call('return 1 + 1', 'int'), 2, `after ${name}`);
  }
  t.like(await session.failing('const a = []; for (;;) a.push([1])'), {
    message: 'JavaScript ran out of memory',
    detail: 'The limit is 64 MB.',
    hint: 'Set maint_v8.memory_limit to a higher value.',
  });
  const other = await database.client();
  await other.query('select 1');
});

test('a limit inside of V8 ends the session at worst, never the server', async (t) => {
  const { database, session } = await openDatabase(t);
  const started = await session.value('select pg_postmaster_start_time()::text');
  const bodies = [
    'return "x".repeat(2 ** 28).split("").length',
    'return new Array(1e8).fill("abc").join("").length',
    'return "x".repeat(2 ** 29 - 25).concat("€").length + (2n ** 1000000n).toString().length',
  ];
  for (const body of bodies) {
    const victim = new Session(await database.client());
    const call = await session.make(body);
    await t.notThrowsAsync(
      victim.client.query(call).catch((error: unknown) => {
        const { code } = error as { code?: string };
        if (code !== '53200' && code !== 'XX000') throw error;
      }),
      body,
    );
    // A crash of one backend would have cut this session.
    t.is(await session.value('select pg_postmaster_start_time()::text'), started, body);
  }
});

test('garbage is no runaway allocation', async (t) => {
  const session = await openSession(t);
  await session.client.query(`set maint_v8.memory_limit = '64MB'`);
  t.is(
    await session.call(
      `let n = 0;
       for (let i = 0; i < 300; i++) { n += new Array(1e5).fill(i).length; n += new ArrayBuffer(5e6).byteLength > 0 ? 1 : 0 }
       for (let i = 0; i < 30; i++) n += String(i).padEnd(1e6).split(' ').length > 0 ? 1 : 0;
       return n`,
      'int',
    ),
    300 * 100_001 + 30,
  );
});

test('only a superuser may raise the limit', async (t) => {
  const session = await openSession(t);
  await session.call('return 1');
  const role = `limited_${String(await session.processId())}`;
  await session.client.query(`create role ${role}; set role ${role}`);
  t.is((await session.refusal(`set maint_v8.memory_limit = '1GB'`)).code, '42501');
  await session.client.query(`reset role; drop role ${role}`);
});

test('what is too much is an error: text of a message, types of a plan', async (t) => {
  const session = await openSession(t);
  // Texts that V8 puts together without copying them, and so within the limit of memory.
  t.like(await session.failing(`const s = 'x'.repeat(3e8); plv8.elog(NOTICE, s, s, s)`), {
    code: '54000',
    message: 'the message is too long',
  });
  t.like(
    await session.failing(`const types = []; types[4294967294] = 'int'; plv8.prepare('select 1', types)`),
    {
      code: '54023',
      message: "a statement can't have more than 65535 parameters",
    },
  );
  t.is(await session.call('return 1 + 1', 'int'), 2);
});

test('long arrays can be interrupted on their way into JavaScript and out of it', async (t) => {
  const session = await openSession(t);
  const calls = [
    await session.make('return a.length', 'int', ['int[]', 'array_fill(1, array[20000000])']),
    await session.make('return new Array(1e8)', 'int[]'),
  ];
  for (const call of calls) {
    await session.client.query('set statement_timeout = 1000');
    const started = performance.now();
    t.is((await session.refusal(call)).code, '57014', call);
    await session.client.query('reset statement_timeout');
    // Without that the second takes over 20 s on a quiet machine.
    t.true(performance.now() - started < 10_000, `${call} took ${performance.now() - started} ms`);
  }
});
