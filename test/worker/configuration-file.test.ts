import test from 'ava';
import type { ExecutionContext } from 'ava';
import { parse } from 'yaml';
import {
  applyConfiguration,
  ConfigurationError,
  showConfiguration,
} from '../../src/worker/configuration-file.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

const switchPath = 'features.invalid_index_cleanup.auto_cleanup';

const show = async (database: TestDatabase): Promise<string> =>
  await showConfiguration(await database.client());

const apply = async (database: TestDatabase, source: string): ReturnType<typeof applyConfiguration> =>
  await applyConfiguration(await database.client(), source, 'file.yaml');

async function stored(database: TestDatabase): Promise<unknown[]> {
  return await database.query('select path, scope, value from maint.setting order by path, scope');
}

/** The file is refused with these lines (message and, after a line break, hint), and nothing of it is applied. */
async function refused(
  t: ExecutionContext,
  database: TestDatabase,
  source: string,
  ...lines: RegExp[]
): Promise<void> {
  const before = await stored(database);
  const error = await t.throwsAsync(apply(database, source), { instanceOf: ConfigurationError });
  t.is(error.problems.length, lines.length, error.message);
  for (const [index, line] of lines.entries()) {
    const problem = error.problems[index];
    const text = `${String(problem?.line)}:${String(problem?.column)} ${problem?.message ?? ''}\n${problem?.hint ?? ''}`;
    t.regex(text, line);
    t.notRegex(error.message, /[^\P{Cc}\n]/u);
  }
  t.deepEqual(await stored(database), before);
}

test('shows every setting, and takes it back without a change', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const first = await show(database);
  t.deepEqual(await apply(database, first), []);
  t.deepEqual(await stored(database), []);
  t.is(await show(database), first);
  const [all] = await database.query<{ config: object }>(`select maint.config('') as config`);
  t.deepEqual(parse(first), { ...all?.config, scopes: [] });
  t.regex(first, /# .*seconds, default 3600\)\n +interval: 3600/);
});

test('shows, applies and shows the same with values and hostile scopes', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`select maint.configure('operational.maintenance_tasks.interval', '7200')`);
  for (const scope of ['schema:app', `table:app."it's: #\nyes"*`, 'index:"no"."- [x]"', 'index:*.??_pkey']) {
    await database.query('select maint.configure($1, $2, $3)', [switchPath, 'false', scope]);
  }
  await database.query(
    `select maint.configure('features.integrity_check.disabled_checks', to_jsonb(array['btree_structure']))`,
  );
  const source = await show(database);
  const before = await stored(database);
  t.deepEqual(await apply(database, source), []);
  t.deepEqual(await stored(database), before);
  const other = await createDatabase(t, { template: 'installed' });
  t.is((await apply(other, source)).length, before.length);
  t.deepEqual(await stored(other), before);
  t.is(await show(other), source);
});

test('takes the YAML of the documentation', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const source = `
operational:
  maintenance_tasks:
    enabled: true  # Master toggle

features:
  invalid_index_cleanup:
    enabled: true
    auto_cleanup: false  # Safety
  integrity_check:
`;
  t.deepEqual(await apply(database, source), [{ path: switchPath, scope: 'database', value: false }]);
  t.deepEqual(await apply(database, 'features: {invalid_index_cleanup: {auto_cleanup: true}}'), [
    { path: switchPath, scope: 'database', value: true },
  ]);
  t.deepEqual(await stored(database), [], 'the default is not stored');
  for (const empty of ['', '# nothing\n', 'features:\n', 'scopes:\n', '---\n...\n']) {
    t.deepEqual(await apply(database, empty), []);
  }
});

test('applies narrower scopes in any spelling', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const source = `
scopes:
  - scope: table:App.Orders
    features: { invalid_index_cleanup: { auto_cleanup: false } }
  - features.invalid_index_cleanup.auto_cleanup: true
    scope: 'index:app."My Index"'
`;
  t.is((await apply(database, source)).length, 2);
  t.deepEqual(await apply(database, source), []);
  t.deepEqual(await stored(database), [
    { path: switchPath, scope: 'index:app."My Index"', value: true },
    { path: switchPath, scope: 'table:app.orders', value: false },
  ]);
});

test('says line, column and what was expected, for all that is wrong at once', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await refused(
    t,
    database,
    `operational:
  maintenance_tasks:
    interval: 5
    intervall: 60
    enabled: yes
    lock_timeout: 12.5
features:
  invalid_index_cleaning:
    enabled: false
  invalid_index_cleanup:
    auto_cleanup: false
    enabled: [true]
  integrity_check: 5
other: 1
`,
    /^3:15 .*interval can't be 5: it is out of range\nExpected a whole number from 60 to 604800 seconds/,
    /^4:5 there is no setting 'operational.maintenance_tasks.intervall'\nThe nearest is operational.maintenance_tasks.interval;/,
    /^5:14 .*can't be "yes": it is not true or false\nExpected true or false/,
    /^6:19 .*can't be 12.5: it is not a whole number/,
    /^8:3 there is no setting .*invalid_index_cleaning.enabled'\nThe nearest is features.invalid_index_cleanup.enabled;/,
    /^12:14 .*can't be \[true\]: it is not true or false/,
    /^13:3 'features.integrity_check' is no setting but a group/,
    /^14:1 there is no setting 'other'/,
  );
  const [{ config } = {}] = await database.query('select maint.config($1) as config', [switchPath]);
  t.is(config, true, 'the good value of a bad file is not applied either');
});

test('malformed scopes are placed', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const one = 'features.invalid_index_cleanup.auto_cleanup: false';
  await refused(
    t,
    database,
    `scopes:\n  - scope: tables:a.b\n    ${one}\n`,
    /^2:12 there is no scope 'tables:a.b'/,
  );
  await refused(t, database, `scopes:\n  - ${one}\n`, /^2:5 a scope is missing/);
  await refused(t, database, `scopes:\n  - scope: 5\n    ${one}\n`, /^2:5 a scope is missing/);
  await refused(t, database, 'scopes:\n  - 5\n', /^2:5 a scope is missing/);
  await refused(t, database, 'scopes:\n  scope: database\n', /^2:3 scopes must be a list/);
  await refused(
    t,
    database,
    `scopes:\n  - scope: schema:a\n    operational.maintenance_tasks.interval: 60\n`,
    /^3:45 .*holds for the whole database\b.*\nLeave the scope out/,
  );
});

test('malformed YAML is placed, and what could be a trap is refused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const cases: [string, RegExp][] = [
    ['features:\n\tenabled: true\n', /^2:1 /],
    ['features: [1, 2\n', /^2:1 /],
    ['a: "x\n', /^\d:\d /],
    ['features:\n  a: 1\n  a: 2\n', /^3:3 .*unique/i],
    ['a: 1\n--- \nb: 2\n', /^\d:\d .*documents/],
    ['- a\n', /^1:1 expected keys/],
    ['just text', /^1:1 expected keys/],
    ['a: &x 1\n', /^1:7 anchors/],
    ['operational: !!binary "aGk="\n', /^1:\d+ .*tag/i],
    ['operational: !mine {}\n', /^1:14 .*tag/i],
    ['? [a]\n: 1\n', /^1:3 expected the name/],
    ['operational.maintenance_tasks.interval: .nan\n', /^1:41 .*not a number/],
    ['operational.maintenance_tasks.interval: .inf\n', /^1:41 .*not a number/],
    ['operational.maintenance_tasks.interval: ~\n', /^1:41 .*can't be null/],
    ['operational.maintenance_tasks.interval:\n', /^1:\d+ .*can't be null/],
    ['features: 5\n', /^1:1 'features' is no setting but a group/],
    ['1: 2\n', /^1:1 there is no setting '1'/],
    ['"a\\u0000b": 1\n', /^1:1 invalid byte sequence/],
    ['"a\\u001b[31m": 1\n', /^1:1 there is no setting 'a\\u001B\[31m'/],
    ['operational.maintenance_tasks.interval: "\\0"\n', /^1:41 /],
  ];
  for (const [source, line] of cases) await refused(t, database, source, line);
  await refused(t, database, 'a: &x {b: 1}\nc: *x\n', /^1:7 anchors/, /^2:4 aliases/);
  const twice =
    'operational.maintenance_tasks.interval: 60\noperational: {maintenance_tasks: {interval: 61}}\n';
  await refused(t, database, twice, /^2:35 .*given twice/);
  await refused(t, database, '['.repeat(200_000), /^null:null .*nested too deeply/);
  await refused(t, database, `# ${'x'.repeat(1_000_001)}`, /^null:null .*larger than/);
});
