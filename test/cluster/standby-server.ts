/** A real standby of a test's own server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { asAccount, giveTo, serverAccount } from '../../build/cluster/account.ts';
import { connectTo, eventually, pathOf, serverProgram, urlOf } from './own-cluster.ts';

/**
 * A copy of the primary that replays what it writes, on the next free port above it. Returns a connection to one of its
 * databases.
 */
export async function startStandby(
  t: ExecutionContext,
  primary: { directory: string; port(): number },
  database = 'shop',
): Promise<pg.Client> {
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
      const connected = await connectTo(urlOf(port, database));
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
