/** One worker, several databases. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { databasesWithMaint, isGone } from '../../src/worker/databases.ts';
import { install } from '../../src/worker/install.ts';
import { uninstall } from '../../src/worker/uninstall.ts';
import { runWorker } from '../../src/worker/worker.ts';
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
  options: { urls: string[]; allDatabases?: boolean },
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
    await waitForRow(database, `select from maint.run_log where status = 'success'`);
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
    return all.map(({ name }) => name);
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
  t.like(found[0], { owner: 'postgres', mayAct: true });
  await uninstall(empty.url);
  t.true(await isGone(empty.url));
  const gone = new URL(empty.url);
  gone.pathname = '/no_such_database';
  t.true(await isGone(gone.href));
  gone.port = '1';
  t.false(await isGone(gone.href), 'a server that does not answer says nothing');
});

test('all databases: served where pg-maint is; let go in one line when it is removed or the database dropped', async (t) => {
  const role = await makeRole(t);
  const kept = await createDatabase(t);
  const dropped = await createDatabase(t);
  for (const database of [kept, dropped]) {
    // Its owner, so that its worker may act.
    await database.query(`grant create on database ${pg.escapeIdentifier(database.name)} to ${role}`);
    const owned = new URL(database.url);
    owned.username = role;
    await install(owned.href);
    // A run that is cut off would be told of, and rightly.
    await database.query('select maint.unschedule()');
    await database.query(`select maint.configure('features.pattern_learning.enabled', 'false')`);
  }
  const server = new URL(kept.url);
  server.username = role;
  const { log } = worker(t, { urls: [server.href], allDatabases: true });
  for (const database of [kept, dropped]) await waitForRow(database, alive);
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
  for (const line of left) t.regex(line, /: left alone, as this role is no member of /);
  await kept.query(`drop database ${pg.escapeIdentifier(dropped.name)} with (force)`);
  await gone(dropped);
});
