import test from 'ava';
import { openSession, type Argument } from './language.ts';

/** What a function sees: the kind of value and its text. */
const show = `
  const kind = a === null ? 'null' : Array.isArray(a) ? 'Array' : typeof a === 'object' ? a.constructor.name : typeof a;
  const text = a instanceof Date ? (isNaN(a) ? 'NaN' : a.toISOString())
    : typeof a === 'bigint' ? a.toString() : a instanceof Uint8Array ? String(a) : JSON.stringify(a);
  return kind + ' ' + (Object.is(a, -0) ? '-0' : typeof a === 'number' ? String(a) : text)`;

const intoJavaScript: [...Argument, shown: string][] = [
  ['bool', 'true', 'boolean true'],
  ['bool', 'null', 'null null'],
  ['int2', '-32768', 'number -32768'],
  ['int4', '2147483647', 'number 2147483647'],
  ['int8', '9223372036854775807', 'bigint 9223372036854775807'],
  ['int8', '1', 'bigint 1'],
  ['oid', '4294967295', 'number 4294967295'],
  ['float4', '1.5', 'number 1.5'],
  ['float8', "'-0'", 'number -0'],
  ['float8', "'NaN'", 'number NaN'],
  ['float8', "'-Infinity'", 'number -Infinity'],
  ['numeric', '1.25', 'number 1.25'],
  ['numeric', "'NaN'", 'number NaN'],
  ['numeric', "'9007199254740993'", 'number 9007199254740992'],
  ['text', "''", 'string ""'],
  ['text', "U&'\\+01F600é'", 'string "😀é"'],
  ['varchar(3)', "'abc'", 'string "abc"'],
  ['char(3)', "'a'", 'string "a  "'],
  ['name', "'n'", 'string "n"'],
  ['json', `'{"a": [1, null, "x"]}'`, 'Object {"a":[1,null,"x"]}'],
  ['json', "'null'", 'null null'],
  ['jsonb', `'{"b": 1e3, "a": true}'`, 'Object {"a":true,"b":1000}'],
  ['jsonb', "'[]'", 'Array []'],
  ['jsonb', `'"s"'`, 'string "s"'],
  ['jsonb', `'{"__proto__": 5}'`, 'Object {"__proto__":5}'],
  ['date', "'2024-02-29'", 'Date 2024-02-29T00:00:00.000Z'],
  ['timestamp', "'1999-12-31 23:59:59.123'", 'Date 1999-12-31T23:59:59.123Z'],
  ['timestamptz', "'2024-01-01 00:00:00+02'", 'Date 2023-12-31T22:00:00.000Z'],
  ['timestamptz', "'infinity'", 'Date NaN'],
  ['bytea', "'\\x00ff10'", 'Uint8Array 0,255,16'],
  ['int4[]', "'{1,null,3}'", 'Array [1,null,3]'],
  ['int2vector', "'1 2'", 'Array [1,2]'],
  ['int4[]', "'{{1,2},{3,4}}'", 'Array [1,2,3,4]'],
  ['text[]', `'{"a b",NULL,"null"}'`, 'Array ["a b",null,"null"]'],
  ['jsonb[]', `array['{"a":1}'::jsonb]`, 'Array [{"a":1}]'],
  ['uuid', "'00000000-0000-0000-0000-000000000001'", 'string "00000000-0000-0000-0000-000000000001"'],
  ['interval', "'1 day 2 hours'", 'string "1 day 02:00:00"'],
  ['inet', "'10.0.0.1'", 'string "10.0.0.1"'],
  ['regclass', "'pg_class'", 'string "pg_class"'],
  ['point', "'(1,2)'", 'string "(1,2)"'],
  ['"char"', "'x'", 'string "x"'],
];

test('each type arrives in JavaScript as PL/V8 maps it', async (t) => {
  const session = await openSession(t);
  for (const [type, literal, shown] of intoJavaScript) {
    t.is(await session.call(show, 'text', [type, literal]), shown, `${literal}::${type}`);
  }
});

/** Expressions of JavaScript, the SQL type they become, and what the server then has, as text. */
const intoServer: [expression: string, type: string, text: string | null][] = [
  ['true', 'bool', 'true'],
  ['1', 'bool', 'true'],
  ['null', 'bool', null],
  ['undefined', 'int4', null],
  ['7', 'int2', '7'],
  ['-1.9', 'int4', '-1'],
  ['"12"', 'int4', '12'],
  ['12n', 'int4', '12'],
  ['9223372036854775807n', 'int8', '9223372036854775807'],
  ['2 ** 53', 'int8', '9007199254740992'],
  ['4294967295', 'oid', '4294967295'],
  ['0.1', 'float8', '0.1'],
  ['1 / 0', 'float8', 'Infinity'],
  ['NaN', 'float4', 'NaN'],
  ['12345678901234567890n', 'numeric', '12345678901234567890'],
  ['1.5', 'numeric', '1.5'],
  ['"x"', 'text', 'x'],
  ['12', 'text', '12'],
  ['({})', 'text', '[object Object]'],
  ['"\\ud83d\\ude00"', 'text', '😀'],
  ['"\\ud83d"', 'text', '\ufffd'],
  ['({a: [1, undefined, "x"], b: undefined})', 'json', '{"a":[1,null,"x"]}'],
  ['({b: 1, a: {c: null}})', 'jsonb', '{"a": {"c": null}, "b": 1}'],
  ['[1, "a"]', 'jsonb', '[1, "a"]'],
  ['"[1]"', 'jsonb', '[1]'],
  ['5', 'jsonb', '5'],
  ['({toJSON() { return "j" }})', 'jsonb', '"j"'],
  ['"a\\u0000b" && ({s: "a\\u0001b"})', 'json', '{"s":"a\\u0001b"}'],
  ['new Date(0)', 'timestamptz', '1970-01-01 00:00:00+00'],
  ['new Date(Date.UTC(2024, 1, 29, 12))', 'date', '2024-02-29'],
  ['new Date(-1)', 'timestamp', '1969-12-31 23:59:59.999'],
  ['"2024-01-01"', 'date', '2024-01-01'],
  ['new Uint8Array([0, 255])', 'bytea', '\\x00ff'],
  ['new Uint8Array([9, 8, 7, 6]).subarray(1, 3)', 'bytea', '\\x0807'],
  ['[1, null, 3]', 'int4[]', '{1,NULL,3}'],
  ['[]', 'text[]', '{}'],
  ['["a b", "\\"", null]', 'text[]', '{"a b","\\"",NULL}'],
  ['[{a: 1}]', 'jsonb[]', '{"{\\"a\\": 1}"}'],
  ['"1 day"', 'interval', '1 day'],
  ['"10.0.0.0/8"', 'cidr', '10.0.0.0/8'],
];

test('each JavaScript value becomes what PL/V8 makes of it', async (t) => {
  const session = await openSession(t);
  await session.client.query(`set timezone = 'UTC'`);
  for (const [expression, type, text] of intoServer) {
    const call = await session.make(`return ${expression}`, type);
    t.is(await session.value(`${call}::text`), text, `result ${expression} as ${type}`);
    const parameter = `return plv8.execute('select $1::${type}::text as v', [${expression}])[0].v`;
    t.is(await session.call(parameter), text, `parameter ${expression} as ${type}`);
  }
});

const refused: [expression: string, type: string, code: string, message: RegExp][] = [
  ['2147483648', 'int4', '22003', /out of range for type integer/],
  ['NaN', 'int4', '22003', /out of range/],
  ['40000', 'int2', '22003', /smallint/],
  ['1e19', 'int8', '22003', /bigint/],
  ['2n ** 63n', 'int8', '22003', /bigint/],
  ['-1', 'oid', '22003', /oid/],
  ['"x"', 'int4', '22P02', /invalid input syntax for type integer: "x"/],
  ['"not json"', 'jsonb', '22P02', /invalid input syntax for type json/],
  ['"a\\u0000b"', 'text', '22021', /U\+0000/],
  ['({s: "a\\u0000b"})', 'jsonb', '22P05', /unsupported Unicode escape/],
  ['Symbol("s")', 'text', 'XX000', /TypeError: Cannot convert a Symbol/],
  ['({v: 1n})', 'jsonb', 'XX000', /TypeError: Do not know how to serialize a BigInt/],
  ['(() => { const o = {}; o.o = o; return o })()', 'jsonb', 'XX000', /circular structure/],
  ['5', 'int4[]', 'XX000', /value is not an Array/],
  ['new Date(NaN)', 'timestamptz', '22003', /out of range/],
  ['new Date(-8.64e15)', 'timestamp', '22003', /out of range/],
  ['"abcd"', 'lines', '23514', /violates check constraint/],
];

test('a value that has no place in the type is refused, as result and as parameter', async (t) => {
  const session = await openSession(t);
  await session.client.query(`create domain lines as text check (length(value) < 4)`);
  for (const [expression, type, code, message] of refused) {
    for (const body of [
      `return ${expression}`,
      `plv8.execute('select $1::${type}', [${expression}]); return null`,
    ]) {
      const refusal = await session.failing(body, type);
      t.is(refusal.code, code, `${body} as ${type}: ${refusal.message}`);
      t.regex(refusal.message, message);
    }
  }
});

test('types that PL/V8 maps to objects, or fails on, are refused by name', async (t) => {
  const session = await openSession(t);
  await session.client.query('create type pair as (x int, y int)');
  for (const [type, expression] of [
    ['pair', 'row(1, 2)::pair'],
    ['record', 'row(1, 2)'],
    ['pair[]', 'array[row(1, 2)::pair]'],
  ]) {
    const sql = `select ${String(expression)} as v`;
    const refusal = await session.failing(`return plv8.execute(${JSON.stringify(sql)})`, 'jsonb');
    t.is(refusal.code, '0A000');
    t.regex(
      refusal.message,
      new RegExp(`type ${String(type).replace('[]', '\\[\\]')} is not supported by maint_v8`),
    );
  }
});

test('names of columns become own properties, whatever they are', async (t) => {
  const session = await openSession(t);
  const rows = await session.call(
    `const [row] = plv8.execute('select 1 as "__proto__", 2 as "we;ird "" name", 3 as "0", 4 as constructor');
     return [Object.keys(row), Object.values(row), Object.getPrototypeOf(row) === Object.prototype]`,
    'jsonb',
  );
  t.deepEqual(rows, [['0', '__proto__', 'we;ird " name', 'constructor'], [3, 1, 2, 4], true]);
});

test('void returns nothing, and a strict function is not called with null', async (t) => {
  const session = await openSession(t);
  t.is(await session.call('return 5', 'void'), null);
  await session.client.query(
    `create function never(a int) returns text language maint_v8 strict as $$ return 'called' $$`,
  );
  t.is(await session.value('select never(null)'), null);
  t.is(await session.value('select never(1)'), 'called');
});

test('a database in another encoding gets and gives its own text', async (t) => {
  const session = await openSession(t);
  const name = `latin_${String(await session.processId())}`;
  await session.client.query(
    `create database ${name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`,
  );
  t.teardown(async () => {
    await session.client.query(`drop database if exists ${name} with (force)`).catch(() => undefined);
  });
  const source = await session.value(`select probin from pg_proc where proname = 'maint_v8_call_handler'`);
  const { default: pg } = await import('pg');
  const { languageSql } = await import('../../build/bridge.ts');
  const { urlOf } = await import('../support/database.ts');
  const client = new pg.Client({ connectionString: urlOf(name) });
  await client.connect();
  try {
    await client.query(languageSql(String(source)));
    await client.query(
      `create function f(a text) returns text language maint_v8 as $$ return a + a.length + 'ä' $$`,
    );
    t.is((await client.query<{ v: string }>(`select f('é') as v`)).rows[0]?.v, 'é1ä');
    await client.query(`create function g() returns text language maint_v8 as $$ return '\\u4e2d' $$`);
    const refusal = await t.throwsAsync(client.query('select g()'));
    t.is((refusal as { code?: string }).code, '22P05');
  } finally {
    await client.end();
    await session.client.query(`drop database ${name} with (force)`);
  }
});
