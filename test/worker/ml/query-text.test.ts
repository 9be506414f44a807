import test from 'ava';
import { asNull, longestText, readQuery } from '../../../src/catalog/query-risk/query-text.ts';

function general(text: string): string {
  const read = readQuery(text);
  return 'problem' in read ? read.problem : read.general.replaceAll(/\s+/g, ' ').trim();
}

for (const [text, wanted] of [
  ['select 1', 'select $1'],
  ['select \'a;b\', $x$;drop$x$, "x;y" from t', 'select $1 , $2 , "x;y" from t'],
  ["select e'\\';', 'it''s', U&'\\0041', b'1', 'a' -- ; end", 'select $1 , $2 , $3 , $4 , $5'],
  ['select a from t where b = 5 and c = $3;', 'select a from t where b = $4 and c = $3'],
  ['where_is_it', 'not_plannable'],
  [
    "select * from t where d > interval '1 day' and e < date $2",
    'select * from t where d > cast($3 as interval) and e < cast($2 as date)',
  ],
  ["select t.date from t where t.date = '2026-01-01'", 'select t.date from t where t.date = $1'],
  [
    'select a, b from t group by 1, 2 order by 2 desc, 1 limit 10',
    'select a, b from t group by 1, 2 order by 2 desc, 1 limit $1',
  ],
  [
    'select a::numeric(10, 2), cast(b as varchar(3)) from t',
    'select a::numeric(10, 2), cast(b as varchar(3)) from t',
  ],
  [
    'select a - 1, -1 from t where b between -5 and -.5e-3',
    'select a - $1 , $2 from t where b between $3 and $4',
  ],
  ['select a$1, é from t where x in (1,2)', 'select a$1, é from t where x in ($1 ,$2 )'],
  ['/* a /* ; */ */ with a as (select 2) table a', 'with a as (select $1 ) table a'],
  ['(select 1)', '(select $1 )'],
  ['select 1; drop table t', 'several_statements'],
  ["select '1'; select $q$;$q$", 'several_statements'],
  ['explain analyze select 1', 'not_plannable'],
  ['  /* select */ execute p(f())', 'not_plannable'],
  ['create table x as select 1', 'not_plannable'],
  ['do $$begin end$$', 'not_plannable'],
  ["select 'no end", 'not_understood'],
  ['select /* no end', 'not_understood'],
  ['select $a$ no end $b$', 'not_understood'],
  ['select "no end', 'not_understood'],
  ['', 'empty'],
  [' ; -- nothing\n;', 'empty'],
  ['select $0', 'too_many_parameters'],
  ['select $70000', 'too_many_parameters'],
  [`select '${'x'.repeat(longestText)}'`, 'too_long'],
] as const) {
  test(`reads ${text.slice(0, 70)}`, (t) => {
    t.is(general(text), wanted);
  });
}

test('a normalised statement and one with constants become the same', (t) => {
  const read = (text: string): string => general(text).replaceAll(/\$\d+/g, '?');
  t.is(
    read("select * from t where a = 5 and b like 'x%' limit 3"),
    read('select * from t where a = $1 and b like $2 limit $3'),
  );
});

test('NULL takes the place of parameters only', (t) => {
  t.is(asNull(`select $1, '$2', "$3", a$4, $$ $5 $$`), `select  NULL , '$2', "$3", a$4, $$ $5 $$`);
});

test('a megabyte, and a hundred thousand quotes, are read in time that grows with the length', (t) => {
  const quotes = `select ${"'x;',".repeat(30_000)} 1`;
  t.is((readQuery(quotes) as { parameters: number }).parameters, 0);
  t.deepEqual(readQuery('('.repeat(1_000_000)), { problem: 'too_long' });
  t.deepEqual(readQuery(`select ${'('.repeat(100_000)}`), readQuery(`select ${'('.repeat(100_000)}`));
});
