/** Random tables with random indexes that resemble each other: few columns, so that many overlap. */
import type { Random } from './random.ts';

/** A key column: what is indexed, and the searches an index on it may serve. */
export interface KeySpec {
  /** As it stands in CREATE INDEX, without sort options: `c collate "C" text_pattern_ops`. */
  text: string;
  /** The indexed value, as a query writes it. */
  value: string;
  /** Searches by it alone. The first is an equality where there is one. */
  searches: string[];
  /** True where a B-tree key: it can be sorted by with its default operators. */
  sortable: boolean;
  /** `desc`, `nulls first` and so on; empty for other methods. */
  sort: string;
}

export interface IndexSpec {
  name: string;
  method: string;
  unique: boolean;
  nullsNotDistinct: boolean;
  keys: KeySpec[];
  include: string[];
  predicate: string | null;
  storage: string;
}

export interface TableSpec {
  name: string;
  partitioned: boolean;
  /** Statements that make the table, its constraints and what refers to it, in order. */
  statements: string[];
  indexes: IndexSpec[];
}

/** Every column is null in no row that a test makes, and `on` and `n > 10` hold in all of them. */
export const columns =
  'a int not null, b int, c text, d varchar(40), n int, state text, e int[], h jsonb, f int4range, p point';

/** Values of row `row` for all columns: no two rows have one in common, but for the state. */
export function rowValues(row: number): Record<string, string> {
  return {
    a: `${row}`,
    b: `${1000 + row}`,
    c: `'C${row}'`,
    d: `'D${row}'`,
    n: `${100 + row}`,
    state: `'on'`,
    e: `array[${row}]`,
    h: `'{"k": ${row}}'`,
    f: `int4range(${row}, ${row + 1})`,
    p: `point(${row}, ${row})`,
  };
}

export const predicates = [
  'n > 10',
  'n > 5',
  'n is not null',
  "state = 'on'",
  "state = 'on' and n > 10",
  '5 < n',
];

/** Columns that can be included or stand for a table column in a foreign key. */
const plainColumns = ['a', 'b', 'c', 'd', 'n'];

function searchesOf(value: string, constant: string): string[] {
  return [`${value} = ${constant}`, `${value} < ${constant}`, `${value} is null`];
}

function ordinary(column: string, constant: string): KeySpec {
  return { text: column, value: column, searches: searchesOf(column, constant), sortable: true, sort: '' };
}

const btreeKeys: KeySpec[] = [
  ordinary('a', '7'),
  ordinary('b', '7'),
  ordinary('c', "'x'"),
  ordinary('d', "'x'"),
  ordinary('n', '70'),
  {
    text: 'c collate "C"',
    value: 'c collate "C"',
    searches: [`c collate "C" = 'x'`, `c collate "C" < 'x'`],
    sortable: true,
    sort: '',
  },
  {
    text: 'c text_pattern_ops',
    value: 'c',
    searches: [`c = 'x'`, `c ~<~ 'x'`, `c like 'x%'`],
    sortable: false,
    sort: '',
  },
  {
    text: 'lower(c)',
    value: 'lower(c)',
    searches: searchesOf('lower(c)', "'x'"),
    sortable: true,
    sort: '',
  },
  { text: '(a + b)', value: '(a + b)', searches: searchesOf('(a + b)', '7'), sortable: true, sort: '' },
];

function search(text: string, value: string, ...searches: string[]): KeySpec {
  return { text, value, searches, sortable: false, sort: '' };
}

const otherKeys: Record<string, KeySpec[]> = {
  hash: [search('a', 'a', 'a = 7'), search('b', 'b', 'b = 7'), search('c', 'c', `c = 'x'`)],
  gin: [
    search('e', 'e', `e @> array[7]`, `e && array[7]`),
    search('h', 'h', `h @> '{"k": 7}'`, `h ? 'k'`),
    search('h jsonb_path_ops', 'h', `h @> '{"k": 7}'`),
  ],
  gist: [search('f', 'f', `f && '[1,2)'`, `f @> 7`), search('p', 'p', `p <@ box '((0,0),(1,1))'`)],
  spgist: [
    search('f', 'f', `f && '[1,2)'`),
    search('p', 'p', `p <@ box '((0,0),(1,1))'`),
    search('p kd_point_ops', 'p', `p <@ box '((0,0),(1,1))'`),
  ],
  brin: [search('a', 'a', 'a < 7'), search('b', 'b', 'b = 7'), search('b int4_bloom_ops', 'b', 'b = 7')],
};

const sorts = ['', '', '', '', 'desc', 'desc', 'nulls first', 'desc nulls last'];

function randomKeys(random: Random, method: string, unique: boolean, partitioned: boolean): KeySpec[] {
  if (method !== 'btree') {
    const count = method === 'hash' || method === 'spgist' ? 1 : 1 + random.below(2);
    return random.sample(otherKeys[method] ?? [], count);
  }
  // The partition key is part of every unique key of a partitioned table.
  const keys = random.sample(btreeKeys, 1 + random.below(3));
  const first = btreeKeys[0]!;
  if (unique && partitioned && !keys.includes(first)) keys.push(first);
  return keys.map((key) => ({ ...key, sort: random.pick(sorts) }));
}

function randomIndex(random: Random, name: string, partitioned: boolean): IndexSpec {
  const method = random.chance(0.7) ? 'btree' : random.pick(Object.keys(otherKeys));
  const unique = method === 'btree' && random.chance(0.25);
  let keys = randomKeys(random, method, unique, partitioned);
  if (unique && partitioned && keys.some(({ text }) => !/^[a-z]+$/.test(text))) {
    keys = [{ ...btreeKeys[0]!, sort: random.pick(sorts) }];
  }
  return {
    name,
    method,
    unique,
    nullsNotDistinct: unique && random.chance(0.2),
    keys,
    include:
      ['btree', 'gist', 'spgist'].includes(method) && random.chance(0.2)
        ? random.sample(plainColumns, 1 + random.below(2))
        : [],
    predicate: random.chance(0.35) ? random.pick(predicates) : null,
    storage: method === 'brin' && random.chance(0.3) ? 'with (pages_per_range = 16)' : '',
  };
}

/** A near twin: the same with one thing changed, or nothing. */
function resembling(random: Random, name: string, model: IndexSpec, partitioned: boolean): IndexSpec {
  const twin = { ...model, name };
  switch (random.below(7)) {
    case 0:
      return twin;
    case 1: {
      const mayBeUnique = twin.method === 'btree' && !partitioned;
      return { ...twin, unique: mayBeUnique && !twin.unique, nullsNotDistinct: false };
    }
    case 2:
      return { ...twin, predicate: random.chance(0.5) ? null : random.pick(predicates) };
    case 3:
      return twin.method === 'btree'
        ? { ...twin, include: random.sample(plainColumns, random.below(3)) }
        : twin;
    case 4:
      return twin.method === 'btree'
        ? { ...twin, keys: twin.keys.map((key) => ({ ...key, sort: turned(key.sort) })) }
        : twin;
    case 5: {
      const longer = randomKeys(random, twin.method, false, partitioned).filter(
        (key) => !twin.keys.some(({ text }) => text === key.text),
      );
      const single = twin.method === 'hash' || twin.method === 'spgist';
      return single
        ? twin
        : { ...twin, unique: false, nullsNotDistinct: false, keys: [...twin.keys, ...longer] };
    }
    default:
      return { ...twin, unique: false, nullsNotDistinct: false, keys: twin.keys.slice(0, 1) };
  }
}

/** The sort options that a backward scan reads. */
function turned(sort: string): string {
  const options: Record<string, string> = {
    '': 'desc',
    desc: '',
    'nulls first': 'desc nulls last',
    'desc nulls last': 'nulls first',
  };
  return options[sort] ?? '';
}

export function createIndex(index: IndexSpec, table: string, name = index.name): string {
  const keys = index.keys.map(({ text, sort }) => `${text} ${sort}`).join(', ');
  return [
    `create ${index.unique ? 'unique ' : ''}index ${name} on ${table} using ${index.method} (${keys})`,
    index.include.length > 0 ? `include (${index.include.join(', ')})` : '',
    index.nullsNotDistinct ? 'nulls not distinct' : '',
    index.storage,
    index.predicate === null ? '' : `where ${index.predicate}`,
  ].join(' ');
}

/** An index that a constraint makes. */
function constraintIndex(name: string, ...names: string[]): IndexSpec {
  const keys = names.map((column) => btreeKeys.find(({ text }) => text === column)!);
  return {
    name,
    method: 'btree',
    unique: true,
    nullsNotDistinct: false,
    keys,
    include: [],
    predicate: null,
    storage: '',
  };
}

export function randomTable(random: Random, name: string, indexCount: number): TableSpec {
  const partitioned = random.chance(0.25);
  const statements = partitioned
    ? [
        `create table ${name} (${columns}) partition by range (a)`,
        `create table ${name}_1 partition of ${name} for values from (minvalue) to (100)`,
        `create table ${name}_2 partition of ${name} for values from (100) to (maxvalue)`,
      ]
    : [`create table ${name} (${columns})`];
  const indexes: IndexSpec[] = [];
  const add = (index: IndexSpec, statement: string): void => {
    indexes.push(index);
    statements.push(statement);
  };
  if (random.chance(0.5)) {
    const key = constraintIndex(`${name}_pkey`, 'a');
    add(key, `alter table ${name} add primary key (a)`);
    if (random.chance(0.5)) statements.push(`create table ${name}_child (a int references ${name})`);
  }
  if (random.chance(0.4)) {
    const deferrable = random.chance(0.5) ? 'deferrable' : '';
    const key = constraintIndex(`${name}_key`, 'a', 'b');
    add(key, `alter table ${name} add constraint ${key.name} unique (a, b) ${deferrable}`);
  }
  for (let number = 1; number <= indexCount; number += 1) {
    const own = `${name}_x${number}`;
    const models = indexes.filter((index) => index.name.startsWith(`${name}_x`));
    const index =
      models.length > 0 && random.chance(0.6)
        ? resembling(random, own, random.pick(models), partitioned)
        : randomIndex(random, own, partitioned);
    add(index, createIndex(index, name));
  }
  statements.push(...needs(random, name, partitioned, indexes));
  return { name, partitioned, statements, indexes };
}

/** Makes somebody need one of the indexes: a foreign key, the replica identity, the clustering. */
function needs(random: Random, name: string, partitioned: boolean, indexes: readonly IndexSpec[]): string[] {
  const statements: string[] = [];
  const plain = indexes.filter(
    ({ unique, predicate, keys, include }) =>
      unique && predicate === null && include.length === 0 && keys.length === 1 && keys[0]!.text === 'a',
  );
  if (plain.length > 0 && random.chance(0.5)) {
    statements.push(`create table ${name}_other (a int references ${name} (a))`);
    const own = plain.filter(
      ({ nullsNotDistinct, name: index }) => !nullsNotDistinct && index.includes('_x'),
    );
    if (own.length > 0 && !partitioned) {
      statements.push(`alter table ${name} replica identity using index ${random.pick(own).name}`);
    }
  }
  const clusterable = indexes.filter(({ method, predicate }) => method === 'btree' && predicate === null);
  if (clusterable.length > 0 && !partitioned && random.chance(0.3)) {
    statements.push(`alter table ${name} cluster on ${random.pick(clusterable).name}`);
  }
  return statements;
}
