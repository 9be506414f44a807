import { onTable } from './case.ts';
import type { Case } from './case.ts';

export const keyCases: Case[] = [
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

export const expressionCases: Case[] = [
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

export const predicateCases: Case[] = [
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

export const includeCases: Case[] = [
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
