/** Step 1, collations: wherever the catalog records one. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import { openFindings, run } from '../support/maintenance.ts';

const only = ['integrity_check'];

/** By collation: statements that use it, and what the finding counts. */
const uses: Record<string, [string[], Record<string, number>]> = {
  c_key: [['create table t1 (a text collate c_key)', 'create index on t1 (a)'], { indexes: 1 }],
  c_predicate: [
    ['create table t2 (id int, a text collate c_predicate)', `create index t2_part on t2 (id) where a < 'm'`],
    { indexes: 1 },
  ],
  c_range: [
    [
      'create type r3 as range (subtype = text, collation = c_range)',
      'create domain d3 as r3',
      'create table t3 (r r3, d d3, m r3[])',
      'create index t3_r on t3 (r)',
      'create index t3_d on t3 (d)',
      'create index t3_m on t3 (m)',
    ],
    { indexes: 3 },
  ],
  c_composite: [
    [
      'create type k4 as (a int, b text collate c_composite)',
      'create table t4 (k k4)',
      'create index t4_k on t4 (k)',
    ],
    { indexes: 1 },
  ],
  c_expression: [
    ['create table t5 (a text collate c_expression)', `create index t5_b on t5 ((a < 'm'))`],
    { indexes: 1 },
  ],
  c_check: [
    [
      `create table t6 (a text collate c_check constraint t6_a check (a > 'b'))`,
      `create domain d6 as text check (value < 'z' collate c_check)`,
    ],
    { constraints: 2 },
  ],
  c_partition: [
    ['create table t7 (a text collate c_partition) partition by range (a)'],
    { partition_keys: 1 },
  ],
  c_partition_expression: [
    ['create table t8 (a text collate c_partition_expression) partition by list (lower(a))'],
    { partition_keys: 1 },
  ],
  c_generated: [
    ['create table t9 (a text collate c_generated, l text generated always as (upper(a)) stored)'],
    { generated_columns: 1 },
  ],
  c_loose: [
    [`create table t10 (a text collate c_loose constraint t10_a check (a = 'b'))`],
    { constraints: 1 },
  ],
};

test('a changed collation is found by keys, predicates, expressions, range types, constraints and partition keys', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  for (const [collation, [statements]] of Object.entries(uses)) {
    const deterministic = collation !== 'c_loose';
    await database.query(
      `create collation ${collation} (provider = icu, locale = 'de', deterministic = ${deterministic})`,
    );
    for (const statement of statements) await database.query(statement);
  }
  await database.query(`create collation c_unused (provider = icu, locale = 'de')`);
  await database.query(`create collation c_equal (provider = icu, locale = 'de')`);
  await database.query(
    `create table equal (a text collate c_equal check (a = 'x' or a in ('y', 'z')), b int)`,
  );
  await database.query(`create index on equal (b) where a = 'x'`);
  const before = await run(database, { only });
  const sound = before.integrity_check.checks['collation_version_drift']!;
  t.is(sound.status, 'healthy');
  t.is(
    sound.total,
    Object.keys(uses).length + 1,
    'each collation that is used, and the default of the database',
  );
  await database.query(
    `update pg_collation set collversion = '1.1' where collnamespace = 'public'::regnamespace`,
  );
  await run(database, { only });
  const findings = await openFindings(database, 'integrity.collation_version_drift');
  t.deepEqual(findings.map(({ object_name }) => object_name).sort(), Object.keys(uses).sort());
  for (const { object_name, detail, summary, remedy } of findings) {
    const [, counts] = uses[object_name!]!;
    for (const key of ['indexes', 'constraints', 'partition_keys', 'generated_columns'])
      t.is(detail[key], counts[key] ?? 0, `${object_name}: ${key}`);
    if (object_name === 'c_predicate') t.regex(remedy!, /^reindex index public\.t2_part;\nalter collation/);
    if (object_name === 'c_check') t.regex(summary, /2 check constraints may disagree/);
    for (const statement of remedy!.split('\n')) await database.query(statement);
  }
  await run(database, { only });
  t.deepEqual(await openFindings(database, 'integrity.collation_version_drift'), []);
});
