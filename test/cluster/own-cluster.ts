/** A server of a test's own, for what no other test must notice: it is stopped, damaged, killed or copied. */
import type { RunResult } from '../support/maintenance.ts';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startCluster } from '../../build/cluster.ts';
import type { Cluster } from '../../build/cluster.ts';
import { asAccount, serverAccount } from '../../build/cluster/account.ts';
import { layoutOf } from '../../build/cluster/layout.ts';
import { serverState, stopServer } from '../../build/cluster/server-process.ts';
import { findPostgres } from '../../build/postgres.ts';
import type { PostgresInstall } from '../../build/postgres.ts';
import { run } from '../../build/run.ts';
import { install } from '../../src/worker/install.ts';

export interface OwnCluster {
  directory: string;
  data: string;
  /** The postmaster's process. */
  pid(): number;
  port(): number;
  /** A connection to the database `shop`, where pg-maint is installed. Ends with the test. */
  connect(): Promise<pg.Client>;
  /** Stops the server, keeping its data. */
  stop(): Promise<void>;
  /** Starts it again on the same port, also after a crash. */
  start(): Promise<void>;
}

/** The database of an OwnCluster that tests use. */
const database = 'shop';

/** What a server of a test's own needs of the test; a file whose tests share one has its own. */
interface Owner {
  teardown(cleanUp: () => Promise<void>): void;
}

/** `directory`: where it is to lie, when that matters. */
export async function ownCluster(
  t: Owner,
  more: Record<string, string> = {},
  directory?: string,
): Promise<OwnCluster> {
  // Throw-away servers lose what was committed just before a crash; a crash is what some of these tests are about. The
  // operating system lives on, so nothing needs fsync; but SIGKILL may cut a block in two on its way to the kernel.
  const settings = { synchronous_commit: 'on', full_page_writes: 'on', ...more };
  const clients: pg.Client[] = [];
  const chosen = chosenPostgres();
  let cluster: Cluster = await startCluster({
    ephemeral: true,
    settings,
    ...chosen,
    ...(directory !== undefined && { directory }),
  });
  t.teardown(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
    await cluster.stop('immediate');
  });
  const layout = layoutOf(cluster.directory);
  const own: OwnCluster = {
    directory: cluster.directory,
    data: layout.data,
    pid: () => serverState(layout)!.pid,
    port: () => cluster.port,
    async connect() {
      const client = await connectTo(urlOf(cluster.port, database));
      clients.push(client);
      return client;
    },
    async stop() {
      await Promise.allSettled(clients.splice(0).map((client) => client.end()));
      await stopServer(layout, 'fast');
    },
    async start() {
      cluster = await startCluster({
        ephemeral: true,
        directory: layout.directory,
        port: cluster.port,
        settings,
        ...chosen,
      });
    },
  };
  const administrator = await connectTo(cluster.url);
  await administrator.query(`create database ${database}`);
  await administrator.end();
  await install(urlOf(cluster.port, database));
  return own;
}

/** For startCluster: the server that the matrix of versions names; otherwise this machine's. */
export function chosenPostgres(): { postgres?: PostgresInstall } {
  const named = process.env['MAINT_TEST_POSTGRES'];
  return named === undefined ? {} : { postgres: JSON.parse(named) as PostgresInstall };
}

export function urlOf(port: number, name = database): string {
  return `postgresql://postgres@127.0.0.1:${port}/${name}`;
}

/** A connection whose breaking is what a test may be about. */
export async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * kill -9 of one backend. The server has begun its recovery when this ends: before that it still takes connections,
 * to cut them a moment later.
 */
export async function crash(cluster: OwnCluster, pid: number): Promise<void> {
  const witness = await cluster.connect();
  const cut = new Promise<void>((settle) => {
    witness.once('end', settle);
  });
  process.kill(pid, 'SIGKILL');
  await cut;
}

/** Runs one of PostgreSQL's programs as the account that the server runs under. */
export async function serverProgram(name: string, words: readonly string[]): Promise<void> {
  const [command, ...rest] = asAccount(serverAccount(), [await pathOf(name), ...words], {
    diesWithCaller: true,
  });
  await run(command, rest, { cwd: '/' });
}

export async function pathOf(program: string): Promise<string> {
  const postgres = await findPostgres({ headers: false });
  return join(postgres!.binDirectory, program);
}

/** Tries until it gives something; throws the last error, or that there was nothing, when the time is up. */
export async function eventually<Value>(
  look: () => Promise<Value | null>,
  pauseMs = 50,
  timeoutMs = 20_000,
): Promise<Value> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const value = await look();
      if (value !== null) return value;
      if (Date.now() > deadline) throw new Error(`nothing within ${timeoutMs} ms`);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(pauseMs);
  }
}

export async function runMaintenance(client: pg.Client, args = 'force => true'): Promise<RunResult> {
  const { rows } = await client.query<{ result: RunResult }>(`select maint.run(${args}) as result`);
  return rows[0]!.result;
}
