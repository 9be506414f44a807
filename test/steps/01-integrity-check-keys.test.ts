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

const users = [
  'create table users (id serial primary key, name text)',
  'create table posts (id serial primary key, user_id int references users)',
  'create table sessions (id bigserial primary key, user_id bigint constraint wider references users)',
];

test('a wider referring column is harmless; after the key is widened the narrow ones are found, and their remedies end it', async (t) => {
  const database = await prepared(t, ...users);
  t.deepEqual([...(await found(database, 'foreign_key_type_mismatch')).keys()], []);
  await database.query('alter table users alter column id type bigint');
  const findings = await found(database, 'foreign_key_type_mismatch');
  t.deepEqual([...findings.keys()], ['posts_user_id_fkey']);
  const { severity, summary, detail, remedy } = findings.get('posts_user_id_fkey')!;
  t.is(severity, 'warning');
  t.is(remedy, 'alter table public.posts alter column user_id type bigint;');
  t.regex(summary, /rewrites public\.posts .*ACCESS EXCLUSIVE/);
  t.is(detail['rewrite'], true);
  t.is(detail['lock'], 'ACCESS EXCLUSIVE');
  await applyRemedies(database, findings);
  t.deepEqual([...(await found(database, 'foreign_key_type_mismatch')).keys()], []);
});

test('texts: varchar against text is harmless, a length below the referenced one is not', async (t) => {
  const database = await prepared(
    t,
    `create collation german (provider = icu, locale = 'de')`,
    'create domain code as varchar(20)',
    'create domain nested as code',
    'create table words (word text primary key, code varchar(20) unique, coded nested unique, padded char(8) unique)',
    `create table fits (a varchar references words, b text references words (code), c varchar(20) references words (code),
       d varchar(30) references words (code), e code references words (coded), f char(9) references words (padded))`,
    `create table differs (a varchar(10) constraint shorter references words,
       b varchar(10) collate german constraint narrower references words (code),
       c varchar(19) constraint narrower_domain references words (coded), d char(4) constraint narrower_char references words (padded),
       e char(20) constraint padded references words (code))`,
  );
  const findings = await found(database, 'foreign_key_type_mismatch');
  t.deepEqual([...findings].map(([key, { severity }]) => [key, severity]).sort(), [
    ['narrower', 'warning'],
    ['narrower_char', 'warning'],
    ['narrower_domain', 'warning'],
    ['padded', 'warning'],
    ['shorter', 'info'],
  ]);
  t.is(
    findings.get('narrower')!.remedy,
    'alter table public.differs alter column b type character varying(20) collate public.german;',
  );
  t.is(findings.get('narrower')!.detail['rewrite'], false);
  await applyRemedies(database, findings);
  t.deepEqual([...(await found(database, 'foreign_key_type_mismatch')).keys()], []);
});

test('a comparison that casts the referring column, numbers, times and dates', async (t) => {
  const database = await prepared(
    t,
    `create table parent (exact numeric primary key, price numeric(10, 2) unique, day date unique, moment timestamp unique,
       zoned timestamptz unique, brief timestamp(3) unique, wide float8 unique, code name unique)`,
    `create table fits (a numeric(12, 2) references parent (price), b numeric references parent (price), c timestamp references parent (day),
       d timestamp(3) references parent (brief), e timestamp references parent (brief))`,
    `create table differs (a int constraint cast_number references parent, b numeric(9, 2) constraint few_digits references parent (price),
       c date constraint no_time references parent (moment), d timestamp constraint zone references parent (zoned),
       e timestamp(0) constraint rounded references parent (brief), f real constraint rounded_float references parent (wide))`,
  );
  const findings = await found(database, 'foreign_key_type_mismatch');
  const problems = [...findings].map(([key, { detail }]) => [
    key,
    (detail['columns'] as { problem: string }[])[0]!.problem,
  ]);
  t.deepEqual(problems.sort(), [
    ['cast_number', 'not_indexable'],
    ['few_digits', 'narrower'],
    ['no_time', 'narrower'],
    ['rounded', 'narrower'],
    ['rounded_float', 'narrower'],
    ['zone', 'time_zone'],
  ]);
  t.is(findings.get('zone')!.remedy, null);
  await applyRemedies(database, findings);
  t.deepEqual([...(await found(database, 'foreign_key_type_mismatch')).keys()], ['zone']);
});

/** Each makes the server refuse the change of `child.parent`, or another key mismatch; with what the summary says. */
const obstacles: [string, RegExp, ...string[]][] = [
  ['a view', /view public\.v uses it/, 'create view v as select parent from child'],
  [
    'a materialized view',
    /materialized view public\.m uses it/,
    'create materialized view m as select parent from child',
  ],
  [
    'a rule',
    /rule r of public\.child/,
    'create rule r as on update to child where new.parent is null do instead nothing',
  ],
  ['a policy', /policy "p;" of public\.child/, 'create policy "p;" on child using (parent > 0)'],
  [
    'a trigger of the column',
    /trigger g of public\.child/,
    'create function noop() returns trigger language plpgsql as $$ begin return null; end $$',
    'create trigger g after update of parent on child execute function noop()',
  ],
  [
    'a generated column',
    /generated column twice of public\.child/,
    'alter table child add twice bigint generated always as (parent * 2) stored',
  ],
  [
    'an SQL function',
    /function public\.f uses it/,
    'create function f() returns bigint begin atomic select max(parent) from child; end',
  ],
  [
    'a publication',
    /publication narrow filters by it/,
    'alter table child add primary key (parent)',
    'create publication narrow for table child where (parent > 0)',
  ],
  ['rows in another table', /column kept of public\.archive/, 'create table archive (kept child)'],
  [
    'a key that refers to the column',
    /key small_fk of public\.small refers to it/,
    'alter table child add unique (parent)',
    'create table small (parent int constraint small_fk references child (parent))',
  ],
  [
    'a function in a check',
    /constraint c calls a function/,
    'create function is_fine(int) returns boolean language sql as $$ select true $$',
    'alter table child add constraint c check (is_fine(parent))',
  ],
  [
    'an operator class for its type',
    /index b has an operator class/,
    'create index b on child using brin (parent int4_minmax_multi_ops)',
  ],
  [
    'a child with a view',
    /view public\.of_kin uses it/,
    'create table kin () inherits (child)',
    'create view of_kin as select parent from kin',
  ],
];

for (const [what, reason, ...statements] of obstacles) {
  test(`no remedy where the server would refuse it or it makes a new mismatch: ${what}`, async (t) => {
    const database = await prepared(
      t,
      'create table parent (id bigint primary key)',
      'create table child (id int, parent int constraint child_fk references parent)',
      ...statements,
    );
    const finding = (await found(database, 'foreign_key_type_mismatch')).get('child_fk')!;
    t.is(finding.remedy, null);
    t.regex(finding.summary, reason);
    t.regex(finding.summary, /No automatic fix/);
    const change = 'alter table child alter column parent type bigint';
    if (what === 'a key that refers to the column') return;
    await t.throwsAsync(database.query(change), undefined, 'the server refuses it');
  });
}

test('partition keys, inherited columns and domains have no remedy; statistics, indexes and identity do not matter', async (t) => {
  const database = await prepared(
    t,
    'create domain small as int check (value > 0)',
    'create table parent (id bigint primary key)',
    'create table parted (parent int constraint parted_fk references parent) partition by list (parent)',
    'create table tree (k int, parent int constraint tree_fk references parent) partition by list (k)',
    'create table tree_1 partition of tree for values in (1) partition by hash (parent)',
    'create table leaf (k int, parent int) partition by list (k)',
    'create table leaf_1 partition of leaf (constraint leaf_fk foreign key (parent) references parent) for values in (1)',
    'create table domained (parent small constraint domained_fk references parent)',
    `create table plain (a int not null default 7, parent int generated by default as identity primary key
       constraint plain_fk references parent check (parent > 0 and parent < a))`,
    'create index on plain (parent) where parent > 5',
    'create statistics s on a, parent from plain',
    'create table part (k int, parent int constraint part_fk references parent) partition by list (k)',
    'create table part_1 partition of part for values in (1)',
    'create index on part (parent)',
  );
  const findings = await found(database, 'foreign_key_type_mismatch');
  t.deepEqual([...findings].map(([key, { remedy }]) => [key, remedy !== null]).sort(), [
    ['domained_fk', false],
    ['leaf_fk', false],
    ['part_fk', true],
    ['parted_fk', false],
    ['plain_fk', true],
    ['tree_fk', false],
  ]);
  await applyRemedies(database, findings);
  t.deepEqual([...(await found(database, 'foreign_key_type_mismatch')).keys()].sort(), [
    'domained_fk',
    'leaf_fk',
    'parted_fk',
    'tree_fk',
  ]);
});
