/** The real `pg-maint worker`, started by the server: it does what is queued, and ends with the server. */
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { canReach, serverAccount } from '../../build/cluster/account.ts';
import { outDirectory, repository } from '../../build/paths.ts';
import { run } from '../../build/run.ts';
import { install } from '../../src/worker/install.ts';
import { runScript, temporaryFolder } from '../support/command.ts';
import type { TestDatabase } from '../support/database.ts';
import { ended, oidOf, queueAction } from '../support/worker.ts';
import { connectTo, urlOf } from './own-cluster.ts';
import { launcherCluster, processesWith, waitForLog, waitForProcesses } from './launcher-cluster.ts';
import type { LauncherCluster } from './launcher-cluster.ts';

const program = 'worker/pg-maint.js';

/** The command for the worker, as `npm run build` made it, where the server's account can read it. */
async function workerCommand(t: ExecutionContext): Promise<string> {
  const reachable = [outDirectory, dirname(process.execPath)].every((folder) =>
    canReach(serverAccount(), folder),
  );
  if (reachable) return `${process.execPath} ${join(outDirectory, program)} worker`;
  // A clone below /root: what npm install --global would put into a public place.
  const folder = temporaryFolder(t);
  const { stdout } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: repository });
  for (const path of stdout.trim().split('\n').slice(1)) {
    cpSync(path, join(folder, relative(repository, path)), { recursive: true });
  }
  for (const part of ['worker', 'sql']) {
    cpSync(join(outDirectory, part), join(folder, 'build/out', part), { recursive: true });
  }
  mkdirSync(join(folder, 'bin'));
  cpSync(process.execPath, join(folder, 'bin/node'));
  return `${join(folder, 'bin/node')} ${join(folder, 'build/out', program)} worker`;
}

/** The database `shop` with pg-maint, in the form that the helpers for workers take. */
async function shopOf(t: ExecutionContext, cluster: LauncherCluster): Promise<TestDatabase> {
  const administrator = await cluster.connect();
  await administrator.query('create database shop');
  const url = urlOf(cluster.port(), 'shop');
  await install(url);
  const shared = await connectTo(url);
  t.teardown(() => shared.end());
  await shared.query(`select maint.configure('operational.safeguards.max_active_backends_per_core', '0'),
    maint.configure('operational.safeguards.max_wal_mb_per_second', '0');
    create table public.orders as select 1 as n`);
  return {
    url,
    name: 'shop',
    client: () => Promise.resolve(shared),
    async query<Row extends object>(text: string, params: unknown[] = []) {
      return (await shared.query<Row & Record<string, unknown>>(text, params)).rows;
    },
  };
}

test.serial(
  'what is queued is done, and after kill -9 of the worker again; then all end with the server',
  async (t) => {
    const command = await workerCommand(t);
    const cluster = await launcherCluster(t, { 'maint_launcher.enabled': 'off' });
    const shop = await shopOf(t, cluster);
    await cluster.reload({
      'maint_launcher.command': command,
      'maint_launcher.databases': 'shop',
      'maint_launcher.enabled': 'on',
    });
    await waitForLog(cluster, /LOG: {2}maint launcher \[\d+\]: pg-maint worker: started, one database\n/);
    const analyze = async (): Promise<void> => {
      const oid = await oidOf(shop, 'public', 'orders');
      const id = await queueAction(shop, 'analyze_table', { schema: 'public', table: 'orders', oid });
      t.like(await ended(shop, id), { status: 'succeeded' });
    };
    await analyze();
    const marker = `${command} --database postgresql:///shop`;
    const [worker] = await waitForProcesses(marker, 1);
    process.kill(worker!.pid, 'SIGKILL');
    await waitForLog(cluster, /was ended by signal 9: Killed/);
    await analyze();
    await cluster.reload({ 'maint_launcher.databases': '*' });
    await waitForLog(cluster, /pg-maint worker: started, all databases that have pg-maint\n/);
    await analyze();

    // Smart, since the worker's own connections are what it would wait for.
    await shop.client().then((client) => client.end());
    await cluster.stop('smart');
    t.deepEqual(processesWith(command), []);
    t.regex(cluster.log(), /pg-maint worker: stopped\n[\s\S]*maint launcher: stopped/);
    t.notRegex(cluster.log(), /immediate shutdown|had not stopped in time/);
  },
);

test.serial(
  'the launcher gives the worker more time to stop than the worker gives its actions',
  async (t) => {
    const cluster = await launcherCluster(t, { 'maint_launcher.enabled': 'off' });
    const { rows } = await (
      await cluster.connect()
    ).query<{ seconds: number }>(
      `select boot_val::int as seconds from pg_settings where name = 'maint_launcher.stop_timeout'`,
    );
    const help = (await runScript('src/worker/cli.ts', ['help', 'worker'])).stdout.replaceAll(/\s+/g, ' ');
    const stopAfter = Number(/--stop-after <seconds> .*?\(default: (\d+)\)/.exec(help)?.[1]);
    t.true(rows[0]!.seconds > stopAfter, `${rows[0]!.seconds} and ${stopAfter}`);
  },
);
