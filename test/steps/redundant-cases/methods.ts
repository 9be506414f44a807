import { onTable, partitioned } from './case.ts';
import type { Case } from './case.ts';

export const methodCases: Case[] = [
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

export const partitionCases: Case[] = [
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
