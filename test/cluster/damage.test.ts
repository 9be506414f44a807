/** Step 1 on damage that concerns a whole server. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type pg from 'pg';
import { ownCluster, runMaintenance, serverProgram, urlOf } from './own-cluster.ts';
import type { RunResult } from '../support/maintenance.ts';
import { install } from '../../src/worker/install.ts';

async function check(client: pg.Client): Promise<RunResult['integrity_check']> {
  return (await runMaintenance(client, `force => true, "only" => '{integrity_check}'`)).integrity_check;
}

interface Open {
  object_name: string;
  severity: string;
  remedy: string | null;
  detail: Record<string, unknown>;
}

async function open(client: pg.Client, kind: string): Promise<Open[]> {
  const { rows } = await client.query<Open>(
    `select object_name, severity, remedy, detail from maint.findings where kind = $1 and resolved_at is null
     order by object_name, severity`,
    [kind],
  );
  return rows;
}

test('a page damaged on disk counts once it is read, until the statistics are reset', async (t) => {
  const cluster = await ownCluster(t, { autovacuum: 'off' });
  const kind = 'integrity.checksum_failure';
  let client = await cluster.connect();
  await client.query('create extension amcheck');
  await install(urlOf(cluster.port()));
  await client.query('create table precious as select 1 as a from generate_series(1, 10)');
  const { rows } = await client.query<{ path: string }>(`select pg_relation_filepath('precious') as path`);
  t.is((await check(client)).checks['checksum_failure']!.status, 'healthy');

  await cluster.stop();
  const file = openSync(join(cluster.data, rows[0]!.path), 'r+');
  writeSync(file, 'damage', 8000);
  closeSync(file);
  await cluster.start();
  client = await cluster.connect();
  t.is((await check(client)).checks['checksum_failure']!.status, 'healthy', 'nobody has read the page yet');
  t.deepEqual(await open(client, kind), []);

  await t.throwsAsync(client.query('select * from precious'), { code: 'XX001' });
  const { status, checks } = await check(client);
  t.is(status, 'unhealthy');
  t.is(checks['checksum_failure']!.status, 'unhealthy');
  const [finding, ...others] = await open(client, kind);
  t.is(finding!.object_name, 'shop');
  t.is(finding!.severity, 'critical');
  t.is(finding!.detail['failures'], 1);
  t.deepEqual(others, []);

  await client.query('select pg_stat_reset()');
  t.is((await check(client)).checks['checksum_failure']!.status, 'healthy');
  t.deepEqual(await open(client, kind), []);
});

test('without data checksums nobody knows: unknown, with the way to have them, and never healthy', async (t) => {
  const cluster = await ownCluster(t);
  let client = await cluster.connect();
  await client.query('create extension amcheck');
  await install(urlOf(cluster.port()));
  t.is((await check(client)).status, 'healthy');

  await cluster.stop();
  await serverProgram('pg_checksums', ['--disable', `--pgdata=${cluster.data}`]);
  await cluster.start();
  client = await cluster.connect();
  const { status, checks } = await check(client);
  t.is(status, 'unknown');
  const { checksum_failure: checksums, ...others } = checks;
  t.is(checksums!.status, 'unknown');
  t.is(checksums!.reason, 'not_counted');
  const { rows: gaps } = await client.query<{ remedy: string }>(
    `select remedy from maint.gaps where what = 'Data checksum failures'`,
  );
  t.regex(gaps[0]!.remedy, /pg_checksums --enable/);
  t.deepEqual(
    Object.entries(others).filter(([, each]) => each.status !== 'healthy'),
    [],
  );

  await cluster.stop();
  await serverProgram('pg_checksums', ['--enable', `--pgdata=${cluster.data}`]);
  await cluster.start();
  t.is((await check(await cluster.connect())).status, 'healthy');
});

const counters = [
  { counter: 'transaction id', column: 'datfrozenxid', now: 'pg_current_xact_id()::text::bigint' },
  {
    counter: 'multixact',
    column: 'datminmxid',
    now: '(select next_multixact_id::text::bigint from pg_control_checkpoint())',
  },
];

for (const { counter, column, now } of counters) {
  test(`the age of the oldest ${counter}: a warning from half of what there is, critical before the server's own limit`, async (t) => {
    const cluster = await ownCluster(t, { autovacuum: 'off' });
    const client = await cluster.connect();
    /** Ids are compared modulo 2^32. */
    const setAge = async (age: number): Promise<void> => {
      await client.query(
        `update pg_database set ${column} = ((${now} - $1::bigint + 4294967296) % 4294967296)::text::xid
         where datname = current_database()`,
        [age],
      );
    };
    const found = async (): Promise<[string, string, unknown][]> => {
      await check(client);
      const findings = await open(client, 'integrity.transaction_id_age');
      return findings.map(({ object_name, severity, detail }) => [object_name, severity, detail['counter']]);
    };
    await client.query('create table innocent (a int)');
    t.deepEqual(await found(), []);
    await setAge(1_070_000_000);
    t.deepEqual(await found(), [], '49.8 %');
    await setAge(1_300_000_000);
    t.deepEqual(await found(), [['shop', 'warning', counter]]);
    await setAge(1_650_000_000);
    t.deepEqual(await found(), [['shop', 'critical', counter]]);

    const [finding] = await open(client, 'integrity.transaction_id_age');
    t.regex(finding!.remedy!, /^vacuum \(freeze/);
    await client.query(finding!.remedy!);
    t.deepEqual(await found(), []);
  });
}
