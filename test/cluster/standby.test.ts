/** pg-maint on a real standby: it was installed on the primary, and here it can't write. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { asAccount, giveTo, serverAccount } from '../../build/cluster/account.ts';
import { runOverConnection } from '../../src/worker/host.ts';
import {
  connectTo,
  eventually,
  ownCluster,
  pathOf,
  runMaintenance,
  serverProgram,
  urlOf,
} from './own-cluster.ts';
import type { OwnCluster } from './own-cluster.ts';

/** A copy of the primary that replays what it writes, on the next free port above it. */
async function startStandby(t: ExecutionContext, primary: OwnCluster): Promise<pg.Client> {
  const data = join(primary.directory, 'standby');
  const account = serverAccount();
  mkdirSync(data, { mode: 0o700 });
  giveTo(account, data);
  const from = ['--host=127.0.0.1', `--port=${primary.port()}`, '--username=postgres'];
  await serverProgram('pg_basebackup', [
    ...from,
    `--pgdata=${data}`,
    '--write-recovery-conf',
    '--checkpoint=fast',
  ]);
  for (let port = primary.port() + 1; ; port += 1) {
    const [command, ...words] = asAccount(
      account,
      [await pathOf('postgres'), '-D', data, '-c', `port=${port}`, '-c', 'unix_socket_directories='],
      { diesWithCaller: true },
    );
    const server = spawn(command, words, { cwd: primary.directory, stdio: 'ignore' });
    const ended = once(server, 'exit');
    const client = await eventually(async () => {
      if (server.exitCode !== null) return 'ended';
      const connected = await connectTo(urlOf(port));
      const { rows } = await connected.query<{ data_directory: string }>('show data_directory');
      if (rows[0]!.data_directory === data) return connected;
      // Somebody else's server has this port; ours is about to find out.
      await connected.end();
      return null;
    });
    if (client === 'ended') continue;
    t.teardown(async () => {
      await client.end();
      server.kill('SIGQUIT');
      await ended;
      rmSync(data, { recursive: true, force: true });
    });
    return client;
  }
}

test('on a standby every run is skipped and says why; after a promotion it runs', async (t) => {
  const primary = await ownCluster(t);
  const onPrimary = await primary.connect();
  t.is((await runMaintenance(onPrimary)).status, 'success');
  const standby = await startStandby(t, primary);
  t.deepEqual((await standby.query('select pg_is_in_recovery() as standby')).rows, [{ standby: true }]);

  for (const args of [
    '',
    'force => true',
    'dry_run => true',
    `force => true, "only" => '{integrity_check}'`,
  ]) {
    const { status, reason } = await runMaintenance(standby, args);
    t.deepEqual([status, reason], ['skipped', 'standby'], args);
  }
  const fromNode = await runOverConnection(standby, { force: true });
  t.deepEqual([fromNode['status'], fromNode['reason']], ['skipped', 'standby']);
  t.is((await standby.query('select from maint.runs')).rowCount, 1, "the primary's run can be read here");
  await t.notThrowsAsync(standby.query('select maint.status()'));

  await standby.query('select pg_promote(true)');
  t.is((await runMaintenance(standby)).status, 'success');
  t.is((await runMaintenance(onPrimary)).status, 'success');
});
