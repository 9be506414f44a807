/** Real corruption without touching files: an operator class whose comparison is turned round under a finished index. */
import type { TestDatabase } from './database.ts';

const comparison = (turned: boolean): string => `
  create or replace function turnable(int, int) returns int language sql immutable
  as $$ select btint4cmp(${turned ? '$2, $1' : '$1, $2'}) $$`;

/** An index, on a column of int, that makeIndexCorrupt can break; the first one also makes the operator class. */
export function turnableIndex(index: string, table: string, column: string): string {
  return `${comparison(false)};
    create operator class turnable_ops for type int using btree as operator 1 <, operator 2 <=, operator 3 =,
      operator 4 >=, operator 5 >, function 1 turnable(int, int);
    create index ${index} on ${table} (${column} turnable_ops)`;
}

/** Breaks every index of turnableIndex; or makes them sound again, as they were never changed. */
export async function makeIndexCorrupt(database: TestDatabase, corrupt: boolean): Promise<void> {
  await database.query(comparison(corrupt));
}
