/** Step 6 where the whole server has a part: standbys, crashes, restarts. On a server of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { startCluster } from '../../build/cluster.ts';
import type { Cluster } from '../../build/cluster.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { judgeNow, passDays, sample, scan, smallOnesCount } from '../support/index-usage.ts';
import { openFindings, queuedActions } from '../support/maintenance.ts';
import { receiveWal } from '../support/walsender.ts';
import { awayFromMidnight } from '../support/midnight.ts';

test.beforeEach(awayFromMidnight);

const kind = 'index.unused';
// Throw-away servers lose what was committed just before a crash; a crash is what some of these tests are about.
const settings = { synchronous_commit: 'on' };
let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster({ ephemeral: true, settings });
  process.env['MAINT_TEST_URL'] = cluster.url;
});

test.after.always(async () => {
  await cluster.stop('immediate');
});

/** Stops the server as told and starts it again, on the same port. */
async function restart(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1)::int as pid`,
  );
  await client.end();
  const { pid } = rows[0]!;
  process.kill(pid, signal);
  while (isRunning(pid)) await sleep(20);
  cluster = await startCluster({
    ephemeral: true,
    directory: cluster.directory,
    port: cluster.port,
    settings,
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The same database over new connections. */
async function reopen(t: ExecutionContext, { url, name, client }: TestDatabase): Promise<TestDatabase> {
  const shared = new pg.Client({ connectionString: url });
  shared.on('error', () => undefined);
  await shared.connect();
  t.teardown(() => shared.end());
  return {
    url,
    name,
    client,
    async query<Row extends pg.QueryResultRow>(text: string, params: unknown[] = []): Promise<Row[]> {
      return (await shared.query<Row>(text, params)).rows;
    },
  };
}

async function makeTable(database: TestDatabase): Promise<void> {
  await smallOnesCount(database);
  await database.query(
    'create table t (a int, b int); create index by_a on t (a); create index by_b on t (b)',
  );
  await database.query('insert into t select n, n from generate_series(1, 500) n');
}

async function severities(database: TestDatabase): Promise<string[]> {
  await sample(database);
  return (await openFindings(database, kind)).map(({ severity }) => severity);
}

test.serial('what standbys do is not known: said with the finding, and nothing is dropped', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await judgeNow(database);
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true')`);

  const archiver = await receiveWal(database, 'archiver', false);
  await database.query(`select pg_create_physical_replication_slot('never_used')`);
  await database.query(`select pg_create_logical_replication_slot('logical', 'pgoutput')`);
  t.deepEqual(await severities(database), ['warning', 'warning'], 'none of these is a standby');
  t.is((await queuedActions(database)).length, 2);
  await archiver();

  const standby = await receiveWal(database, 'standby', true);
  const { cleanup } = await sample(database);
  t.is(cleanup['unused_indexes_on_standbys'], 'unknown');
  const [finding] = await openFindings(database, kind);
  t.is(finding!.severity, 'info');
  t.is(finding!.detail['standby_scans'], 'unknown');
  t.is(
    finding!.summary,
    'Index public.by_a on public.t was never scanned, as far as is known; queries on standbys are not counted here.',
  );
  t.is(finding!.detail['kept_because'], 'queries on standbys may use it, and their scans are not known here');
  await standby();
  t.deepEqual(await severities(database), ['warning', 'warning']);

  await database.query(`select pg_create_physical_replication_slot('used', true)`);
  t.deepEqual(await severities(database), ['info', 'info'], 'a standby that is away');
  for (const slot of ['used', 'never_used', 'logical']) {
    await database.query('select pg_drop_replication_slot($1)', [slot]);
  }
  t.deepEqual(await severities(database), ['warning', 'warning']);
});

test.serial('with a standby no removal is queued', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  await makeTable(database);
  await judgeNow(database);
  await database.query(`select maint.configure('features.index_cleanup.auto_cleanup', 'true')`);
  await database.query(`select pg_create_physical_replication_slot('used', true)`);
  t.deepEqual(await severities(database), ['info', 'info']);
  t.deepEqual(await queuedActions(database), []);
  await database.query(`select pg_drop_replication_slot('used')`);
});

for (const [what, signal] of [
  ['a crash', 'SIGQUIT'],
  ['a restart', 'SIGINT'],
] as const) {
  test.serial(`${what} between samples`, async (t) => {
    let database = await createDatabase(t, { template: 'installed' });
    await makeTable(database);
    await sample(database);
    await passDays(database, 7);
    // Used all the time, and a crash loses what had not been sampled yet.
    await scan(database, 'select from t where a = 7', 10);
    await restart(signal);
    database = await reopen(t, database);
    const { cleanup } = await sample(database);
    const found = (await openFindings(database, kind)).map(({ object_name }) => object_name);
    if (signal === 'SIGINT') {
      t.deepEqual(found, ['by_b'], 'statistics outlive a restart');
    } else {
      t.deepEqual(found, []);
      t.deepEqual(cleanup['unused_indexes_undecided'], { window_not_covered: 2 });
      await passDays(database, 7);
      await sample(database);
      t.is((await openFindings(database, kind)).length, 2, 'the window after the crash');
    }
  });
}
