/**
 * Tables whose indexes are bloated in the ways that indexes come to be: one set of indexes on each, so that every type of key
 * meets every kind of churn.
 */
import type pg from 'pg';

/** `create index NAME on TABLE …` for each; `%` stands for the table. */
const indexes: Record<string, string> = {
  bigint_unique: 'create unique index %_bigint_unique on % (id)',
  int: 'create index %_int on % (number)',
  text: 'create index %_text on % (word)',
  text_wide: 'create index %_text_wide on % (wide)',
  uuid_unique: 'create unique index %_uuid_unique on % (tag)',
  timestamptz: 'create index %_timestamptz on % (at)',
  numeric: 'create index %_numeric on % (amount)',
  multi: 'create index %_multi on % (low, word)',
  include: 'create index %_include on % (number) include (amount)',
  expression: 'create index %_expression on % (lower(word))',
  partial: 'create index %_partial on % (number) where low < 7',
  low_cardinality: 'create index %_low_cardinality on % (low)',
  mid_cardinality: 'create index %_mid_cardinality on % (mid)',
  null80: 'create index %_null80 on % (often_null)',
  not_deduplicated: 'create index %_not_deduplicated on % (mid) with (deduplicate_items = off)',
  fill50: 'create index %_fill50 on % (number) with (fillfactor = 50)',
  fill75: 'create index %_fill75 on % (at) with (fillfactor = 75)',
  fill100: 'create index %_fill100 on % (tag) with (fillfactor = 100)',
};

const columns = `id bigint, number int, word text, wide text, tag uuid, at timestamptz, amount numeric, low int, mid int,
  often_null int`;

/** Rows `from` to `to` with values that depend on nothing but their number and the salt. */
const rows = (from: number, to: number, salt = 0): string => `
  select n, h, md5(h::text), repeat(md5(h::text), 1 + h & 3) || n, md5(n::text || '${salt}')::uuid,
    '2026-01-01'::timestamptz + n * interval '1 s', (h % 10000000) / 100.0, h % 20, h % 5000,
    case when h % 5 = 0 then h % 100000 end
  from (
    select n, ('x' || substr(md5(n::text || 'salt${salt}'), 1, 7))::bit(28)::int as h
    from generate_series(${from}, ${to}) as n) as n`;

const updateOf = (table: string, salt: number, condition: string): string => `
  update ${table} as t set number = r.h, word = md5(r.h::text), tag = md5(t.id::text || '${salt}')::uuid,
    at = t.at + interval '1 day', amount = (r.h % 10000000) / 100.0, low = r.h % 20, mid = r.h % 5000,
    wide = repeat(md5(r.h::text), 1 + r.h & 3) || t.id,
    often_null = case when r.h % 5 = 0 then r.h % 100000 end
  from (
    select id, ('x' || substr(md5(id::text || 'update${salt}'), 1, 7))::bit(28)::int as h from ${table}) as r
  where r.id = t.id and ${condition}`;

interface Churn {
  title: string;
  /** Of the full size. */
  share: number;
  /** The indexes it is tried on; all where left out. */
  only?: readonly string[];
  statements(table: string, size: number, makeIndexes: readonly string[]): string[];
}

const chance = (column: string, salt: string, percent: number): string =>
  `('x' || substr(md5(${column}::text || '${salt}'), 1, 7))::bit(28)::int % 100 < ${percent}`;

const churns: Record<string, Churn> = {
  fresh: {
    title: 'built after the load',
    share: 0.5,
    statements: (table, size, make) => [`insert into ${table} ${rows(1, size)}`, ...make, `vacuum ${table}`],
  },
  loaded: {
    title: 'loaded in ten parts',
    share: 0.5,
    statements: (table, size, make) => [
      ...make,
      ...Array.from(
        { length: 10 },
        (_, part) =>
          `insert into ${table} ${rows(Math.floor((part * size) / 10) + 1, Math.floor(((part + 1) * size) / 10))}`,
      ),
      `vacuum ${table}`,
    ],
  },
  deleted: {
    title: 'four of ten rows deleted here and there',
    share: 1,
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      `delete from ${table} where ${chance('id', 'a', 40)}`,
      `vacuum ${table}`,
    ],
  },
  emptied: {
    title: 'a stretch of half the rows deleted',
    share: 0.7,
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      `delete from ${table} where id between ${Math.floor(size * 0.2)} and ${Math.floor(size * 0.7)}`,
      `vacuum ${table}`,
    ],
  },
  updated: {
    title: 'each third row updated, three times over',
    share: 0.6,
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      ...[1, 2, 3].flatMap((round) => [
        updateOf(table, round, chance('t.id', `u${round}`, 33)),
        `vacuum ${table}`,
      ]),
    ],
  },
  rolling: {
    title: 'a window that rolls over twice its length',
    share: 0.4,
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      ...Array.from({ length: 10 }, (_, round) => {
        const first = Math.floor(size * (1 + round / 5)) + 1;
        const last = Math.floor(size * (1 + (round + 1) / 5));
        return [
          `insert into ${table} ${rows(first, last, round)}`,
          `delete from ${table} where id <= ${last - size} and ${chance('id', 'keep', 95)}`,
          `vacuum ${table}`,
        ];
      }).flat(),
    ],
  },
  unvacuumed: {
    title: 'a tenth updated and as many deleted, not yet vacuumed',
    share: 0.5,
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      `vacuum analyze ${table}`,
      updateOf(table, 1, chance('t.id', 'u', 10)),
      `delete from ${table} where ${chance('id', 'd', 10)}`,
    ],
  },
  small: {
    title: 'the smallest, three of ten rows deleted here and there',
    share: 0.045,
    only: ['bigint_unique', 'text', 'timestamptz', 'include'],
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      `delete from ${table} where ${chance('id', 's', 30)}`,
      `vacuum ${table}`,
    ],
  },
  large: {
    title: 'the largest, three of ten rows deleted here and there',
    share: 3.4,
    only: ['bigint_unique', 'text', 'text_wide', 'low_cardinality'],
    statements: (table, size, make) => [
      `insert into ${table} ${rows(1, size)}`,
      ...make,
      `delete from ${table} where ${chance('id', 'l', 30)}`,
      `vacuum ${table}`,
    ],
  },
};

export interface Made {
  table: string;
  churn: string;
  index: string;
  name: string;
}

/** Makes the tables in schema bloat; `size` rows in the largest. */
export async function makeCases(
  client: pg.Client,
  size: number,
  say: (line: string) => void,
): Promise<Made[]> {
  const made: Made[] = [];
  await client.query('create schema if not exists bloat; set search_path = bloat, public');
  for (const [table, churn] of Object.entries(churns)) {
    const started = performance.now();
    await client.query(`create unlogged table ${table} (${columns}) with (autovacuum_enabled = off)`);
    const names = churn.only ?? Object.keys(indexes);
    const statements = names.map((name) => (indexes[name] ?? '').replaceAll('%', table));
    for (const text of churn.statements(table, Math.floor(size * churn.share), statements)) {
      await client.query(text);
      // Else what a DELETE did would be counted after the VACUUM that followed it.
      await client.query('select pg_stat_force_next_flush()');
    }
    for (const index of names) made.push({ table, churn: churn.title, index, name: `${table}_${index}` });
    say(`${table}: ${churn.title} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
  return made;
}
