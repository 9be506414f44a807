/** Sessions that hold something up, beside those that only look like it; a build that hangs. */
import { makeTable } from '../support/broken-indexes.ts';
import { run, waitUntilBlocked } from '../support/maintenance.ts';
import { openSession, prepareTransaction, under, waitForState } from '../support/sessions.ts';
import type { SetUp } from './fixtures.ts';

//! config features.advisory_lock_cleanup.stale_after 0
//! config features.advisory_lock_cleanup.expected_applications ["corpus_leader"]
//! config features.stale_operations.stale_after 0
//! config features.stale_operations.idle_in_transaction_after 0
//! config features.stale_operations.prepared_transaction_after 0
//! config features.concurrent_index_monitoring.hanging_after 0
//! lock.stale_advisory session."corpus holder"
//! not operation.stale session."corpus holder" : idle outside a transaction
//! operation.stale session."corpus waiter" session."corpus deputy" : they wait for locks
//! clean session."corpus lone" session.corpus_leader
//! not lock.stale_advisory session."corpus lone" : nobody waits for it
//! not lock.stale_advisory session.corpus_leader
//! clean session."corpus quiet"
//! not operation.stale session."corpus quiet"
//! operation.stale session."corpus idle"
//! operation.stale session."corpus sleeper"
//! operation.stale session."corpus writer" : holds up the build
//! operation.stale session."corpus builder"
//! operation.stale prepared."corpus prepared"
//! lock.stale_advisory prepared."corpus prepared"
//! build.hanging shop.hanging
//! clean shop.orders_a
//! not index.invalid shop.hanging
//! not build.hanging shop.orders_a
const setUp: SetUp = async (database, scope) => {
  await makeTable(database, { schema: 'shop', table: 'orders', index: 'orders_a' });
  await database.query('create index orders_a on shop.orders (a)');
  await openSession(database, 'corpus quiet');
  await openSession(database, 'corpus holder', 'select pg_advisory_lock(1, 2)');
  await openSession(database, 'corpus lone', 'select pg_advisory_lock(5)');
  await openSession(database, 'corpus_leader', 'select pg_advisory_lock(77)');
  for (const [name, statement] of [
    ['corpus waiter', 'select pg_advisory_lock(1, 2)'],
    ['corpus deputy', 'select pg_advisory_lock(77)'],
  ] as const) {
    const waiter = await openSession(database, name);
    await waitUntilBlocked(database, under(waiter, statement));
  }
  await openSession(database, 'corpus idle', 'begin', 'select 1');
  const sleeper = await openSession(database, 'corpus sleeper');
  under(sleeper, 'select pg_sleep(600)');
  await waitForState(database, sleeper.pid, 'active');
  await prepareTransaction(scope, database, 'corpus prepared', 'select pg_advisory_xact_lock(3, 4)');
  await openSession(database, 'corpus writer', 'begin', `insert into shop.orders values (7, 'x')`);
  const builder = await openSession(database, 'corpus builder');
  await waitUntilBlocked(database, under(builder, 'create index concurrently hanging on shop.orders (b)'));
  // What is stale now was seen before: the first run only takes note.
  await run(database);
};

export default setUp;
