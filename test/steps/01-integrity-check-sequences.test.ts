/** Step 1, sequences: what counts is where the next values go. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { partsOfName } from '../../src/steps/integrity/sequence-columns.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';

const only = ['integrity_check'];

async function prepared(t: ExecutionContext, ...statements: string[]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  for (const statement of statements) await database.query(statement);
  return database;
}

/** The sequences near their end, with severity and the column that a finding names. */
async function found(database: TestDatabase): Promise<Record<string, [string, unknown]>> {
  await run(database, { only });
  const findings = await openFindings(database, 'integrity.sequence_near_end');
  return Object.fromEntries(
    findings.map(({ object_name, severity, detail }): [string, [string, unknown]] => [
      String(object_name),
      [severity, detail['column']],
    ]),
  );
}

test('a sequence that cycles ends where a narrower column that it fills does', async (t) => {
  const database = await prepared(
    t,
    'create sequence wide cycle',
    `create table t (id int default nextval('wide'))`,
    'alter sequence wide owned by t.id',
    'create sequence fits as int cycle',
    `create table u (id int default nextval('fits'))`,
    'create sequence below minvalue -2147483649 maxvalue 2147483647 start 1 cycle',
    `create table v (id int default nextval('below'))`,
    'create sequence alone as smallint cycle',
    `select setval('wide', 2147483647), setval('fits', 2147483647), setval('below', 2147483647), setval('alone', 32767)`,
  );
  t.deepEqual(await found(database), {
    wide: ['critical', 'public.t.id'],
    below: ['critical', 'public.v.id'],
  });
  await t.throwsAsync(database.query('insert into t default values'));
  await t.throwsAsync(database.query('insert into v default values'));
  await database.query('insert into u default values');
});

test('a column that owns a sequence and is no longer filled by it does not limit it', async (t) => {
  const database = await prepared(
    t,
    'create table acct (id_old serial, id bigint)',
    `alter table acct alter id_old drop default, alter id_old drop not null, alter id set default nextval('acct_id_old_seq')`,
    'alter sequence acct_id_old_seq as bigint',
    'create table free (id serial)',
    'alter table free alter id drop default',
    'alter sequence free_id_seq as bigint',
    `select setval('acct_id_old_seq', 2147483647), setval('free_id_seq', 2147483647)`,
  );
  t.deepEqual(await found(database), {});
  await database.query(`insert into acct default values`);
});

test('the type of the filled column through domains, numeric and varchar, and the sign of the increment', async (t) => {
  const database = await prepared(
    t,
    'create domain small as smallint check (value > 0)',
    'create domain smaller as small',
    'create domain code as numeric(6, 2)',
    'create sequence s_domain; create sequence s_numeric; create sequence s_code; create sequence s_text; create sequence s_any',
    'create sequence s_down increment -1; create sequence s_down_number increment -10 maxvalue 0',
    'create sequence s_filled_domain',
    `create domain filled as int default nextval('s_filled_domain')`,
    `create table t (a smaller default nextval('s_domain'), b numeric(4) default nextval('s_numeric'), c code default nextval('s_code'),
       d varchar(3) default nextval('s_text'), e numeric default nextval('s_any'), f smallint default nextval('s_down'),
       g numeric(3) default nextval('s_down_number'), h filled)`,
    `select setval('s_domain', 32767), setval('s_numeric', 9000), setval('s_code', 9999), setval('s_text', 999), setval('s_any', 999999999999),
       setval('s_down', -32760), setval('s_down_number', -990), setval('s_filled_domain', 2147483647)`,
  );
  t.deepEqual(await found(database), {
    s_domain: ['critical', 'public.t.a'],
    s_numeric: ['warning', 'public.t.b'],
    s_code: ['critical', 'public.t.c'],
    s_text: ['critical', 'public.t.d'],
    s_down: ['critical', 'public.t.f'],
    s_down_number: ['critical', 'public.t.g'],
    s_filled_domain: ['critical', 'public.t.h'],
  });
  for (const column of ['a', 'c', 'd', 'g', 'h']) {
    await t.throwsAsync(database.query(`insert into t (${column}) values (default)`), undefined, column);
  }
});

test('a default that names its sequence as text, with any name, is a default of it', async (t) => {
  const database = await prepared(
    t,
    'create schema app',
    'create schema "Odd.; schéma"',
    'create sequence app.plain; create sequence "Odd.; schéma"."it\'s ""it"" \\"; create sequence only_here; create sequence app.near; create sequence near',
    `create table app.t (a int default nextval('app.PLAIN'::text), b smallint default nextval('"Odd.; schéma"."it''s ""it"" \\"'::text),
       c int default nextval('only_here'::text), d smallint default nextval('near'::text), e int default nextval('no.such'::text),
       f int default nextval('a.b.c.d'::text), g int default nextval(''::text))`,
    `select setval('app.plain', 2147483647), setval('"Odd.; schéma"."it''s ""it"" \\"', 32767), setval('only_here', 2147483647), setval('app.near', 32767), setval('near', 32767)`,
  );
  const [limit] = await database.query<{ name: string }>(
    `select adbin::text as name from pg_attrdef where adrelid = 'app.t'::regclass and adnum = 1`,
  );
  t.regex(limit!.name, /consttype 25/);
  t.deepEqual(await found(database), {
    plain: ['critical', 'app.t.a'],
    'it\'s "it" \\': ['critical', 'app.t.b'],
    only_here: ['critical', 'app.t.c'],
    near: ['critical', 'app.t.d'],
  });
});

test('a default that computes something from the next value does not limit the sequence', async (t) => {
  const database = await prepared(
    t,
    'create sequence s; create sequence lettered',
    `create table t (a smallint default (nextval('s') % 1000), b varchar(20) default ('x' || nextval('lettered')))`,
    `select setval('s', 32767), setval('lettered', 99999999)`,
  );
  t.deepEqual(await found(database), {});
  await database.query('insert into t default values');
});

test('the narrowest of several columns limits, also the one of a partition or of an identity', async (t) => {
  const database = await prepared(
    t,
    'create sequence shared',
    `create table wide (id bigint default nextval('shared'))`,
    `create table narrow (id int default nextval('shared'))`,
    'create table identity (id smallint generated by default as identity)',
    'alter sequence identity_id_seq as bigint',
    `select setval('shared', 2147483000), setval('identity_id_seq', 32767)`,
  );
  t.deepEqual(await found(database), {
    shared: ['critical', 'public.narrow.id'],
    identity_id_seq: ['critical', 'public.identity.id'],
  });
  const [finding] = await openFindings(database, 'integrity.sequence_near_end');
  t.is(finding!.detail['limited_by'], 'column');
});

test('names are read as SQL writes them', (t) => {
  t.deepEqual(partsOfName('A.b'), ['a', 'b']);
  t.deepEqual(partsOfName('"A"".".b$1'), ['A".', 'b$1']);
  for (const bad of ['', '.', 'a.', '"', '""', 'a b', 'a.b.c', '1a', "a'"]) t.is(partsOfName(bad), null, bad);
});
