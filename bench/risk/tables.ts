/** What the templates draw from: the tables of schema.sql with the columns that people ask by. */

/** Draws numbers for one statement; the same seed draws the same. */
export interface Draw {
  /** A whole number from `least` to `most`. */
  int(least: number, most: number): number;
  pick<Value>(values: readonly Value[]): Value;
}

interface Table {
  name: string;
  rows: number;
  time: string;
  /** Columns with numbers, and with an index or without. */
  numbers: readonly string[];
  indexed: readonly string[];
  plain: readonly string[];
  /** Short texts with few different values. */
  kinds: readonly [string, readonly string[]][];
  texts: readonly string[];
  jsons: readonly string[];
  parents: readonly [column: string, table: string][];
}

export const statuses = ['new', 'paid', 'shipped', 'returned'] as const;

export const orders: Table = {
  name: 'orders',
  rows: 150_000,
  time: 'ordered_at',
  numbers: ['total'],
  indexed: ['customer_id'],
  plain: ['total'],
  kinds: [
    ['status', statuses],
    ['channel', ['web', 'app', 'phone']],
  ],
  texts: ['note'],
  jsons: [],
  parents: [['customer_id', 'customer']],
};

export const tables: readonly Table[] = [
  {
    name: 'customer',
    rows: 40_000,
    time: 'signed_up',
    numbers: ['balance'],
    indexed: ['country_id'],
    plain: ['balance'],
    kinds: [
      ['status', ['active', 'dormant', 'blocked']],
      ['city', ['city 10', 'city 33', 'city 502']],
    ],
    texts: ['name', 'email'],
    jsons: ['preferences'],
    parents: [['country_id', 'country']],
  },
  orders,
  {
    name: 'payment',
    rows: 140_000,
    time: 'paid_at',
    numbers: ['amount'],
    indexed: ['id'],
    plain: ['order_id', 'amount'],
    kinds: [['method', ['card', 'invoice', 'cash']]],
    texts: ['reference'],
    jsons: [],
    parents: [['order_id', 'orders']],
  },
  {
    name: 'review',
    rows: 60_000,
    time: 'written_at',
    numbers: ['stars'],
    indexed: ['product_id'],
    plain: ['customer_id', 'stars'],
    kinds: [],
    texts: ['body'],
    jsons: [],
    parents: [
      ['product_id', 'product'],
      ['customer_id', 'customer'],
    ],
  },
  {
    name: 'ticket',
    rows: 25_000,
    time: 'opened_at',
    numbers: ['priority'],
    indexed: ['id'],
    plain: ['customer_id', 'priority'],
    kinds: [
      ['state', ['open', 'closed']],
      ['subject', ['subject 3', 'subject 77']],
    ],
    texts: ['body'],
    jsons: [],
    parents: [['customer_id', 'customer']],
  },
  {
    name: 'event',
    rows: 400_000,
    time: 'happened_at',
    numbers: ['duration'],
    indexed: ['session_id'],
    plain: ['customer_id', 'duration'],
    kinds: [['kind', ['view', 'click', 'cart', 'buy']]],
    texts: ['kind'],
    jsons: ['payload'],
    parents: [['customer_id', 'customer']],
  },
  {
    name: 'audit',
    rows: 120_000,
    time: 'changed_at',
    numbers: ['row_id'],
    indexed: ['id'],
    plain: ['row_id'],
    kinds: [
      ['table_name', ['orders', 'customer', 'product']],
      ['changed_by', ['user 3', 'user 71']],
    ],
    texts: ['changed_by'],
    jsons: ['old_row', 'new_row'],
    parents: [],
  },
];

export const large = tables.filter(({ rows }) => rows >= 100_000);
export const withJson = tables.filter(({ jsons }) => jsons.length > 0);
export const withKinds = tables.filter(({ kinds }) => kinds.length > 0);
export const withParents = tables.filter(({ parents }) => parents.length > 0);

const starts: Record<string, string> = {
  customer: '2024-01-01',
  event: '2026-01-01',
  audit: '2025-01-01',
};

/** A moment within the table's time, and how long after it. */
export function moment(draw: Draw, table: Table, days = 90): string {
  const from = new Date(`${starts[table.name] ?? '2024-06-01'}T00:00:00Z`);
  from.setUTCDate(from.getUTCDate() + draw.int(0, days));
  return `'${from.toISOString().slice(0, 10)}'`;
}

/** Rows as a program takes them that works through a table: from one number to another, about half of `most` to `most`. */
export function batch(draw: Draw, column: string, most: number): string {
  const from = draw.int(1, 300);
  return `${column} between ${from} and ${from + draw.int(Math.ceil(most / 2), most)}`;
}

export const kindOf = (draw: Draw, table: Table): string => {
  const [column, values] = draw.pick(table.kinds);
  return `${column} = '${draw.pick(values)}'`;
};
export const aggregates = ['sum', 'avg', 'max', 'min', 'stddev'] as const;
export const columnsOf = (table: Table): string[] => [
  'id',
  table.time,
  ...table.numbers,
  ...table.texts,
  ...table.kinds.map(([column]) => column),
];
