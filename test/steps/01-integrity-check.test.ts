import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { makeIndexCorrupt, turnableIndex } from '../support/corrupt-index.ts';
import { hostileNames } from '../support/names.ts';
import { openFindings, openTransaction, run, runFromNode } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { createExtensions } from '../support/extensions.ts';

const only = ['integrity_check'];
const quote = pg.escapeIdentifier;

async function prepared(t: ExecutionContext, ...statements: string[]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await createExtensions(database, ['amcheck']);
  for (const statement of statements) await database.query(statement);
  return database;
}

async function check(database: TestDatabase): Promise<RunResult['integrity_check']> {
  const result = await run(database, { only });
  return result.integrity_check;
}

/** The findings of one check as `schema.table.object`. */
async function found(database: TestDatabase, name: string): Promise<string[]> {
  const findings = await openFindings(database, `integrity.${name}`);
  return findings.map((row) => [row.schema_name, row.table_name, row.object_name].join('.'));
}

async function applyRemedies(database: TestDatabase, name: string): Promise<void> {
  for (const { remedy } of await openFindings(database, `integrity.${name}`)) {
    await database.query(remedy!);
  }
}

test('a clean database is healthy, and every check says how much it saw', async (t) => {
  const database = await prepared(
    t,
    'create table parent (id bigint primary key)',
    'create table child (id serial primary key, parent bigint references parent)',
  );
  const { status, issues, checks } = await check(database);
  t.deepEqual(issues, []);
  t.is(status, 'healthy', JSON.stringify(checks));
  for (const [name, { examined, total }] of Object.entries(checks)) {
    t.is(examined, total, name);
    t.true(total! > 0, name);
  }
});

test('NOT VALID constraints are found where they were declared and resolved by validating', async (t) => {
  const database = await prepared(t);
  for (const [position, name] of hostileNames.entries()) {
    await database.query(`create schema ${quote(name)}`);
    await database.query(`create table ${quote(name)}.t${position} (a int, b int)`);
    await database.query(
      `alter table ${quote(name)}.t${position} add constraint ${quote(name)} check (a > 0) not valid`,
    );
  }
  await database.query('create domain positive as int');
  await database.query('alter domain positive add constraint is_positive check (value > 0) not valid');
  await database.query('create table part (a int) partition by list (a)');
  await database.query('create table part_1 partition of part for values in (1)');
  await database.query('alter table part add constraint once check (a > 0) not valid');
  await database.query('create table near_miss (a int check (a > 0))');
  t.is((await check(database)).status, 'unhealthy');
  const names = await found(database, 'constraint_not_valid');
  t.is(names.length, hostileNames.length + 2);
  t.true(names.includes('public.part.once'));
  t.true(names.includes('public.positive.is_positive'));
  await applyRemedies(database, 'constraint_not_valid');
  t.is((await check(database)).status, 'healthy');
  t.deepEqual(await found(database, 'constraint_not_valid'), []);
});

test('foreign keys whose column types differ are found; a domain over the same type is not', async (t) => {
  const database = await prepared(
    t,
    'create domain account_id as bigint',
    'create domain nested as account_id',
    'create table parent (a int, b bigint, unique (a, b))',
    'create table single (id bigint primary key)',
    'create table fits (a int, b nested, foreign key (a, b) references parent (a, b))',
    'create table differs (a smallint, b bigint, constraint differs_fk foreign key (a, b) references parent (a, b))',
    'create table wider (a bigint, b bigint, foreign key (a, b) references parent (a, b))',
    'create table "Differs;" (x int constraint "fk "" x" references single)',
  );
  await check(database);
  t.deepEqual(await found(database, 'foreign_key_type_mismatch'), [
    'public.Differs;.fk " x',
    'public.differs.differs_fk',
  ]);
  await applyRemedies(database, 'foreign_key_type_mismatch');
  t.is((await check(database)).status, 'healthy');
});

test('foreign keys with disabled triggers are found and enabled by the remedy', async (t) => {
  const database = await prepared(
    t,
    'create table parent (id int primary key)',
    'create table "Child;" (id int constraint "fk;" references parent)',
    'create table part (id int constraint part_fk references parent) partition by list (id)',
    'create table part_1 partition of part for values in (1)',
    'create function noop() returns trigger language plpgsql as $$ begin return null; end $$',
    'create trigger near_miss after insert on parent execute function noop()',
    'alter table parent disable trigger near_miss',
  );
  t.is((await check(database)).status, 'healthy', "a user's own disabled trigger is his choice");
  await database.query('alter table "Child;" disable trigger all');
  t.is((await check(database)).status, 'unhealthy');
  t.deepEqual(await found(database, 'foreign_key_disabled'), ['public.Child;.fk;']);
  await applyRemedies(database, 'foreign_key_disabled');
  t.is((await check(database)).status, 'healthy');
});

test('a constraint on an invalid index is found', async (t) => {
  const database = await prepared(t, 'create table t (a int constraint "t;pk" primary key)');
  await database.query(`update pg_index set indisvalid = false where indexrelid = '"t;pk"'::regclass`);
  t.is((await check(database)).status, 'unhealthy');
  t.deepEqual(await found(database, 'constraint_index_invalid'), ['public.t.t;pk']);
  const [finding] = await openFindings(database, 'integrity.constraint_index_invalid');
  t.is(finding!.severity, 'critical');
  await applyRemedies(database, 'constraint_index_invalid');
  t.is((await check(database)).status, 'healthy');
});

test('dangling rows of every kind are found', async (t) => {
  const database = await prepared(
    t,
    'create table gone (a int primary key, b int default 7)',
    'create sequence s',
  );
  await database.query(`delete from pg_class where oid = 'gone'::regclass`);
  await database.query(`delete from pg_class where relname = 's'`);
  const { status, issues } = await check(database);
  t.is(status, 'unhealthy');
  const catalogs = new Set(
    (await openFindings(database, 'integrity.dangling_catalog_row')).map(({ detail }) => detail['catalog']),
  );
  for (const catalog of ['pg_index', 'pg_attribute', 'pg_attrdef', 'pg_constraint', 'pg_depend']) {
    t.true(catalogs.has(catalog), catalog);
  }
  t.true(issues.every(({ severity }) => severity === 'critical'));
});

test('sequences are judged against their range and the narrowest column they fill', async (t) => {
  const database = await prepared(
    t,
    'create sequence fresh',
    'create sequence small maxvalue 100 start 80',
    'create sequence cycles maxvalue 100 start 90 cycle',
    'create sequence "down; hill" increment -1 minvalue -100 start -85',
    'create sequence near_miss maxvalue 100 start 79',
    'create table narrow (id smallint)',
    'create sequence "wide ""range"',
    `alter table narrow alter id set default nextval('"wide ""range"')`,
    'create table owned (id serial)',
    'create table identity (id smallint generated always as identity)',
    `select nextval('fresh'), nextval('small'), nextval('cycles'), nextval('"down; hill"'), nextval('near_miss')`,
    `select setval('"wide ""range"', 30000), setval('owned_id_seq', 2147000000), setval('identity_id_seq', 32767)`,
  );
  const { status } = await check(database);
  t.is(status, 'unhealthy');
  t.deepEqual(
    (await found(database, 'sequence_near_end')).sort(),
    [
      'public..down; hill',
      'public..identity_id_seq',
      'public..owned_id_seq',
      'public..small',
      'public..wide "range',
    ].sort(),
  );
  const findings = await openFindings(database, 'integrity.sequence_near_end');
  const exhausted = findings.find(({ object_name }) => object_name === 'identity_id_seq')!;
  t.is(exhausted.severity, 'critical');
  t.is(exhausted.detail['values_left'], '0');
  t.is(findings.find(({ object_name }) => object_name === 'small')!.severity, 'warning');
  const locks = await database.query(
    `select from pg_locks l join pg_class c on c.oid = l.relation
     join pg_database d on d.oid = l.database and d.datname = current_database() where c.relkind = 'S'`,
  );
  t.deepEqual(locks, []);
});

test('reading many sequences in one transaction does not use up the lock table', async (t) => {
  const database = await prepared(
    t,
    `do $$ begin for i in 1..300 loop execute format('create sequence many_%s', i); end loop; end $$`,
  );
  const client = await database.client();
  await client.query('begin');
  await run(
    { ...database, query: async (text, params) => (await client.query(text, params)).rows as never },
    { only },
  );
  const { rows } = await client.query(
    `select from pg_locks l join pg_class c on c.oid = l.relation where c.relname like 'many%' and l.pid = pg_backend_pid()`,
  );
  if (process.env['MAINT_TEST_HOST'] !== 'node') t.deepEqual(rows, []);
  await client.query('commit');
  t.pass();
});

test('a locked sequence costs only its own verdict', async (t) => {
  const database = await prepared(t, 'create sequence held', 'create sequence small maxvalue 10 start 9');
  await database.query(`select maint.configure('operational.maintenance_tasks.lock_timeout', '50')`);
  const holder = await openTransaction(database, 'drop sequence held');
  const { status, checks } = await check(database);
  await holder.client.query('rollback');
  t.is(status, 'unhealthy');
  t.deepEqual(await found(database, 'sequence_near_end'), ['public..small']);
  const held = checks['sequence_near_end']!;
  t.is(held.examined, held.total! - 1);
  t.is(held.reason, 'locked');
  t.is(held.detail, 'public.held');
});

test('a changed collation version is found, with the number of indexes', async (t) => {
  const database = await prepared(
    t,
    `create collation "my;icu" (provider = icu, locale = 'de')`,
    'create table texts (a text collate "my;icu", b text)',
    'create index on texts (a)',
  );
  t.is((await check(database)).status, 'healthy');
  await database.query(`update pg_collation set collversion = '1' where collname = 'my;icu'`);
  t.is((await check(database)).status, 'unhealthy');
  const [finding] = await openFindings(database, 'integrity.collation_version_drift');
  t.is(finding!.object_name, 'my;icu');
  t.is(finding!.detail['indexes'], 1);
  await applyRemedies(database, 'collation_version_drift');
  t.is((await check(database)).status, 'healthy');
});

test('a corrupt B-tree is told from a sound one, stays found, and is healthy after REINDEX', async (t) => {
  const database = await prepared(
    t,
    'create table t as select g as a from generate_series(1, 5000) g',
    'create index sound on t (a)',
    turnableIndex('"cor;rupt"', 't', 'a'),
  );
  t.is((await check(database)).status, 'healthy');
  await makeIndexCorrupt(database, true);
  t.is((await check(database)).status, 'healthy', 'checked within the recheck days');
  await database.query(`update maint.index_check set checked_at = checked_at - interval '31 days'`);
  const broken = await check(database);
  t.is(broken.status, 'unhealthy');
  t.deepEqual(await found(database, 'btree_structure'), ['public.t.cor;rupt']);
  const [finding] = await openFindings(database, 'integrity.btree_structure');
  t.is(finding!.severity, 'critical');
  t.is(finding!.detail['sqlstate'], 'XX002');
  await check(database);
  t.deepEqual(
    await found(database, 'btree_structure'),
    ['public.t.cor;rupt'],
    'looked at again, though not due',
  );
  await database.query(`select maint.configure('features.integrity_check.btree_time_budget', '0')`);
  await check(database);
  t.deepEqual(await found(database, 'btree_structure'), ['public.t.cor;rupt'], 'not looked at: still open');
  await database.query(`select maint.reset('features.integrity_check.btree_time_budget')`);
  await applyRemedies(database, 'btree_structure');
  t.is((await check(database)).status, 'healthy');
});

test('within its time budget the check covers all indexes over several runs, and says how far it got', async (t) => {
  const database = await prepared(
    t,
    'create table t as select g as a from generate_series(1, 300000) g',
    'create index big on t (a)',
    'analyze t',
  );
  await database.query('vacuum t');
  await database.query(`select maint.configure('features.integrity_check.btree_time_budget', '3')`);
  const first = await check(database);
  t.is(first.status, 'unknown', 'not all were seen: not healthy');
  const { examined, total, reason, detail } = first.checks['btree_structure']!;
  t.true(examined! < total!, `${examined} of ${total}`);
  t.is(reason, 'timed_out');
  t.truthy(detail);
  const second = await check(database);
  t.true(second.checks['btree_structure']!.examined! >= examined!);
  await database.query(`select maint.reset('features.integrity_check.btree_time_budget')`);
  const last = await check(database);
  t.is(last.status, 'healthy', JSON.stringify(last.checks['btree_structure']));
});

test('without amcheck the verdict is unknown and says what installs it; switched off it does not count', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const { status, checks } = await check(database);
  t.is(status, 'unknown');
  t.is(checks['btree_structure']!.reason, 'not_installed');
  t.is(checks['btree_structure']!.detail, 'create extension amcheck;');
  await database.query(
    `select maint.configure('features.integrity_check.disabled_checks', '["btree_structure"]')`,
  );
  const after = await check(database);
  t.is(after.status, 'healthy');
  t.is(after.checks['btree_structure']!.status, 'disabled');
});

test("pg-maint's own records of vanished objects are mentioned, as information", async (t) => {
  const database = await prepared(t);
  await database.query(
    `insert into maint.index_check values (1, 's', 't', 'gone', 1, 1, 'sound', null, 1, now())`,
  );
  await database.query(`insert into maint.setting (path, value) values ('features.no_longer', '1')`);
  t.is((await check(database)).status, 'unhealthy');
  const findings = await openFindings(database, 'integrity.maint_metadata');
  t.deepEqual(
    findings.map(({ table_name, severity }) => [table_name, severity]),
    [
      ['index_check', 'info'],
      ['setting', 'warning'],
    ],
  );
  await database.query(`delete from maint.setting`);
  t.is((await check(database)).status, 'healthy', 'information alone is no illness');
  await run(database, { only: ['orphaned_indexes'] });
  await check(database);
  t.deepEqual(await openFindings(database, 'integrity.maint_metadata'), []);
});

test('a check that fails leaves the others their verdict and makes the run partial', async (t) => {
  const database = await prepared(t, 'create table t (a int)', 'alter table t add check (a > 0) not valid');
  await run(database, { only });
  t.is((await openFindings(database, 'integrity.constraint_not_valid')).length, 1);
  // Our own table gone stands for any defect; the check of our metadata meets it.
  await database.query('alter table maint.index_check rename column index_oid to hidden');
  const result = await run(database, { only });
  t.is(result.status, 'partial');
  t.is(result.steps['integrity_check']!.status, 'partial');
  const unexamined = result.steps['integrity_check']!.coverage!.unexamined;
  const metadata = unexamined.find(({ what }) => what === "pg-maint's own records");
  t.is(metadata?.reason, 'failed');
  t.regex(String(metadata?.detail), /^42703 /);
  t.is(result.integrity_check.checks['maint_metadata']!.status, 'unknown');
  t.is(result.integrity_check.checks['maint_metadata']!.reason, 'failed');
  t.is(result.integrity_check.checks['constraint_not_valid']!.status, 'unhealthy');
  t.is((await openFindings(database, 'integrity.constraint_not_valid')).length, 1);
});

test('an owner with few rights is told what it may not see', async (t) => {
  const database = await createDatabase(t);
  const role = `plain_${database.name}`;
  await database.query(`create role ${role} login`);
  t.teardown(async () => {
    const client = await database.client();
    await client.query(`drop owned by ${role} cascade; drop role ${role}`);
  });
  await database.query(`grant create on database ${database.name} to ${role}`);
  await database.query('create extension amcheck; create schema hidden; create sequence hidden.s');
  const url = new URL(database.url);
  url.username = role;
  const { install } = await import('../../src/worker/install.ts');
  await install(url.href, { engine: 'worker' });
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    const result = await runFromNode({ ...database, client: () => Promise.resolve(client) }, { only });
    const { status, checks } = result.integrity_check;
    t.is(status, 'unknown');
    t.is(checks['sequence_near_end']!.reason, 'not_permitted');
    t.regex(String(checks['sequence_near_end']!.detail), /hidden\.s/);
    t.is(checks['btree_structure']!.reason, 'not_permitted');
    t.is(checks['constraint_not_valid']!.status, 'healthy');
  } finally {
    await client.end();
  }
});
