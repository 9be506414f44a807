import test from 'ava';
import { openSession, quote } from './language.ts';

test('an error of the server arrives in JavaScript with all that PL/V8 gives, and the session goes on', async (t) => {
  const session = await openSession(t);
  await session.client.query(
    'create table goods (id int constraint positive check (id > 0), constraint one unique (id))',
  );
  const seen = await session.call(
    `const seen = [];
     for (const sql of ['insert into goods values (-1)', 'select 1/0', 'selec', 'insert into goods values (1), (1)']) {
       try { plv8.execute(sql); seen.push('no error'); } catch (e) {
         seen.push({ kind: e.constructor === Error, message: e.message, state: e.sqlerrcode, code: e.code,
           table: e.table_name, schema: e.schema_name, constraint: e.constraint_name, column: e.column_name,
           type: e.datatype_name, detail: e.detail, hint: e.hint, context: e.context, query: e.internalquery });
       }
     }
     seen.push(plv8.execute('select count(*)::int as n from goods'));
     return seen`,
    'jsonb',
  );
  const [check, division, syntax, unique, count] = seen as Record<string, unknown>[];
  t.like(check, {
    kind: true,
    state: '23514',
    table: 'goods',
    schema: 'public',
    constraint: 'positive',
    hint: null,
  });
  t.is(check?.['code'], 67391682);
  t.regex(String(check?.['detail']), /Failing row contains \(-1\)/);
  t.regex(String(check?.['context']), /SQL statement "insert into goods values \(-1\)"/);
  t.like(division, { state: '22012', message: 'division by zero', table: null, column: null, type: null });
  t.like(syntax, { state: '42601', query: 'selec' });
  t.like(unique, { state: '23505', constraint: 'one', detail: 'Key (id)=(1) already exists.' });
  t.deepEqual(count, [{ n: 0 }] as never);
});

test('an error that JavaScript does not catch keeps code, detail, hint and names, and says where', async (t) => {
  const session = await openSession(t);
  await session.client.query('create table goods (id int constraint positive check (id > 0))');
  const refusal = await session.failing(`\n\nplv8.execute('insert into goods values (-1)')`);
  t.is(refusal.code, '23514');
  t.regex(String(refusal.detail), /Failing row/);
  t.is(refusal.error.constraint, 'positive');
  t.is(refusal.error.table, 'goods');
  t.is(
    refusal.where,
    `SQL statement "insert into goods values (-1)"\n` +
      `f1() LINE 3: plv8.execute('insert into goods values (-1)')\nat f1 (f1:3:6)`,
  );
});

test('an error of JavaScript becomes one of the server, by PL/V8’s rules', async (t) => {
  const session = await openSession(t);
  const cases: [body: string, code: string, message: string][] = [
    [`throw new Error('plain')`, 'XX000', 'plain'],
    [`throw new TypeError('kind')`, 'XX000', 'TypeError: kind'],
    [`throw 'text'`, 'XX000', 'text'],
    [`throw null`, 'XX000', 'null'],
    [`throw {}`, 'XX000', '[object Object]'],
    [`null.x`, 'XX000', `TypeError: Cannot read properties of null (reading 'x')`],
    [`throw { toString() { throw 1 } }`, 'XX000', `JavaScript threw a value that can't be shown as text`],
    [`throw Symbol('s')`, 'XX000', `JavaScript threw a value that can't be shown as text`],
    [`throw Object.assign(new Error('m'), { sqlerrcode: '22012' })`, '22012', 'm'],
    [`throw Object.assign(new Error('m'), { code: 33816706 })`, '22012', 'm'],
    [`throw Object.assign(new Error('m'), { sqlerrcode: '00000' })`, 'XX000', 'm'],
    [`throw Object.assign(new Error('m'), { sqlerrcode: '220120' })`, 'XX000', 'm'],
    [`throw Object.assign(new Error('m'), { sqlerrcode: "22'1\\n" })`, 'XX000', 'm'],
    [`throw Object.assign(new Error('m'), { code: -1 })`, 'XX000', 'm'],
    [`throw new Error('100% %s %n')`, 'XX000', '100% %s %n'],
    [`throw new Error('a\\u0000b')`, 'XX000', 'a\ufffdb'],
    [`throw new Error('😀'.repeat(20000))`, 'XX000', '😀'.repeat(16382)],
    [`plv8.elog(ERROR, 'a', 1, null)`, 'XX000', 'a 1 null'],
    [
      `throw new Proxy({}, { get() { throw new Error('trap') } })`,
      'XX000',
      `JavaScript threw a value that can't be shown as text`,
    ],
  ];
  for (const [body, code, message] of cases) {
    const refusal = await session.failing(body);
    t.is(refusal.code, code, body);
    t.is(refusal.message, message, body);
  }
  const full = await session.failing(
    `throw Object.assign(new Error('m'), { sqlerrcode: 'P0001', detail: 'd', hint: 'h', context: 'c', table_name: 't' })`,
  );
  t.like(full, { code: 'P0001', detail: 'd', hint: 'h' });
  t.true(full.where?.startsWith('c\n'));
  t.is(full.error.table, 't');
});

test('the context names the function, the line and the stack', async (t) => {
  const session = await openSession(t);
  const refusal = await session.failing(
    `\n  const inner = () => {\n    throw new Error('x');\n  };\n  inner();`,
  );
  t.is(refusal.where, `f1() LINE 3:     throw new Error('x');\nat inner (f1:3:11)\nat f1 (f1:5:3)`);
});

test('a syntax error is found when the function is made, with its line', async (t) => {
  const session = await openSession(t);
  const refusal = await session.refusal(
    `create function broken() returns int language maint_v8 as ${quote('\n  const a = 1;\n  return a +;\n')}`,
  );
  t.is(refusal.code, '42601');
  t.is(refusal.message, `SyntaxError: Unexpected token ';'`);
  t.is(refusal.where, 'broken() LINE 3:   return a +;');
  t.is(await session.value(`select count(*)::int from pg_proc where proname = 'broken'`), 0);
});

test('a body can’t close the function around it', async (t) => {
  const session = await openSession(t);
  for (const body of [
    '}); for (;;); (function () {',
    '} + 1; {',
    '} , plv8.elog(ERROR, "ran"), function () {',
  ]) {
    const refusal = await session.refusal(
      `create function escape() returns int language maint_v8 as ${quote(body)}`,
    );
    t.is(refusal.code, '42601', body);
  }
});

test('what the language does not support is refused when the function is made', async (t) => {
  const session = await openSession(t);
  const signatures: [head: string, message: RegExp][] = [
    ['f() returns trigger', /trigger functions are not supported by maint_v8/],
    ['f() returns event_trigger', /trigger functions are not supported/],
    ['f() returns setof int', /return a set are not supported/],
    ['f() returns table (x int)', /return a set are not supported/],
    ['f(out x int)', /OUT, INOUT and TABLE arguments are not supported/],
    ['f(inout x int)', /OUT, INOUT and TABLE arguments are not supported/],
    ['f(variadic x int[]) returns int', /VARIADIC arguments are not supported/],
    ['f(x anyelement) returns int', /type anyelement is not supported/],
    ['f() returns record', /type record is not supported/],
    ['f(x internal) returns int', /type internal is not supported/],
  ];
  for (const [head, message] of signatures) {
    const refusal = await session.refusal(`create function ${head} language maint_v8 as $$ return 1 $$`);
    t.is(refusal.code, '0A000', head);
    t.regex(refusal.message, message);
  }
  const named = await session.refusal(
    `create function f("my arg" int) returns int language maint_v8 as $$ return 1 $$`,
  );
  t.is(named.code, '42601');
  const inline = await session.refusal(`do language maint_v8 $$ 1 $$`);
  t.is(inline.code, '0A000');
});

test('an unnamed argument is $1, and a body is not compiled where check_function_bodies is off', async (t) => {
  const session = await openSession(t);
  await session.client.query(
    `create function sum(int, int) returns int language maint_v8 as $$ return $1 + $2 $$`.replaceAll(
      '$$',
      '$body$',
    ),
  );
  t.is(await session.value('select sum(2, 3)'), 5);
  await session.client.query('set check_function_bodies = off');
  await session.client.query('create function late() returns int language maint_v8 as $$ return ( $$');
  const refusal = await session.refusal('select late()');
  t.is(refusal.code, '42601');
});

test('what is not supported throws in JavaScript, where it can be caught', async (t) => {
  const session = await openSession(t);
  for (const call of [
    `plv8.find_function('f')`,
    'plv8.get_window_object()',
    'plv8.return_next(1)',
    'plv8.commit()',
    'plv8.rollback()',
    `plv8.prepare('select 1').cursor()`,
  ]) {
    const refusal = await session.failing(call);
    t.is(refusal.code, '0A000', call);
    t.regex(refusal.message, /(plv8|plan)\.\w+ is not supported by maint_v8/);
    t.is(await session.call(`try { ${call} } catch (e) { return e.sqlerrcode }`), '0A000');
  }
});

test('there is nothing that reaches outside', async (t) => {
  const session = await openSession(t);
  const names = [
    'console',
    'setTimeout',
    'setInterval',
    'queueMicrotask',
    'TextEncoder',
    'require',
    'process',
    'fetch',
    'gc',
    'WebAssembly',
    'SharedArrayBuffer',
    'Atomics',
    'FinalizationRegistry',
    'Buffer',
    'load',
    'read',
    'print',
  ];
  t.deepEqual(
    await session.call(`return ${JSON.stringify(names)}.filter((name) => name in globalThis)`, 'jsonb'),
    [],
  );
  t.is(
    await session.call(`return import('fs').then(() => 'read', () => 'refused') instanceof Promise`),
    'true',
  );
});

test('messages of elog reach the client with their level', async (t) => {
  const session = await openSession(t);
  const notices: string[] = [];
  session.client.on('notice', (notice) =>
    notices.push(`${String(notice.severity)} ${String(notice.message)}`),
  );
  await session.client.query(`set client_min_messages = 'debug1'`);
  await session.call(
    `plv8.elog(NOTICE, 'n', 1, {}); plv8.elog(WARNING, '%s'); plv8.elog(INFO, 'i'); plv8.elog(DEBUG1, 'd')`,
  );
  for (const line of ['NOTICE n 1 [object Object]', 'WARNING %s', 'INFO i', 'DEBUG d']) {
    t.true(notices.includes(line), line);
  }
  t.is((await session.failing(`plv8.elog(99, 'x')`)).message, 'invalid error level');
  t.is((await session.failing(`plv8.elog(NOTICE)`)).message, 'usage: plv8.elog(elevel, ...)');
  t.is((await session.failing(`plv8.elog(NOTICE, 'a\\u0000')`)).code, '22021');
});

test('quoting is that of the server', async (t) => {
  const session = await openSession(t);
  for (const text of ['plain', 'we;ird "" name', "it's", 'back\\slash', 'select', 'ü', '']) {
    const given = JSON.stringify(text);
    t.is(
      await session.call(`return plv8.quote_ident(${given})`),
      await session.value(`select quote_ident(${quote(text)})`),
    );
    t.is(
      await session.call(`return plv8.quote_literal(${given})`),
      await session.value(`select quote_literal(${quote(text)})`),
    );
  }
  t.deepEqual(
    await session.call(
      `return [plv8.quote_nullable(null), plv8.quote_nullable(undefined), plv8.quote_nullable("x"), plv8.quote_literal(null)]`,
      'jsonb',
    ),
    ['NULL', 'NULL', `'x'`, `'null'`],
  );
  t.is((await session.failing(`plv8.quote_ident('a\\u0000')`)).code, '22021');
});
