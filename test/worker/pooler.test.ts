/** PgBouncer between pg-maint and the server: a pool in session mode serves, one in transaction mode is refused. */
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { asAccount, giveTo, serverAccount } from '../../build/cluster/account.ts';
import { pgbouncer } from '../../build/set-up/optional.ts';
import { connect, withConnection } from '../../src/worker/connection.ts';
import { install } from '../../src/worker/install.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { runScript, temporaryFolder } from '../support/command.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import { ended, oidOf, queueAction } from '../support/worker.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The URL of the database through a pool of one session in that mode; null where PgBouncer is missing. */
async function pooled(
  t: ExecutionContext,
  database: TestDatabase,
  mode: 'session' | 'transaction',
  size: number,
): Promise<string | null> {
  if (!existsSync(pgbouncer)) {
    t.log('not tried: PgBouncer is not installed (apt-get install pgbouncer)');
    t.pass();
    return null;
  }
  const folder = temporaryFolder(t);
  const port = await freePort();
  const target = new URL(database.url);
  const file = join(folder, 'pgbouncer.ini');
  const users = join(folder, 'users.txt');
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    file,
    `[databases]
${database.name} = host=127.0.0.1 port=${target.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${size}
logfile =
pidfile =
`,
  );
  const account = serverAccount();
  for (const path of [folder, file, users]) giveTo(account, path);
  const [command, ...words] = asAccount(account, [pgbouncer, '-q', file], { diesWithCaller: true });
  const child = spawn(command, words, { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const url = `postgresql://postgres@127.0.0.1:${port}/${database.name}`;
  for (let attempt = 0; ; attempt += 1) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return url;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}

/** What a client of the pool would find. */
async function leftInPool(url: string): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(
      `select current_setting('role') as role, current_setting('search_path') as search_path,
         current_setting('statement_timeout') as statement_timeout,
         (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks`,
    );
    return rows[0]!;
  } finally {
    await client.end();
  }
}

test('a pool that gives each transaction another session is refused, and nothing is left in it', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const url = await pooled(t, database, 'transaction', 3);
  if (url === null) return;
  const before = await leftInPool(url);
  for (const words of [['status'], ['install'], ['run', '--force'], ['findings']]) {
    const { code, stderr } = await runScript('src/worker/cli.ts', [...words, '-d', url], {
      env: { ...process.env, DATABASE_URL: url },
    });
    t.is(code, 2, words.join(' '));
    t.regex(stderr, /a pooler that gives each transaction another session/, words.join(' '));
    t.regex(stderr, /pool_mode = session/, words.join(' '));
  }
  const stop = new AbortController();
  const log: string[] = [];
  const worker = runWorker({ urls: [url], signal: stop.signal, log: (line) => log.push(line) });
  while (!log.some((line) => line.includes('gives each transaction another session'))) await sleep(20);
  stop.abort();
  await worker;
  t.deepEqual(await leftInPool(url), before);
  t.deepEqual(await database.query('select from maint.worker'), []);
});

test('a pool of a single session that another client has cannot be told from one that shares it: refused', async (t) => {
  const database = await createDatabase(t, { template: 'installed' });
  const url = await pooled(t, database, 'session', 1);
  if (url === null) return;
  const { message } = await t.throwsAsync(connect(url));
  t.regex(message, /goes through a pooler, and it gave no second one/);
});

test('a pool in session mode installs, and a worker acts through it and leaves it clean', async (t) => {
  const database = await createDatabase(t);
  const url = await pooled(t, database, 'session', 12);
  if (url === null) return;
  const before = await leftInPool(url);
  await install(url);
  await database.query(
    'create table public.t (a int); create index t_a on public.t (a); select maint.unschedule()',
  );
  const stop = new AbortController();
  const worker = runWorker({ urls: [url], signal: stop.signal });
  t.teardown(async () => {
    stop.abort();
    await worker;
  });
  await waitForRow(database, 'select from maint.worker');
  const id = await queueAction(database, 'analyze_table', {
    schema: 'public',
    table: 't',
    oid: await oidOf(database, 'public', 't'),
  });
  t.is((await ended(database, id)).status, 'succeeded');
  stop.abort();
  await worker;
  t.deepEqual(await leftInPool(url), before);
});

test('a connection to the server itself opens no second one', async (t) => {
  const database = await createDatabase(t);
  const sessions = async (): Promise<number> => {
    const [row] = await database.query<{ sessions: number }>(
      'select sessions::int from pg_stat_database where datname = current_database()',
    );
    return row!.sessions;
  };
  // A session is counted by its end at the latest, and a second one would end first.
  await withConnection(database.url, () => Promise.resolve());
  await waitForRow(
    database,
    'select from pg_stat_database where datname = current_database() and sessions > 0',
  );
  await sleep(1500);
  const before = await sessions();
  await withConnection(database.url, () => Promise.resolve());
  while ((await sessions()) === before) await sleep(20);
  t.is(await sessions(), before + 1);
});
