import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { configForObject } from '../../src/core/configuration.ts';
import type { SettingsSnapshot } from '../../src/core/configuration.ts';
import invalidIndexes from '../../src/steps/03-invalid-indexes.ts';
import type { ObjectName } from '../../src/steps/step.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { hostileNames } from '../support/names.ts';

const switchPath = 'features.invalid_index_cleanup.auto_cleanup';
const intervalPath = 'operational.maintenance_tasks.interval';

async function value(database: TestDatabase, text: string, parameters: unknown[] = []): Promise<unknown> {
  const [row] = await database.query<{ value: unknown }>(`select ${text} as value`, parameters);
  return row?.value;
}

interface Refusal {
  code: string;
  message: RegExp;
  hint: RegExp;
}

/** The statement fails like this, and leaves maint.setting as it was. */
async function refused(
  t: ExecutionContext,
  database: TestDatabase,
  text: string,
  parameters: unknown[],
  { code, message, hint }: Refusal,
): Promise<void> {
  const before = await database.query('select * from maint.setting order by path, scope');
  const error = await t.throwsAsync(database.query(`select ${text}`, parameters), {
    instanceOf: pg.DatabaseError,
  });
  t.is(error.code, code, error.message);
  t.regex(error.message, message);
  t.regex(error.hint ?? '', hint);
  t.deepEqual(await database.query('select * from maint.setting order by path, scope'), before);
}

async function snapshot(database: TestDatabase): Promise<SettingsSnapshot> {
  return (await value(database, 'maint.settings_snapshot()')) as SettingsSnapshot;
}

async function configure(
  database: TestDatabase,
  path: string,
  given: unknown,
  scope = 'database',
): Promise<void> {
  await database.query('select maint.configure($1, $2::jsonb, $3)', [path, JSON.stringify(given), scope]);
}

/** The boolean of step 3 as a run would use it for an object. */
async function holdsFor(database: TestDatabase, object: ObjectName): Promise<unknown> {
  return configForObject(invalidIndexes, await snapshot(database), object)['auto_cleanup'];
}

test('a setting has its default until it is configured, and again after reset', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.is(await value(database, 'maint.config($1)', [intervalPath]), 3600);
  t.deepEqual(await value(database, `maint.configure($1, '7200')`, [intervalPath]), {
    path: intervalPath,
    scope: 'database',
    value: 7200,
    previous: null,
  });
  t.is(await value(database, 'maint.config($1)', [intervalPath]), 7200);
  t.like(await value(database, `maint.configure($1, '300.0')`, [intervalPath]), {
    value: 300,
    previous: 7200,
  });
  t.deepEqual(await value(database, 'maint.reset($1)', [intervalPath]), [
    { path: intervalPath, scope: 'database', was: 300, default: 3600 },
  ]);
  t.is(await value(database, 'maint.config($1)', [intervalPath]), 3600);
  t.deepEqual(await value(database, 'maint.reset($1)', [intervalPath]), []);
});

test('a group of settings comes as a tree', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  t.like(await value(database, `maint.config('operational')`), {
    maintenance_tasks: { enabled: true, interval: 3600 },
  });
  t.like(await value(database, `maint.config('operational.maintenance_tasks')`), { interval: 3600 });
  const all = (await value(database, 'maint.config()')) as object;
  t.deepEqual(Object.keys(all).sort(), ['features', 'operational']);
  t.deepEqual(await value(database, `maint.config('')`), all);
});

test('reset takes back a group, one scope, or every scope', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const setAll = async (): Promise<void> => {
    await configure(database, intervalPath, 7200);
    await configure(database, switchPath, false);
    await configure(database, switchPath, true, 'schema:app');
  };
  await setAll();
  t.deepEqual(await value(database, `maint.reset('features')`), [
    { path: switchPath, scope: 'database', was: false, default: true },
  ]);
  t.deepEqual(await value(database, `maint.reset($1, 'schema:APP')`, [switchPath]), [
    { path: switchPath, scope: 'schema:app', was: true, default: true },
  ]);
  await setAll();
  t.is(((await value(database, `maint.reset('', 'all')`)) as unknown[]).length, 3);
  t.deepEqual(await database.query('select from maint.setting'), []);
});

test('an unknown key is refused with the nearest one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const cases: [string, string][] = [
    ['operational.maintenance_tasks.intervall', intervalPath],
    ['maintenance_tasks.interval', intervalPath],
    ['Operational.Maintenance_Tasks.Interval', intervalPath],
    ['operational.maintenance-tasks.interval', intervalPath],
    ['invalid_index_cleanup.autocleanup', switchPath],
    ['features.invalid_index_cleanup.auto_cleanup.', switchPath],
    ['x'.repeat(100_000), ''],
    ["it's;--\n", ''],
  ];
  for (const [path, nearest] of cases) {
    const like = {
      code: '22023',
      message: /^there is no setting/,
      hint: new RegExp(`The nearest is ${nearest}`),
    };
    await refused(t, database, `maint.configure($1, '60')`, [path], like);
    await refused(t, database, 'maint.config($1)', [path], like);
    await refused(t, database, 'maint.reset($1)', [path], like);
  }
  const isGroup = { code: '22023', message: /group of settings/, hint: /In it are: .*interval/ };
  await refused(t, database, `maint.configure('operational', '60')`, [], isGroup);
  await refused(t, database, `maint.configure('', '60')`, [], isGroup);
  const isNull = { code: '22004', message: /can't be null/, hint: /config_effective/ };
  await refused(t, database, `maint.configure(null, '60')`, [], isNull);
  await refused(t, database, 'maint.config(null)', [], isNull);
  await refused(t, database, 'maint.reset(null)', [], isNull);
});

test('a value that the definition does not allow is refused with what it allows', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`insert into maint.setting_definition (path, type, unit, default_value, minimum, maximum, choices,
      scoped, doc) values
    ('t.number', 'number', 'percent', '20.5', 0, 100, null, true, 'N.'),
    ('t.text', 'text', null, '"weekly"', null, null, '["weekly", "monthly"]', true, 'T.'),
    ('t.free', 'text', null, '""', null, null, null, true, 'F.'),
    ('t.list', 'list', null, '[]', null, null, '["a", "b"]', true, 'L.'),
    ('t.open', 'list', null, '[]', null, null, null, true, 'O.')`);
  const integer = /whole number from 60 to 604800 seconds/;
  const cases: [string, string, string, RegExp, RegExp][] = [
    [intervalPath, '"60"', '22023', /not a number/, integer],
    [intervalPath, '"NaN"', '22023', /not a number/, integer],
    [intervalPath, 'true', '22023', /not a number/, integer],
    [intervalPath, '[60]', '22023', /not a number/, integer],
    [intervalPath, '{}', '22023', /not a number/, integer],
    [intervalPath, 'null', '22004', /can't be null/, integer],
    [intervalPath, '60.5', '22023', /not a whole number/, integer],
    [intervalPath, '59', '22003', /out of range/, integer],
    [intervalPath, '604801', '22003', /out of range/, integer],
    [intervalPath, '1e400', '22003', /out of range/, integer],
    [switchPath, '"true"', '22023', /not true or false/, /true or false/],
    [switchPath, '1', '22023', /not true or false/, /true or false/],
    ['t.number', '100.01', '22003', /out of range/, /number from 0 to 100 percent/],
    ['t.number', '"Infinity"', '22023', /not a number/, /number from 0/],
    ['t.text', '"Weekly"', '22023', /no such choice/, /one of weekly, monthly/],
    ['t.text', '""', '22023', /no such choice/, /one of weekly/],
    ['t.free', '1', '22023', /not a text/, /a text/],
    ['t.list', '"a"', '22023', /not a list/, /list of texts/],
    ['t.list', '["a", "c"]', '22023', /"c" as element 2: there is no such choice/, /each one of a, b/],
    ['t.list', '["a", 1]', '22023', /1 as element 2: it is not a text/, /list of texts/],
    ['t.open', '["x", ""]', '22023', /element 2: it is empty/, /list of texts/],
    ['t.open', '[["x"]]', '22023', /element 1: it is not a text/, /list of texts/],
  ];
  for (const [path, given, code, message, hint] of cases) {
    await refused(t, database, 'maint.configure($1, $2::jsonb)', [path, given], { code, message, hint });
  }
  await refused(t, database, 'maint.configure($1, null)', [intervalPath], {
    code: '22004',
    message: /can't be null/,
    hint: integer,
  });
  for (const [path, given] of [
    [intervalPath, 60],
    [intervalPath, 604_800],
    ['t.number', 0],
    ['t.number', 99.999],
    ['t.text', 'monthly'],
    ['t.free', "it's\nfree"],
    ['t.list', ['b', 'a']],
    ['t.open', []],
  ] as const) {
    await configure(database, path, given);
    t.deepEqual(await value(database, 'maint.config($1)', [path]), given);
  }
});

test('a malformed scope is refused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const scopes = [
    '',
    'Database',
    'tables:a.b',
    'schema',
    'schema:',
    'schema:""',
    'schema:a.b',
    'table:a',
    'table:a.',
  ];
  scopes.push(
    'table:.b',
    'table:a.b.c',
    'table:a b.c',
    "table:it's.c",
    'index:"a.b',
    'index:a."b""',
    'schema:a-b',
  );
  scopes.push('schema:a\nb', `schema:${'x'.repeat(64)}`, `schema:"${'ü'.repeat(32)}"`);
  for (const scope of [...scopes, null]) {
    const like = { code: '22023', message: /^there is no scope/, hint: /table:SCHEMA\.NAME/ };
    await refused(t, database, `maint.configure($1, 'true', $2)`, [switchPath, scope], like);
    await refused(t, database, 'maint.reset($1, $2)', [switchPath, scope], like);
  }
  await refused(t, database, `maint.configure($1, '60', 'schema:app')`, [intervalPath], {
    code: '22023',
    message: /holds for the whole database/,
    hint: /can be narrowed: .*auto_cleanup/,
  });
});

test('the narrowest scope wins, then the more literal one, then the later one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const index = { schema: 'app', table: 'orders', index: 'orders_pkey' };
  t.is(await holdsFor(database, index), true);
  await configure(database, switchPath, false);
  t.is(await holdsFor(database, index), false);
  // From the narrowest to the widest: what is configured later and wider changes nothing.
  await configure(database, switchPath, true, 'index:app.orders_pkey');
  await configure(database, switchPath, false, 'index:app.*');
  await configure(database, switchPath, false, 'table:app.orders');
  await configure(database, switchPath, false, 'schema:app');
  t.is(await holdsFor(database, index), true);
  t.is(await holdsFor(database, { ...index, index: 'other' }), false);
  t.is(await holdsFor(database, { schema: 'app', table: 'orders' }), false);
  await database.query(`select maint.reset('', 'all')`);
  await configure(database, switchPath, false, 'table:app.orders');
  await configure(database, switchPath, true, 'schema:app');
  t.is(await holdsFor(database, index), false, 'a table is narrower than its schema');
  await configure(database, switchPath, true, 'table:app.order*');
  t.is(await holdsFor(database, index), false, 'more literal characters win');
  await configure(database, switchPath, false, 'table:app.?rder?');
  await configure(database, switchPath, true, 'table:app.??der*');
  await configure(database, switchPath, true, 'table:app.orde*s');
  await database.query(`select maint.reset($1, 'table:app.orders')`, [switchPath]);
  t.is(await holdsFor(database, index), true, 'of two with as many the later wins');
  t.is(await holdsFor(database, { schema: 'App', table: 'orders' }), true, 'names keep their case');
});

test('unquoted letters fold to lower case, and a scope has one spelling', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const [given, canonical] of [
    ['table:App.ORDERS_*', 'table:app.orders_*'],
    ['table:"app"."orders_"*', 'table:app.orders_*'],
    ['index:app."My ""Index"""?', 'index:app."My ""Index"""?'],
    ['schema:"a*b"', 'schema:"a*b"'],
    ['schema:Ärger_*', 'schema:Ärger_*'],
    ['database', 'database'],
  ]) {
    t.is(await value(database, `maint.setting_scope($1) ->> 'scope'`, [given]), canonical);
    t.is(await value(database, `maint.setting_scope($1) ->> 'scope'`, [canonical]), canonical);
  }
  await configure(database, switchPath, false, 'table:App.ORDERS');
  t.is(await holdsFor(database, { schema: 'app', table: 'orders' }), false);
  t.is(await holdsFor(database, { schema: 'App', table: 'ORDERS' }), true);
  await configure(database, switchPath, true, 'table:app."orders"');
  t.is((await database.query('select from maint.setting')).length, 1);
});

test('a quoted name matches itself and no other, in PostgreSQL and in JavaScript', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = [
    ...hostileNames,
    '^x$',
    'a*',
    'a?',
    '[a-z]',
    '(?i)a',
    '***=a',
    'a{2}|b',
    '\\d+',
    '\\0',
    '#',
    '/',
  ];
  for (const name of names) {
    const quoted = pg.escapeIdentifier(name);
    const parsed = (await value(database, 'maint.setting_scope($1)', [`table:${quoted}.${quoted}`])) as {
      schema_regex: string;
      object_regex: string;
    };
    const matched = await database.query<{ name: string }>(
      'select n.name from unnest($1::text[]) as n (name) where n.name ~ $2 order by n.name collate "C"',
      [names, parsed.object_regex],
    );
    t.deepEqual(
      matched.map((row) => row.name),
      [name],
    );
    t.deepEqual(
      names.filter((each) => new RegExp(parsed.object_regex, 'u').test(each)),
      [name],
    );
    t.is(parsed.schema_regex, parsed.object_regex);
  }
});

test('wildcards match any character, in PostgreSQL and in JavaScript', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const names = [...hostileNames, 'a', 'ab', 'a\u2028b', 'a\rb', '🐘', 'a🐘b'];
  const patterns = ['*', '?', 'a?b', 'a*b', '??*', 'x*x', '"line"?*', '*"_🐘"', '*"."*'];
  for (const pattern of patterns) {
    const regex = (await value(database, `maint.setting_scope($1) ->> 'schema_regex'`, [
      `schema:${pattern}`,
    ])) as string;
    const matched = await database.query<{ name: string }>(
      `select n.name from unnest($1::text[]) with ordinality as n (name, position) where n.name ~ $2 order by n.position`,
      [names, regex],
    );
    t.deepEqual(
      matched.map((row) => row.name),
      names.filter((each) => new RegExp(regex, 'u').test(each)),
      pattern,
    );
    t.true(matched.length > 0, pattern);
    if (pattern === '*') t.is(matched.length, names.length);
  }
});

test('what this version does not know or allow is kept, shown, and never an error', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(
    `insert into maint.setting (path, scope, value) values
    ('features.gone.enabled', 'database', 'true'),
    ('features.gone.enabled', 'schema:app', 'true'),
    ($1, 'database', '5'),
    ($2, 'schema:app', '"yes"'),
    ($1, 'schema:app', '3600')`,
    [intervalPath, switchPath],
  );
  t.is(await value(database, 'maint.config($1)', [intervalPath]), 3600);
  const used = await snapshot(database);
  t.is(used.database[intervalPath], 3600);
  t.deepEqual(used.scoped, []);
  t.false('features.gone.enabled' in used.database);
  const ignored = await database.query(
    'select path, scope, value, ignored from maint.config_effective where ignored is not null order by path, scope',
  );
  t.deepEqual(
    ignored.map(({ path, scope }) => [path, scope] as unknown[]),
    [
      ['features.gone.enabled', 'database'],
      ['features.gone.enabled', 'schema:app'],
      [switchPath, 'schema:app'],
      [intervalPath, 'database'],
      [intervalPath, 'schema:app'],
    ],
  );
  t.is(((await value(database, `maint.reset('features.gone', 'all')`)) as unknown[]).length, 2);
});

test('config_effective has a row for each setting, with who set it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await configure(database, switchPath, false, 'index:app."My Index"');
  const rows = await database.query('select * from maint.config_effective where path = $1', [switchPath]);
  t.like(rows[0], {
    scope: 'database',
    value: true,
    default_value: true,
    set_by: null,
    set_at: null,
    ignored: null,
  });
  t.like(rows[1], { scope: 'index:app."My Index"', value: false, set_by: 'postgres', ignored: null });
  const [{ settings, shown } = {}] = await database.query(
    `select (select count(*) from maint.setting_definition) as settings,
       (select count(*) from maint.config_effective where scope = 'database') as shown`,
  );
  t.is(settings, shown);
});
