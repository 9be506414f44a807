/** One worker, several databases. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { databasesWithMaint, isGone } from '../../src/worker/databases.ts';
import { install } from '../../src/worker/install.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { startMetricsServer } from '../../src/worker/metrics-server.ts';
import { runWorker } from '../../src/worker/worker.ts';
import type { WorkerOptions } from '../../src/worker/worker.ts';
import { createDatabase, testUrl } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';

const alive = `select from maint.worker where last_seen > now() - interval '90 s'`;

/** A role of its own, so that the databases of other tests on the same server are left alone. Before its databases. */
async function makeRole(t: ExecutionContext): Promise<string> {
  const role = `fleet_${randomBytes(6).toString('hex')}`;
  const asAdministrator = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: testUrl() });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await asAdministrator(`create role ${role} login`);
  t.teardown(() => asAdministrator(`drop role ${role}`));
  return role;
}

function worker(
  t: ExecutionContext,
  options: Pick<WorkerOptions, 'urls' | 'allDatabases' | 'served' | 'lookEveryMs'>,
): { log: string[]; stop(): Promise<void> } {
  const controller = new AbortController();
  const log: string[] = [];
  const ended = runWorker({ ...options, signal: controller.signal, log: (line) => log.push(line) });
  const stop = async (): Promise<void> => {
    controller.abort();
    await ended;
  };
  t.teardown(stop);
  return { log, stop };
}

test('databases that are named are served, each by itself, and named in the log', async (t) => {
  const [first, second] = [
    await createDatabase(t, { template: 'installed' }),
    await createDatabase(t, { template: 'installed' }),
  ];
  const none = await createDatabase(t);
  const { log, stop } = worker(t, { urls: [first.url, none.url, second.url] });
  for (const database of [first, second]) {
    await waitForRow(database, alive);
    await waitForRow(database, `select from maint.run_log where status in ('success', 'partial')`);
  }
  // That one has no pg-maint holds up no other; it is waited for.
  t.true(
    log.some((line) => line.startsWith(`${none.name}: pg-maint is not installed in this database`)),
    log.join('\n'),
  );
  await install(none.url);
  await waitForRow(none, alive);
  await stop();
  for (const database of [first, second, none])
    t.deepEqual(await database.query('select from maint.worker'), [], 'it said goodbye');
});

test('which databases of a server have pg-maint; those that are known are not asked', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const empty = await createDatabase(t);
  const names = async (known: string[]): Promise<string[]> => {
    // Of the other tests' databases as few as can be.
    const others = await database.query<{ datname: string }>(
      'select datname from pg_database where datname <> all ($1)',
      [[database.name, empty.name]],
    );
    const all = await databasesWithMaint(database.url, [...known, ...others.map(({ datname }) => datname)]);
    // Another one may have come meanwhile.
    return all.map(({ name }) => name).filter((name) => [database.name, empty.name].includes(name));
  };
  t.deepEqual(await names([]), [database.name]);
  t.deepEqual(await names([database.name]), []);
  await install(empty.url);
  t.deepEqual(await names([database.name]), [empty.name]);
  t.false(await isGone(empty.url));
  const found = await databasesWithMaint(
    empty.url,
    (
      await database.query<{ datname: string }>('select datname from pg_database where datname <> $1', [
        empty.name,
      ])
    ).map(({ datname }) => datname),
  );
  t.like(
    found.find(({ name }) => name === empty.name),
    { owner: 'maint_owner', mayAct: true, distrust: null },
  );
  await uninstall(empty.url);
  t.true(await isGone(empty.url));
  const gone = new URL(empty.url);
  gone.pathname = '/no_such_database';
  t.true(await isGone(gone.href));
  gone.port = '1';
  t.false(await isGone(gone.href), 'a server that does not answer says nothing');
});

/** Its owner, so that its worker may act. */
async function installAs(role: string, database: TestDatabase): Promise<void> {
  await database.query(`grant create on database ${pg.escapeIdentifier(database.name)} to ${role}`);
  const owned = new URL(database.url);
  owned.username = role;
  await install(owned.href);
  // A run that is cut off would be told of, and rightly.
  await database.query('select maint.unschedule()');
  await database.query(`select maint.configure('features.pattern_learning.enabled', 'false')`);
}

test('all databases: metrics and readiness are about those that are served now, also those that came later', async (t) => {
  const role = await makeRole(t);
  const [first, later] = [await createDatabase(t), await createDatabase(t)];
  const served = new Set<string | undefined>();
  const metrics = await startMetricsServer({
    targets: served,
    port: 0,
    host: '127.0.0.1',
    log: () => undefined,
  });
  t.teardown(() => metrics.close());
  const ask = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${metrics.port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  /** Databases of this test that are told of, with whether they could be asked. */
  const told = async (): Promise<string[]> => {
    const { text } = await ask('/metrics');
    const ups = [...text.matchAll(/^pg_maint_up{.*database="([^"]*)"} (\d)$/gm)].map(
      ([, name, up]) => `${name ?? ''} ${up ?? ''}`,
    );
    return ups.sort();
  };
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + 30_000;
    while (!(await holds())) {
      if (Date.now() > deadline)
        throw new Error(`not within 30 s: ${what}; told: ${(await told()).join(', ')}`);
      await sleep(100);
    }
  };
  t.deepEqual(await ask('/readyz'), { status: 503, text: 'no database with pg-maint was found yet\n' });
  await installAs(role, first);
  const server = new URL(first.url);
  server.username = role;
  worker(t, { urls: [server.href], allDatabases: true, served, lookEveryMs: 200 });
  await until('ready', async () => (await ask('/readyz')).status === 200);
  t.deepEqual(await told(), [`${first.name} 1`]);
  await installAs(role, later);
  const both = [`${first.name} 1`, `${later.name} 1`].sort();
  await until('both', async () => (await told()).join() === both.join());
  await until('ready for both', async () => (await ask('/readyz')).status === 200);
  await waitForRow(later, alive);
  await uninstall(later.url);
  await until('one again', async () => (await told()).join() === `${first.name} 1`);
  t.is((await ask('/readyz')).status, 200);
});

test('all databases: served where pg-maint is; let go in one line when it is removed or the database dropped', async (t) => {
  const role = await makeRole(t);
  const kept = await createDatabase(t);
  const dropped = await createDatabase(t);
  for (const database of [kept, dropped]) await installAs(role, database);
  const server = new URL(kept.url);
  server.username = role;
  const { log } = worker(t, { urls: [server.href], allDatabases: true });
  for (const database of [kept, dropped]) {
    await waitForRow(database, alive);
    // A chore that the removal meets half-way may fail, and is told of, and rightly.
    await waitForRow(
      database,
      `select from maint.chore where name = 'forget old' and finished_at is not null`,
    );
  }
  const about = ({ name }: TestDatabase): string[] => log.filter((line) => line.startsWith(`${name}: `));
  const gone = async (database: TestDatabase): Promise<void> => {
    const deadline = Date.now() + 20_000;
    while (!about(database).includes(`${database.name}: gone`) && Date.now() < deadline) await sleep(50);
    t.deepEqual(about(database), [`${database.name}: found`, `${database.name}: gone`]);
  };
  await uninstall(kept.url);
  await gone(kept);
  // Those of the other tests belong to another role.
  const left = log.filter((line) => !line.startsWith(kept.name) && !line.startsWith(dropped.name));
  for (const line of left) t.regex(line, /: left out: this role is no member of /);
  await kept.query(`drop database ${pg.escapeIdentifier(dropped.name)} with (force)`);
  await gone(dropped);
});
