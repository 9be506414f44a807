import { readFileSync, writeFileSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ActionRow } from '../../src/worker/actions/action.ts';
import { freeDisk } from '../../src/worker/free-disk.ts';
import type { FreeDisk } from '../../src/worker/free-disk.ts';
import { checkSafeguards } from '../../src/worker/safeguards/index.ts';
import { actionSettings } from '../../src/worker/worker-config.ts';
import type { Verdict } from '../../src/worker/safeguards/safeguard.ts';
import { ownCluster } from '../cluster/own-cluster.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run, waitForRow } from '../support/maintenance.ts';
import { unprivilegedInstallation } from '../support/sessions.ts';
import { oidOf, startWorker } from '../support/worker.ts';

async function configure(database: TestDatabase, key: string, value: unknown): Promise<void> {
  await database.query('select maint.configure($1, $2)', [
    `operational.safeguards.${key}`,
    JSON.stringify(value),
  ]);
}

/** A table of some pages and an action on its index. */
async function withAction(database: TestDatabase): Promise<ActionRow<'reindex_index'>> {
  await database.query('create table public.t as select g as a from generate_series(1, 10000) g');
  await database.query('create index i on public.t (a)');
  // Other tests keep the server busy.
  await configure(database, 'max_active_backends_per_core', 0);
  await configure(database, 'max_wal_mb_per_second', 0);
  return {
    action_id: 1,
    kind: 'reindex_index',
    target: { schema: 'public', table: 't', index: 'i', oid: await oidOf(database, 'public', 'i') },
    step_number: 7,
    finding_id: null,
    reason: 'test',
    evidence: {},
    attempts: 1,
  };
}

async function check(database: TestDatabase, action: ActionRow): Promise<Verdict> {
  const client = await database.client();
  return await checkSafeguards(client, action, (await actionSettings(client)).safeguards);
}

test('beside the server the file systems of the data and the WAL are looked at', async (t) => {
  const database = await createDatabase(t);
  const [row] = await database.query<{ directory: string }>(
    `select current_setting('data_directory') as directory`,
  );
  const { directory } = row!;
  const found = await freeDisk(await database.client(), 0, 0);
  const { blocks, bsize, bavail } = await statfs(directory);
  t.is(found.reason, null);
  t.true(found.known);
  const [place] = found.places;
  t.is(place!.place, directory);
  t.is(place!.method, 'file_system');
  t.is(place!.total_bytes, blocks * bsize);
  t.true(Math.abs(place!.free_bytes - bavail * bsize) < 0.2 * blocks * bsize);
  const [data, wal] = await Promise.all([stat(directory), stat(join(directory, 'pg_wal'))]);
  const all = found.places.flatMap(({ what }) => what);
  t.deepEqual(all, ['tablespace', 'wal']);
  t.is(found.places.length, data.dev === wal.dev ? 1 : 2, 'one place for one file system');
});

test('an index that would leave too little free is not built; what writes none goes on', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const action = await withAction(database);
  await configure(database, 'min_free_disk_percent', 0);
  t.deepEqual(await check(database, action), { allowed: true });
  await configure(database, 'min_free_disk_percent', 100);
  const verdict = await check(database, action);
  t.true(!verdict.allowed && verdict.safeguard === 'free_disk' && verdict.retryAfterSeconds === 900);
  t.regex(
    verdict.allowed ? '' : verdict.reason,
    /^the disk of \S+ has \d+ (MB|GB) free of \d+ GB; building takes up to \d+ MB, and \d+ GB are to stay free$/,
  );
  const events = await database.query(
    `select safeguard, (detail ->> 'needed_bytes')::float8 > 0 as sized from maint.safeguard_event`,
  );
  t.deepEqual(events, [{ safeguard: 'free_disk', sized: true }]);
  const drop: ActionRow = { ...action, kind: 'drop_index' };
  const analyze: ActionRow = { ...action, kind: 'analyze_table', target: { ...action.target } };
  t.deepEqual(await check(database, drop), { allowed: true });
  t.deepEqual(await check(database, analyze), { allowed: true });
  const table = await oidOf(database, 'public', 't');
  const create: ActionRow<'create_index'> = {
    ...action,
    kind: 'create_index',
    target: { schema: 'public', table: 't', oid: table, index: 'j', statement: '' },
  };
  t.false((await check(database, create)).allowed);
});

test('a configured size is what counts where it leaves less', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const action = await withAction(database);
  await configure(database, 'min_free_disk_percent', 0);
  await configure(database, 'disk_total_gb', 0.001);
  const refused = await check(database, action);
  t.regex(refused.allowed ? '' : refused.reason, /^the disk as configured has 0 MB free of 2 MB/);
  await configure(database, 'disk_total_gb', 1_000_000);
  t.deepEqual(await check(database, action), { allowed: true });
  const [row] = await database.query<{ used: number }>(
    'select sum(pg_database_size(oid))::float8 as used from pg_database',
  );
  const { places } = await freeDisk(await database.client(), 0, 1_000_000);
  const configured = places.find(({ method }) => method === 'configured')!;
  t.true(configured.total_bytes - configured.free_bytes > 0.5 * row!.used, 'the databases are taken as used');
});

test('what is not known holds nobody back unless a setting says so, and has its reason', async (t) => {
  const { database, owner } = await unprivilegedInstallation(t);
  const action = await withAction(database);
  const client = await database.client();
  await client.query(`set role ${owner}`);
  const unknown = await freeDisk(client, 0, 0);
  t.false(unknown.known);
  t.regex(unknown.reason!, /pg_read_all_settings/);
  t.regex((await freeDisk(client, 0, 100)).reason!, /pg_read_all_settings.*; .*pg_monitor/);
  t.deepEqual(await checkSafeguards(client, action, (await actionSettings(client)).safeguards), {
    allowed: true,
  });
  await configure(database, 'require_known_free_disk', true);
  const verdict = await checkSafeguards(client, action, (await actionSettings(client)).safeguards);
  t.regex(verdict.allowed ? '' : verdict.reason, /^free disk is not known: the data directory is told to/);
});

test('a directory of that name that is not proven to be the server’s is not believed', async (t) => {
  const cluster = await ownCluster(t);
  // A connection is proven once.
  const look = async (): Promise<FreeDisk> => await freeDisk(await cluster.connect(), 0, 0);
  t.true((await look()).known);
  const file = join(cluster.data, 'postmaster.pid');
  // Sessions are let in a moment before the server writes its last line there.
  while (!/^ready *$/m.test(readFileSync(file, 'utf8'))) await sleep(20);
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n');
  lines[2] = String(Number(lines[2]) - 3600);
  writeFileSync(file, lines.join('\n'));
  const copy = await look();
  writeFileSync(file, text);
  t.false(copy.known);
  t.regex(copy.reason!, /belongs to a copy of the server/);
  t.true((await look()).known);
});

test('step 15 reports what the worker knows, and that nobody knows without one', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const reported = async (): Promise<{ known: boolean; reason: string | null; places: unknown[] }> => {
    const { cleanup } = await run(database, { only: ['safeguard_metrics'] });
    return (cleanup['safeguard_metrics'] as unknown as { free_disk: Awaited<ReturnType<typeof reported>> })
      .free_disk;
  };
  t.deepEqual(await reported(), { known: false, places: [], reason: 'no worker is alive that has looked' });
  startWorker(t, database);
  await waitForRow(database, 'select from maint.worker where free_disk is not null');
  const { known, places } = await reported();
  t.true(known);
  t.true(places.length > 0);
});
