/** Makes the broken indexes of steps 2 and 3 the way they come about: by real statements that are cut off. */
import pg from 'pg';
import { leftoverIsDue } from '../../build/sample/reindex-leftover.ts';
import type { TestDatabase } from './database.ts';
import { cancel, openTransaction, startStatement, waitForRow } from './maintenance.ts';

const { escapeIdentifier: quote } = pg;

export interface IndexName {
  schema: string;
  table: string;
  index: string;
}

export function quoted({ schema, index }: IndexName): string {
  return `${quote(schema)}.${quote(index)}`;
}

export function quotedTable({ schema, table }: IndexName): string {
  return `${quote(schema)}.${quote(table)}`;
}

/** A table (with schema) of one int column `a` and a few rows, among them duplicates. */
export async function makeTable(database: TestDatabase, name: IndexName): Promise<void> {
  await database.query(`create schema if not exists ${quote(name.schema)}`);
  await database.query(`create table if not exists ${quotedTable(name)} (a int, b text)`);
  await database.query(`insert into ${quotedTable(name)} values (1, 'x'), (1, 'y'), (2, 'z')`);
}

/** An index left invalid by a unique build that met duplicates. */
export async function makeInvalidIndex(database: TestDatabase, name: IndexName): Promise<void> {
  await makeTable(database, name);
  const client = await database.client();
  try {
    await client.query(`create unique index concurrently ${quote(name.index)} on ${quotedTable(name)} (a)`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== '23505') throw error;
    // The error is told before the build has given up its locks; it has once its session answers again. What it has read
    // is counted now, not in the middle of a run.
    await client.query('select pg_catalog.pg_stat_force_next_flush()');
    return;
  }
  throw new Error('the unique build was meant to fail');
}

/**
 * A leftover of REINDEX CONCURRENTLY: `ccnew` when it is cut off while it waits for a writer before the swap, `ccold`
 * when it waits for a reader after it.
 */
export async function makeReindexLeftover(
  database: TestDatabase,
  name: IndexName,
  label: 'ccnew' | 'ccold',
): Promise<void> {
  const holdUp =
    label === 'ccnew'
      ? `lock table ${quotedTable(name)} in row exclusive mode`
      : `lock table ${quotedTable(name)} in access share mode`;
  const holder = await openTransaction(database, holdUp);
  const reindex = await startStatement(database, `reindex index concurrently ${quoted(name)}`);
  await waitForRow(database, leftoverIsDue, [reindex.pid, label]);
  await cancel(database, reindex);
  await holder.end();
}
