/** Indexes that statements left behind when they were cut off, and builds that are still at work. */
import { makeInvalidIndex, makeReindexLeftover, makeTable, quotedTable } from '../support/broken-indexes.ts';
import { openTransaction, startStatement, waitUntilBlocked } from '../support/maintenance.ts';
import type { SetUp } from './fixtures.ts';

//! index.invalid shop.failed "Shop 2".failed
//! not index.orphaned shop.failed
//! index.orphaned shop.rebuilt_ccnew
//! clean shop.rebuilt
//! not index.invalid shop.rebuilt_ccnew
//! index.orphaned shop.replaced_ccold
//! clean shop.replaced
//! clean shop.building shop.under_way
//! not index.invalid shop.building : its build waits for a writer
//! not index.orphaned shop.building
//! not build.hanging shop.building : it does, but has not for long
//! clean shop.growing shop.growing_ccnew
//! not index.orphaned shop.growing_ccnew : its rebuild waits for a writer
const setUp: SetUp = async (database) => {
  await makeInvalidIndex(database, { schema: 'shop', table: 'failing', index: 'failed' });
  await makeInvalidIndex(database, { schema: 'Shop 2', table: 'failing', index: 'failed' });
  for (const [table, index, label] of [
    ['first', 'rebuilt', 'ccnew'],
    ['second', 'replaced', 'ccold'],
  ] as const) {
    const name = { schema: 'shop', table, index };
    await makeTable(database, name);
    await database.query(`create index ${index} on ${quotedTable(name)} (a)`);
    await makeReindexLeftover(database, name, label);
  }
  const busy = { schema: 'shop', table: 'busy', index: 'under_way' };
  await makeTable(database, busy);
  await database.query('create index under_way on shop.busy (a)');
  await openTransaction(database, `insert into shop.busy values (9, 'x')`);
  await waitUntilBlocked(
    database,
    await startStatement(database, 'create index concurrently building on shop.busy (b)'),
  );
  const grown = { schema: 'shop', table: 'grown', index: 'growing' };
  await makeTable(database, grown);
  await database.query('create index growing on shop.grown (a)');
  await openTransaction(database, `insert into shop.grown values (9, 'x')`);
  await waitUntilBlocked(database, await startStatement(database, 'reindex index concurrently shop.growing'));
  // What was counted is to be seen now, not in the middle of a run.
  await database.query('select pg_stat_force_next_flush()');
};

export default setUp;
