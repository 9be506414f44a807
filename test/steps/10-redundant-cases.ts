/** Tables with indexes, each in a schema of its own, and what step 10 must say of them. */

export interface Case {
  what: string;
  statements: string[];
  /** Index to drop -> the one that covers it. What is not here must not be reported. */
  redundant: Record<string, string>;
}

const columns =
  'a int not null, b int, c text, d varchar(20), e int[], f int4range, g point, h jsonb, i boolean';

/** `indexes`: what follows `create`, as in `index x on t (a)`; other statements as they are. */
function onTable(what: string, redundant: Record<string, string>, ...indexes: string[]): Case {
  const statements = indexes.map((text) => (/^(unique )?index /.test(text) ? `create ${text}` : text));
  return { what, statements: [`create table t (${columns})`, ...statements], redundant };
}

const partitioned = [
  'create table t (a int not null, b int, c text) partition by range (a)',
  'create table t1 partition of t for values from (0) to (10)',
  'create table t2 partition of t for values from (10) to (20) partition by range (b)',
  'create table t21 partition of t2 for values from (0) to (10)',
];

const keyCases: Case[] = [
  onTable('equal: the older stays', { y: 'x' }, 'index x on t (a)', 'index y on t (a)'),
  onTable('three equal', { y: 'x', z: 'x' }, 'index x on t (a)', 'index y on t (a)', 'index z on t (a)'),
  onTable('a prefix', { x: 'y' }, 'index x on t (a)', 'index y on t (a, b)'),
  onTable(
    'a chain: each covered by the one that stays',
    { x: 'z', y: 'z' },
    'index x on t (a)',
    'index y on t (a, b)',
    'index z on t (a, b, c)',
  ),
  onTable(
    'a chain with twins at its end',
    { x: 'y', z: 'y' },
    'index x on t (a)',
    'index y on t (a, b)',
    'index z on t (a, b)',
  ),
  onTable('another order', {}, 'index x on t (a, b)', 'index y on t (b, a)'),
  onTable('not the first column', {}, 'index x on t (b)', 'index y on t (a, b)'),
  {
    what: 'column 1 is no prefix of columns 10 and 11',
    statements: [
      `create table t (${Array.from({ length: 12 }, (_, place) => `c${place + 1} int`).join(', ')})`,
      'create index x on t (c1)',
      'create index y on t (c10)',
      'create index z on t (c11, c1)',
      'create index w on t (c10, c1)',
      'create index v on t (c1, c1, c12)',
    ],
    redundant: { y: 'w', x: 'v' },
  },
  onTable(
    'other operator classes',
    {},
    'index x on t (c)',
    'index y on t (c text_pattern_ops)',
    'index z on t (c bpchar_pattern_ops, a)',
  ),
  onTable(
    'one operator class under two names',
    { x: 'y' },
    'index x on t (d varchar_ops)',
    'index y on t (d text_ops, a)',
  ),
  onTable(
    'other collations',
    {},
    'index x on t (c)',
    'index y on t (c collate "C")',
    'index z on t (c collate "POSIX", a)',
  ),
  onTable('one collation, named', { x: 'y' }, 'index x on t (c collate "default")', 'index y on t (c, a)'),
  onTable(
    'a whole key reversed',
    { y: 'x', z: 'x' },
    'index x on t (a, b desc nulls last)',
    'index y on t (a desc, b nulls first)',
    'index z on t (a desc)',
  ),
  onTable('a part reversed', {}, 'index x on t (a desc, b)', 'index y on t (a, b)'),
  onTable(
    'other sort options',
    {},
    'index x on t (b)',
    'index y on t (b nulls first)',
    'index z on t (a, b)',
    'index v on t (a, b desc)',
    'index w on t (a, b nulls first)',
  ),
  onTable(
    'nulls last is nothing but the default',
    { x: 'y' },
    'index x on t (b nulls last)',
    'index y on t (b, a)',
  ),
];

const expressionCases: Case[] = [
  onTable('one expression', { x: 'y' }, 'index x on t (lower(c))', 'index y on t (lower( c ), a)'),
  onTable(
    'one expression, its cast written in other ways',
    { x: 'y' },
    'index x on t (lower(d))',
    'index y on t (lower(d::text), a)',
  ),
  onTable(
    'other expressions, other positions',
    {},
    'index x on t (lower(c))',
    'index y on t (upper(c))',
    'index z on t ((a + b))',
    'index v on t ((a - b))',
    'index w on t (a, lower(c))',
    'index u on t (a, (a + b), lower(c))',
    `index s on t ((c || '{'))`,
    `index r on t ((c || '}'))`,
  ),
  onTable(
    'columns and expressions mixed',
    { x: 'v', y: 'z' },
    'index x on t (c)',
    'index y on t ((c || c))',
    'index z on t ((c || c), c)',
    'index v on t (c, (c || c), a)',
  ),
];

const predicateCases: Case[] = [
  onTable('one predicate', { x: 'y' }, 'index x on t (a) where b > 5', 'index y on t (a, c) where b>5'),
  onTable('a partial index keeps no full one', {}, 'index x on t (a)', 'index y on t (a, b) where b > 5'),
  onTable('all rows', { x: 'y' }, 'index x on t (a) where b > 5', 'index y on t (a)'),
  onTable('implied', { x: 'y' }, 'index x on t (a) where b > 10', 'index y on t (a) where b > 5'),
  onTable(
    'implied: one of several conditions',
    { x: 'y' },
    `index x on t (a) where b > 5 and c = 'x'`,
    `index y on t (a) where c = 'x'`,
  ),
  onTable(
    'implied: not null',
    { x: 'y' },
    'index x on t (a) where b = 3',
    'index y on t (a) where b is not null',
  ),
  onTable(
    'implied: one of a list',
    { x: 'y' },
    'index x on t (a) where b = 3',
    'index y on t (a) where b in (3, 4)',
  ),
  onTable(
    'the same in other words: the older stays',
    { y: 'x' },
    'index x on t (a) where b > 5',
    'index y on t (a) where 5 < b',
  ),
  onTable(
    'not implied',
    {},
    'index x on t (a) where b > 5',
    'index y on t (a) where b < 5',
    `index z on t (a) where c = 'x'`,
    'index v on t (a) where b is null',
    'index w on t (a) where i',
    'index u on t (a) where not i',
    `index s on t (a) where c = 'y'`,
  ),
  onTable(
    'false is not the opposite of true: null is neither',
    {},
    'index x on t (a) where i is null',
    'index y on t (a) where i',
    'index z on t (a) where i is not null and b = 1',
  ),
];

const includeCases: Case[] = [
  onTable('included in both', { x: 'y' }, 'index x on t (a) include (c)', 'index y on t (a) include (b, c)'),
  onTable('included in one', { x: 'y' }, 'index x on t (a)', 'index y on t (a) include (b)'),
  onTable(
    'included in one, key in the other',
    { x: 'y' },
    'index x on t (a) include (b)',
    'index y on t (a, b)',
  ),
  onTable('not included', {}, 'index x on t (a) include (c)', 'index y on t (a, b)'),
  onTable('included is no key', {}, 'index x on t (a, b)', 'index y on t (a) include (b, c)'),
];

const uniqueCases: Case[] = [
  onTable('a plain one beside a unique one', { x: 'y' }, 'index x on t (a)', 'unique index y on t (a)'),
  onTable('a unique one beside a longer plain one', {}, 'unique index x on t (a)', 'index y on t (a, b)'),
  onTable(
    'unique (a) beside primary key (a, b)',
    {},
    'unique index x on t (a)',
    'alter table t add primary key (a, b)',
  ),
  onTable(
    'unique beside a primary key of the same columns',
    { x: 't_pkey' },
    'unique index x on t (a)',
    'alter table t add primary key (a)',
  ),
  onTable('unique in another order', {}, 'unique index x on t (a, b)', 'unique index y on t (b, a)'),
  onTable('plain (a, b) beside unique (a)', {}, 'index x on t (a, b)', 'unique index y on t (a)'),
  onTable('two unique', { y: 'x' }, 'unique index x on t (a)', 'unique index y on t (a)'),
  onTable(
    'unique, included columns',
    { x: 'y' },
    'unique index x on t (a)',
    'unique index y on t (a) include (b)',
  ),
  onTable(
    'unique, of other rows',
    { z: 'y' },
    'unique index x on t (a) where b < 5',
    'unique index y on t (a) where b > 5',
    'unique index z on t (a) where b > 5 and i',
    'index v on t (a, c) where b > 5 or i',
  ),
  onTable(
    'unique over more rows',
    { y: 'x' },
    'unique index x on t (a)',
    'unique index y on t (a) where b > 5',
  ),
  onTable('nulls not distinct', {}, 'unique index x on t (b)', 'unique index y on t (b) nulls not distinct'),
  onTable(
    'nulls not distinct twice',
    { y: 'x' },
    'unique index x on t (b) nulls not distinct',
    'unique index y on t (b) nulls not distinct',
  ),
  onTable(
    'a deferrable constraint enforces later',
    {},
    'unique index x on t (a)',
    'alter table t add unique (a) deferrable',
  ),
  onTable(
    'but it serves searches',
    { x: 't_a_key' },
    'index x on t (a)',
    'alter table t add unique (a) deferrable',
  ),
  onTable('two constraints', {}, 'alter table t add primary key (a)', 'alter table t add unique (a)'),
  onTable('a constraint beside a longer index', {}, 'alter table t add unique (a)', 'index x on t (a, b)'),
];

const neededCases: Case[] = [
  onTable(
    'a foreign key references the newer of two',
    { y: 'x' },
    'unique index y on t (a)',
    'unique index x on t (a)',
    // It takes the one that it finds first: made the only one, for a moment.
    'drop index y',
    'create table r (a int references t (a))',
    'unique index y on t (a)',
  ),
  onTable(
    'replica identity',
    { y: 'x' },
    'unique index y on t (a)',
    'unique index x on t (a)',
    'alter table t replica identity using index x',
  ),
  onTable('clustered', { y: 'x' }, 'index y on t (a)', 'index x on t (a)', 'alter table t cluster on x'),
  onTable(
    'clustered, beside a longer one',
    {},
    'index x on t (a)',
    'index y on t (a, b)',
    'alter table t cluster on x',
  ),
  onTable(
    'invalid',
    {},
    'index x on t (a)',
    'index y on t (a)',
    `update pg_catalog.pg_index set indisvalid = false where indexrelid = 'y'::regclass`,
  ),
  onTable(
    'an exclusion constraint',
    { x: 't_f_excl' },
    'index x on t using gist (f)',
    'alter table t add exclude using gist (f with &&)',
  ),
  {
    what: 'another table',
    statements: [
      'create table t (a int)',
      'create table u (a int)',
      'create index x on t (a)',
      'create index y on u (a)',
    ],
    redundant: {},
  },
  {
    what: 'inheritance is no partition tree',
    statements: [
      'create table t (a int)',
      'create table u () inherits (t)',
      'create index x on t (a)',
      'create index y on u (a)',
      'create index z on u (a)',
    ],
    redundant: { z: 'y' },
  },
  {
    what: 'a temporary table',
    statements: ['create temp table s (a int)', 'create index s_x on s (a)', 'create index s_y on s (a)'],
    redundant: {},
  },
  {
    what: 'a materialized view',
    statements: [
      'create materialized view t as select 1 as a, 2 as b',
      'create index x on t (a)',
      'create index y on t (a, b)',
    ],
    redundant: { x: 'y' },
  },
  {
    what: 'an unlogged table',
    statements: ['create unlogged table t (a int)', 'create index x on t (a)', 'create index y on t (a)'],
    redundant: { y: 'x' },
  },
];

const methodCases: Case[] = [
  onTable(
    'hash beside B-tree',
    {},
    'index x on t using hash (a)',
    'index y on t (a)',
    'index z on t (a, b) where i',
  ),
  onTable('hash twice', { y: 'x' }, 'index x on t using hash (a)', 'index y on t using hash (a)'),
  onTable(
    'hash of two columns each its own',
    {},
    'index x on t using hash (a)',
    'index y on t using hash (b)',
  ),
  onTable('hash, partial', {}, 'index x on t using hash (a)', 'index y on t using hash (b) where a > 0'),
  onTable('GIN', { x: 'y' }, 'index x on t using gin (e)', 'index y on t using gin (e, h)'),
  onTable('GIN, not the first column', {}, 'index x on t using gin (h)', 'index y on t using gin (e, h)'),
  onTable(
    'GIN operator classes',
    {},
    'index x on t using gin (h)',
    'index y on t using gin (h jsonb_path_ops)',
  ),
  onTable(
    'GIN fastupdate is tuning',
    { y: 'x' },
    'index x on t using gin (e)',
    'index y on t using gin (e) with (fastupdate = off)',
  ),
  onTable('GiST', { x: 'y' }, 'index x on t using gist (f)', 'index y on t using gist (f, g)'),
  onTable('GiST beside SP-GiST', {}, 'index x on t using gist (f)', 'index y on t using spgist (f)'),
  onTable(
    'SP-GiST operator classes',
    {},
    'index x on t using spgist (g)',
    'index y on t using spgist (g kd_point_ops)',
  ),
  onTable(
    'SP-GiST twice',
    { x: 'y' },
    'index x on t using spgist (g)',
    'index y on t using spgist (g) include (a)',
  ),
  onTable('BRIN', { x: 'y' }, 'index x on t using brin (a)', 'index y on t using brin (a, b)'),
  onTable(
    'BRIN of other page ranges',
    {},
    'index x on t using brin (a)',
    'index y on t using brin (a) with (pages_per_range = 16)',
  ),
  onTable(
    'BRIN with the default written out',
    { y: 'x' },
    'index x on t using brin (a)',
    'index y on t using brin (a) with (pages_per_range = 128)',
  ),
  onTable(
    'BRIN operator classes',
    {},
    'index x on t using brin (a)',
    'index y on t using brin (a int4_bloom_ops)',
    'index z on t using brin (a int4_minmax_multi_ops)',
  ),
  onTable(
    'parameters of an operator class',
    { z: 'y' },
    'index x on t using brin (a int4_bloom_ops)',
    'index y on t using brin (a int4_bloom_ops (n_distinct_per_range = 50))',
    'index z on t using brin (a int4_bloom_ops (n_distinct_per_range = 50))',
  ),
  onTable('fillfactor is tuning', { y: 'x' }, 'index x on t (a)', 'index y on t (a) with (fillfactor = 50)'),
];

const partitionCases: Case[] = [
  {
    what: 'a tree is judged once, at its root',
    statements: [...partitioned, 'create index x on t (a)', 'create index y on t (a, b)'],
    redundant: { x: 'y' },
  },
  {
    what: 'trees that differ',
    statements: [
      ...partitioned,
      'create index x on t (a)',
      'create index y on t (b)',
      'create index z on only t (a, c)',
    ],
    redundant: {},
  },
  {
    what: "a partition's own index beside one of a tree",
    statements: [...partitioned, 'create index x on t1 (b)', 'create index y on t (b, c)'],
    redundant: { x: 't1_b_c_idx' },
  },
  {
    what: "a partition's own index, and the tree's goes too",
    statements: [
      ...partitioned,
      // The other way round, making y would attach x to it.
      'create index y on t (b)',
      'create index x on t1 (b)',
      'create index z on t (b, c)',
    ],
    redundant: { x: 't1_b_c_idx', y: 'z' },
  },
  {
    what: "a partition's longer index is no keeper of the tree's",
    statements: [...partitioned, 'create index x on t1 (b, c)', 'create index y on t (b)'],
    redundant: {},
  },
  {
    what: 'a partitioned table in the middle',
    statements: [...partitioned, 'create index x on t2 (c)', 'create index y on t (c, b)'],
    redundant: { x: 't2_c_b_idx' },
  },
  {
    what: "attached with other sort options than the root's",
    statements: [
      'create table t (a int, b int) partition by range (a)',
      'create table t1 partition of t for values from (0) to (10)',
      'create index x on only t (a, b)',
      'create index x1 on t1 (a, b desc)',
      'alter index x attach partition x1',
      'create index y on only t (a, b)',
      'create index y1 on t1 (a, b)',
      'alter index y attach partition y1',
    ],
    redundant: {},
  },
  {
    what: 'a partition clustered on its part of the tree',
    statements: [
      ...partitioned,
      'create index x on t (a)',
      'create index y on t (a, b)',
      'alter table t1 cluster on t1_a_idx',
    ],
    redundant: {},
  },
];

export const cases: readonly Case[] = [
  ...keyCases,
  ...expressionCases,
  ...predicateCases,
  ...includeCases,
  ...uniqueCases,
  ...neededCases,
  ...methodCases,
  ...partitionCases,
];
