/** Step 1, checks about foreign keys: partitions whose triggers are disabled, and column types that do not fit. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';

const only = ['integrity_check'];

async function prepared(t: ExecutionContext, ...statements: string[]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  for (const statement of statements) await database.query(statement);
  return database;
}

type Found = Awaited<ReturnType<typeof openFindings>>[number];

/** The open findings of one check after a run, by the name of the constraint. */
async function found(database: TestDatabase, name: string): Promise<Map<string, Found>> {
  await run(database, { only });
  const findings = await openFindings(database, `integrity.${name}`);
  return new Map(findings.map((finding) => [finding.object_name!, finding]));
}

async function applyRemedies(database: TestDatabase, findings: Map<string, Found>): Promise<void> {
  for (const { remedy } of findings.values()) if (remedy !== null) await database.query(remedy);
}

const partitionedKeys = [
  'create table one (id int primary key)',
  'create table ref (k int, one int constraint ref_fk references one) partition by list (k)',
  'create table ref_1 partition of ref for values in (1)',
  'create table "Ref;2" partition of ref for values in (2) partition by list (k)',
  'create table ref_2_leaf partition of "Ref;2" default',
  'create table tgt (id int primary key) partition by range (id)',
  'create table tgt_1 partition of tgt for values from (0) to (10)',
  'create table points (tgt int constraint points_fk references tgt)',
  'create table sound (tgt int constraint sound_fk references tgt, one int constraint sound_one references one)',
];

test('a key is not enforced where one partition of the referencing table has its triggers disabled', async (t) => {
  const database = await prepared(t, ...partitionedKeys);
  t.is((await found(database, 'foreign_key_disabled')).size, 0);
  await database.query('alter table ref_1 disable trigger all');
  await database.query('insert into ref values (1, 42)');
  const findings = await found(database, 'foreign_key_disabled');
  t.deepEqual([...findings.keys()], ['ref_fk']);
  const finding = findings.get('ref_fk')!;
  t.is(finding.severity, 'critical');
  t.regex(finding.summary, /public\.ref_1\.$/);
  t.deepEqual(finding.detail['disabled_on'], ['public.ref_1']);
  await applyRemedies(database, findings);
  t.is((await found(database, 'foreign_key_disabled')).size, 0);
  await t.throwsAsync(database.query('insert into ref values (1, 43)'));
});

test('a partition of a partition counts, and so does a partition of the referenced table', async (t) => {
  const database = await prepared(
    t,
    ...partitionedKeys,
    'alter table ref_2_leaf disable trigger all',
    'alter table tgt_1 disable trigger all',
  );
  const findings = await found(database, 'foreign_key_disabled');
  t.deepEqual([...findings.keys()].sort(), ['points_fk', 'ref_fk', 'sound_fk']);
  t.deepEqual(findings.get('ref_fk')!.detail['disabled_on'], ['public.ref_2_leaf']);
  t.deepEqual(findings.get('points_fk')!.detail['disabled_on'], ['public.tgt_1']);
  await applyRemedies(database, findings);
  t.is((await found(database, 'foreign_key_disabled')).size, 0);
  await database.query('insert into tgt values (1)');
  await database.query('insert into points values (1)');
  await t.throwsAsync(database.query('delete from tgt'));
});

test('triggers disabled on the partitioned table alone still enforce the rows of its partitions', async (t) => {
  const database = await prepared(t, ...partitionedKeys, 'alter table only ref disable trigger all');
  t.is((await found(database, 'foreign_key_disabled')).size, 0);
  await t.throwsAsync(database.query('insert into ref values (1, 42)'));
});

test("the remedy leaves a user's own disabled trigger disabled", async (t) => {
  const database = await prepared(
    t,
    ...partitionedKeys,
    'create function noop() returns trigger language plpgsql as $$ begin return null; end $$',
    'create trigger "on; purpose" after insert on ref_1 execute function noop()',
    'alter table ref_1 disable trigger all',
  );
  await applyRemedies(database, await found(database, 'foreign_key_disabled'));
  t.is((await found(database, 'foreign_key_disabled')).size, 0);
  const [own] = await database.query<{ tgenabled: string }>(
    `select tgenabled from pg_trigger where tgname = 'on; purpose'`,
  );
  t.is(own!.tgenabled, 'D');
});
