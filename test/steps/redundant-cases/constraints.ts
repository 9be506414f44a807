import { onTable } from './case.ts';
import type { Case } from './case.ts';

export const uniqueCases: Case[] = [
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

export const neededCases: Case[] = [
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
