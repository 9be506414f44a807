/** A drop for want of use is judged again before it is done. On a server of its own: a standby is one for all databases. */
import test from 'ava';
import { startCluster } from '../../build/cluster.ts';
import type { Cluster } from '../../build/cluster.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow, makeShop, sample, scan, useA, useB } from '../support/index-usage.ts';
import { waitForRow } from '../support/maintenance.ts';
import { receiveWal } from '../support/walsender.ts';
import { actionRecord, ended, startWorker } from '../support/worker.ts';
import type { ActionRecord } from '../support/worker.ts';

let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster({ ephemeral: true });
  process.env['MAINT_TEST_URL'] = cluster.url;
});

test.after.always(async () => {
  await cluster.stop('immediate');
});

/** Both indexes of the shop queued to be dropped: the larger one, by_b, as action 1 and by_a as action 2. */
async function queued(t: Parameters<typeof createDatabase>[0]): Promise<TestDatabase> {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true'),
    maint.configure('features.index_cleanup.min_scans', '1')`);
  await sample(database);
  for (const [id, index] of [
    [1, 'by_b'],
    [2, 'by_a'],
  ] as const) {
    const [row] = await database.query<{ index: string }>(
      `select target ->> 'index' as index from maint.action where action_id = $1 and status = 'queued'`,
      [id],
    );
    t.is(row?.index, index);
  }
  return database;
}

async function bothEnded(
  t: Parameters<typeof createDatabase>[0],
  database: TestDatabase,
): Promise<ActionRecord[]> {
  startWorker(t, database);
  const [b, a] = [await ended(database, 1), await ended(database, 2)];
  return [a, b];
}

async function indexes(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `select c.relname as name from pg_index x join pg_class c on c.oid = x.indexrelid
     where x.indrelid = 'shop.orders'::regclass order by 1`,
  );
  return rows.map(({ name }) => name);
}

test.serial(
  'an index that was scanned since the run is not dropped; the one that nobody used is',
  async (t) => {
    const database = await queued(t);
    await scan(database, useA);
    const [one, other] = await bothEnded(t, database);
    t.is(one!.status, 'expired');
    t.is(one!.outcome, 'the index was scanned since it was judged: once');
    t.is(other!.status, 'succeeded', other!.outcome!);
    t.deepEqual(await indexes(database), ['by_a', 'orders_pkey']);
  },
);

test.serial('nothing is dropped on counters that were lost since the run', async (t) => {
  const database = await queued(t);
  await database.query('select pg_stat_reset()');
  const records = await bothEnded(t, database);
  t.deepEqual(
    records.map(({ status }) => status),
    ['expired', 'expired'],
  );
  t.regex(records[0]!.outcome!, /counters were lost/);
  t.deepEqual(await indexes(database), ['by_a', 'by_b', 'orders_pkey']);
});

test.serial('a standby that has appeared since the run keeps what its queries may use', async (t) => {
  const database = await queued(t);
  const leave = await receiveWal(database, 'a standby', true);
  t.teardown(leave);
  const records = await bothEnded(t, database);
  t.deepEqual(
    records.map(({ status }) => status),
    ['skipped', 'skipped'],
  );
  t.regex(records[0]!.outcome!, /there is a standby now/);
  t.deepEqual(await indexes(database), ['by_a', 'by_b', 'orders_pkey']);
});

test.serial('what maint.apply asked for is judged again as well', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeShop(database);
  await judgeNow(database);
  await sample(database);
  const [row] = await database.query<{ id: number }>(
    `select (maint.apply(finding_id) ->> 'action_id')::int as id from maint.findings where object_name = 'by_b'`,
  );
  await scan(database, useB);
  startWorker(t, database);
  t.is((await ended(database, row!.id)).status, 'expired');
  t.deepEqual(await indexes(database), ['by_a', 'by_b', 'orders_pkey']);
});

test.serial(
  'a drop that was cut off is brought to its end: what it made invalid nobody can use',
  async (t) => {
    const database = await queued(t);
    await database.query(`delete from maint.action where action_id = 2`);
    await database.query(`update pg_index set indisvalid = false where indexrelid = 'shop.by_b'::regclass`);
    await database.query('select pg_stat_reset()');
    startWorker(t, database);
    await waitForRow(database, 'select from maint.action where action_id = 1 and finished_at is not null');
    t.is((await actionRecord(database, 1)).status, 'succeeded');
    t.deepEqual(await indexes(database), ['by_a', 'orders_pkey']);
  },
);
