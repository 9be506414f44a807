/** Indexes of partitioned tables: built partition by partition, dropped within a limit, and brought back as they were. */
import test from 'ava';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { openFindings, openTransaction, run, waitForRow } from '../support/maintenance.ts';
import { ended, startWorker, waitingFor } from '../support/worker.ts';
import type { ActionRecord } from '../support/worker.ts';

/** Partitions in two levels, one with an index of its own that is equal to what is wanted, one with a name that needs quotes. */
async function withTree(t: Parameters<typeof createDatabase>[0]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`create schema shop;
    create table shop.customer (id int primary key);
    insert into shop.customer select generate_series(0, 9);
    create table shop.orders (id int, customer int references shop.customer) partition by range (id);
    create table shop.orders_1 partition of shop.orders for values from (0) to (100);
    create table shop."Orders 2" partition of shop.orders for values from (100) to (200);
    create table shop.orders_3 partition of shop.orders for values from (200) to (300) partition by list (customer);
    create table shop.orders_3_a partition of shop.orders_3 for values in (0, 1, 2, 3, 4);
    create table shop.orders_3_b partition of shop.orders_3 default;
    create index own on shop.orders_1 (customer);
    insert into shop.orders select n, n % 10 from generate_series(0, 299) n`);
  return database;
}

interface Member {
  table: string;
  index: string;
  definition: string;
  comment: string | null;
  options: string[] | null;
  valid: boolean;
  parent: string | null;
}

async function indexes(database: TestDatabase): Promise<Member[]> {
  return await database.query<Member>(
    `select t.relname as "table", c.relname as index, pg_get_indexdef(c.oid) as definition,
       obj_description(c.oid, 'pg_class') as comment, c.reloptions as options, x.indisvalid as valid,
       (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid) as parent
     from pg_index x join pg_class c on c.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
     where t.relname ~* '^orders' order by 1, 2`,
  );
}

async function asked(database: TestDatabase, call: string): Promise<number> {
  const [row] = await database.query<{ id: number }>(`select (${call} ->> 'action_id')::int as id`);
  return row!.id;
}

async function done(database: TestDatabase, call: string): Promise<[number, ActionRecord]> {
  const id = await asked(database, call);
  return [id, await ended(database, id)];
}

/** The finding about the foreign key, applied. */
async function applied(database: TestDatabase): Promise<number> {
  await run(database, { only: ['foreign_keys'] });
  const [finding] = await openFindings(database, 'fk.unindexed');
  return await asked(database, `maint.apply(${finding!.finding_id})`);
}

test('a foreign key of a partitioned table gets an index on every partition; undone and undone again, all is as it was', async (t) => {
  const database = await withTree(t);
  const before = await indexes(database);
  startWorker(t, database);
  const created = await applied(database);
  const record = await ended(database, created);
  t.is(record.status, 'succeeded', record.outcome!);
  const built = await indexes(database);
  t.deepEqual(
    built.map(({ table, valid, parent }) => [table, valid, parent !== null]),
    [
      ['Orders 2', true, true],
      ['orders', true, false],
      ['orders_1', true, true],
      ['orders_3', true, true],
      ['orders_3_a', true, true],
      ['orders_3_b', true, true],
    ],
  );
  t.is(built.find(({ table }) => table === 'orders_1')!.index, 'own', 'an equal one is taken');
  t.regex(record.statement!, /INDEX CONCURRENTLY \S+ ON shop.orders_3_a /);
  await run(database, { only: ['foreign_keys', 'orphaned_indexes', 'invalid_indexes'] });
  t.deepEqual(await openFindings(database, 'fk.unindexed'), []);
  t.deepEqual(await openFindings(database, 'index.'), []);

  const names = new Map(built.map(({ table, index }) => [table, index]));
  await database.query(`comment on index shop."${names.get('Orders 2')!}" is 'second';
    comment on index shop."${names.get('orders_3')!}" is 'third'; comment on index shop."${names.get('orders')!}" is 'root';
    alter index shop."${names.get('orders_3_b')!}" set (fillfactor = 60)`);
  const dressed = await indexes(database);
  const [dropped, undone] = await done(database, `maint.undo(${created})`);
  t.is(undone.status, 'succeeded', undone.outcome!);
  t.regex(undone.statement!, /^drop index shop\./m);
  t.deepEqual(await indexes(database), [], 'with all that is attached to it');
  const [, again] = await done(database, `maint.undo(${dropped})`);
  t.is(again.status, 'succeeded', again.outcome!);
  t.deepEqual(await indexes(database), dressed);
  t.is(before.length, 1);
});

test('a build that fails in one partition leaves nothing of it', async (t) => {
  const database = await withTree(t);
  await database.query('create index other on shop.orders_3_b (customer)');
  const before = await indexes(database);
  const id = await applied(database);
  await database.query(
    `update maint.action set target = jsonb_set(target, '{statement}', to_jsonb(replace(target ->> 'statement',
       '(customer)', '((100 / (customer - 9)))'))) where action_id = $1`,
    [id],
  );
  startWorker(t, database);
  const record = await ended(database, id);
  t.is(record.status, 'failed');
  t.is(record.error!['sqlstate'], '22012');
  t.deepEqual(await indexes(database), before);
});

test('a root that is in use is not waited for in its queues for longer than the limit, and is dropped later', async (t) => {
  const database = await withTree(t);
  startWorker(t, database);
  const created = await applied(database);
  t.is((await ended(database, created)).status, 'succeeded');
  await database.query(`select maint.configure('operational.worker.lock_timeout', '300')`);
  const reader = await openTransaction(database, 'select from shop.orders_3_b');
  const dropping = await asked(database, `maint.undo(${created})`);
  await waitForRow(
    database,
    `select from maint.safeguard_event where event = 'lock_timeout' and action_id = $1`,
    [dropping],
  );
  // Somebody who would queue behind it goes on.
  await database.query(`set lock_timeout = '10s'`);
  await database.query('select count(*) from shop.orders');
  t.is((await indexes(database)).length, 6);
  await reader.end();
  t.is((await ended(database, dropping)).status, 'succeeded');
  t.is((await indexes(database)).length, 0);
});

test('a build whose session is killed half-way is done by the next attempt, and nothing is left of the first', async (t) => {
  const database = await withTree(t);
  await database.query(`select maint.configure('operational.worker.lock_timeout', '60000')`);
  const id = await applied(database);
  // Young enough not to be waited for before, and in the way of one partition's build.
  const writer = await openTransaction(database, 'insert into shop.orders_3_b values (299, 9)');
  startWorker(t, database);
  const building = waitingFor('^CREATE INDEX CONCURRENTLY .* ON shop.orders_3_b ');
  await waitForRow(database, building);
  await database.query(`select pg_terminate_backend(pid) from (${building}) as b`);
  await waitForRow(database, `select where not exists (${building})`);
  t.true(
    (await indexes(database)).some(({ valid }) => !valid),
    'something is left',
  );
  await writer.end();
  // Where reconciliation is at it when the next attempt comes, that one is put off by ten seconds.
  const record = await ended(database, id, 60);
  t.is(record.status, 'succeeded', record.outcome!);
  t.is(record.attempts, 2);
  const built = await indexes(database);
  t.is(built.length, 6);
  t.true(built.every(({ valid }) => valid));
});

test('an index that somebody else has made meanwhile is attached where it is equal, and otherwise left alone', async (t) => {
  const database = await withTree(t);
  startWorker(t, database);
  const created = await applied(database);
  t.is((await ended(database, created)).status, 'succeeded');
  const built = await indexes(database);
  const name = (table: string): string => `"${built.find((each) => each.table === table)!.index}"`;
  const [dropped, drop] = await done(database, `maint.undo(${created})`);
  t.is(drop.status, 'succeeded');
  await database.query(`create index ${name('orders_3_a')} on shop.orders_3_a (customer)`);
  await database.query(`create index ${name('orders_3_b')} on shop.orders_3_b (id)`);
  const [, refused] = await done(database, `maint.undo(${dropped})`);
  t.is(refused.status, 'expired');
  t.regex(refused.outcome!, /orders_3_b?\S* exists already/);
  t.is((await indexes(database)).length, 2);
  await database.query(`drop index shop.${name('orders_3_b')}`);
  const [, again] = await done(database, `maint.undo(${dropped})`);
  t.is(again.status, 'succeeded', again.outcome!);
  t.deepEqual(await indexes(database), built);
});

test('a tree index over a foreign partition that was dropped comes back valid', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await database.query(`
    create schema shop;
    create table shop.orders (id int, customer int, at int) partition by list (id);
    create table shop.orders_1 partition of shop.orders for values in (1);
    create table shop.orders_2 partition of shop.orders for values in (2, 3) partition by list (id);
    create table shop.orders_2_a partition of shop.orders_2 for values in (2);
    create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
    create foreign table shop.orders_9 partition of shop.orders for values in (9) server nowhere;
    create foreign table shop.orders_2_b partition of shop.orders_2 for values in (3) server nowhere;
    create index short on shop.orders (customer);
    create index long on shop.orders (customer, at)`);
  const before = await indexes(database);
  t.true(before.every(({ valid }) => valid));
  startWorker(t, database);
  await run(database, { only: ['redundant_indexes'] });
  const [finding] = await openFindings(database, 'index.redundant');
  t.is(finding!.object_name, 'short');
  const [dropped, record] = await done(database, `maint.apply(${finding!.finding_id})`);
  t.is(record.status, 'succeeded', record.outcome!);
  const [, undone] = await done(database, `maint.undo(${dropped})`);
  t.is(undone.status, 'succeeded', undone.outcome!);
  t.deepEqual(await indexes(database), before);
});
