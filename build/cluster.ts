import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asAccount, canReach, giveTo, serverAccount, type Account } from './cluster/account.ts';
import { endWithProcess, forget, newEphemeralDirectory, removeLeftovers } from './cluster/ephemeral.ts';
import { createLanguage, placeModule } from './cluster/language.ts';
import {
  claimDirectory,
  layoutOf,
  readMarker,
  removeFiles,
  writeMarker,
  type Layout,
  type Marker,
} from './cluster/layout.ts';
import { removeStaleLock, serverState, stopServer, type StopMode } from './cluster/server-process.ts';
import { initialize, writeSettings } from './cluster/settings.ts';
import { processIdentity, withLock } from './lock.ts';
import { findPostgres, type PostgresInstall } from './postgres.ts';

export interface ClusterOptions {
  /** Where the cluster lives; an ephemeral one gets a new folder of its own when it is left out. */
  directory?: string;
  /** A free one is chosen when it is left out. */
  port?: number;
  /** Settings of the server over those of settings.ts. */
  settings?: Record<string, string>;
  /** Ends with this process, however that ends; its data is removed. */
  ephemeral?: boolean;
  /** Another PostgreSQL than this machine's newest. It gets no maint_v8: binaries alone have no headers to build it. */
  postgres?: PostgresInstall;
}

export interface Cluster {
  /** Connects as the superuser to the database postgres. */
  url: string;
  port: number;
  directory: string;
  superuser: string;
  logFile: string;
  /** Stops the server; an ephemeral cluster's data is removed with it. */
  stop(mode?: StopMode): Promise<void>;
}

/** Starts the throw-away PostgreSQL of a directory, making it first where needed; one that runs is left running. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const account = serverAccount();
  const ephemeral = options.ephemeral === true;
  if (ephemeral) await removeLeftovers(account);
  else if (options.directory === undefined) throw new Error('a cluster that stays needs a directory');
  const layout = layoutOf(resolve(options.directory ?? newEphemeralDirectory(account)));
  const postgres = options.postgres ?? (await findPostgres({ headers: false }));
  if (postgres === null) throw new Error('no PostgreSQL on this machine: run "npm run build" to set it up');
  requireReachable(layout, account);
  const madeDirectory = mkdirSync(layout.directory, { recursive: true, mode: 0o755 }) !== undefined;
  return await withLock(layout.lock, async () => {
    const marker = prepare(layout, postgres, ephemeral, madeDirectory);
    if (ephemeral) endWithProcess(layout);
    const running = serverState(layout);
    if (running !== null) {
      if (options.port !== undefined && options.port !== running.port) {
        throw new Error(`the cluster in ${layout.directory} already runs, on port ${running.port}`);
      }
      await waitUntilReady(layout, () => false);
      if (!options.postgres) await placeModule(layout, postgres);
    } else {
      await start(layout, marker, postgres, account, options);
    }
    return clusterOf(layout, ephemeral);
  });
}

/** The running cluster of a directory, or null. */
export function runningCluster(directory: string): Cluster | null {
  const layout = layoutOf(resolve(directory));
  return readMarker(layout) !== null && serverState(layout) !== null ? clusterOf(layout, false) : null;
}

/** Stops the cluster of a directory and removes its data. Any folder that startCluster did not make is refused. */
export async function stopCluster(directory: string): Promise<void> {
  const layout = layoutOf(resolve(directory));
  const marker = readMarker(layout);
  if (marker === null)
    throw new Error(`${layout.directory} is no cluster made by pg-maint; nothing was touched`);
  await withLock(layout.lock, async () => {
    await stopServer(layout, 'fast');
    removeFiles(layout, marker);
  });
  forget(layout);
}

function clusterOf(layout: Layout, ephemeral: boolean): Cluster {
  const port = serverState(layout)?.port ?? 0;
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    port,
    directory: layout.directory,
    superuser: 'postgres',
    logFile: layout.log,
    stop: async (mode = 'fast') => {
      await stopServer(layout, mode);
      const marker = readMarker(layout);
      if (ephemeral && marker !== null) removeFiles(layout, { ...marker, madeDirectory: true });
      if (ephemeral) forget(layout);
    },
  };
}

function requireReachable(layout: Layout, account: Account | null): void {
  let parent = layout.directory;
  while (!existsSync(parent)) parent = dirname(parent);
  if (parent !== layout.directory || readMarker(layout) === null) parent = realpathSync(parent);
  // mkdtemp makes private folders; ours is opened below, so only what lies above it counts.
  const above = parent === layout.directory ? dirname(parent) : parent;
  if (!canReach(account, above)) {
    throw new Error(
      `the server runs as ${account?.name ?? ''}, who can't enter ${above}; choose a folder such as /tmp/pg-maint`,
    );
  }
}

function prepare(
  layout: Layout,
  postgres: PostgresInstall,
  ephemeral: boolean,
  madeDirectory: boolean,
): Marker {
  const owner = ephemeral ? processIdentity(process.pid) : null;
  const found = readMarker(layout) ?? claimDirectory(layout, postgres.version, owner);
  // Of two that start it at once, the one that made the folder need not be the one that comes first.
  const marker = { ...found, owner, madeDirectory: found.madeDirectory || madeDirectory };
  if (marker.initialized && marker.version !== postgres.version) {
    throw new Error(
      `${layout.directory} was made by PostgreSQL ${marker.version} and this machine now runs ` +
        `${postgres.version}: remove it with "npm run cluster -- down --dir ${layout.directory}"`,
    );
  }
  chmodSync(layout.directory, 0o755);
  writeMarker(layout, marker);
  return marker;
}

async function start(
  layout: Layout,
  marker: Marker,
  postgres: PostgresInstall,
  account: Account | null,
  options: ClusterOptions,
): Promise<void> {
  for (const directory of [layout.socket, layout.library])
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  giveTo(account, layout.socket);
  const fresh = !marker.initialized;
  if (fresh) {
    rmSync(layout.data, { recursive: true, force: true });
    mkdirSync(layout.data, { mode: 0o700 });
    giveTo(account, layout.data);
    await initialize(layout, postgres, account);
  }
  const module = options.postgres ? null : await placeModule(layout, postgres);
  const port = await launchOnFreePort(layout, postgres, account, options);
  if (fresh && module !== null) await createLanguage(port, module);
  writeMarker(layout, { ...marker, version: postgres.version, port, initialized: true });
}

/** Between choosing a free port and the server's bind another process may take it: then with the next one. */
async function launchOnFreePort(
  layout: Layout,
  postgres: PostgresInstall,
  account: Account | null,
  options: ClusterOptions,
): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    writeSettings(layout, account, port, options.settings ?? {});
    try {
      await launch(layout, postgres, account, options.ephemeral === true);
      return port;
    } catch (error) {
      const collision = error instanceof Error && /could not bind|Address already in use/.test(error.message);
      if (!collision || options.port !== undefined || attempt === 5) throw error;
    }
  }
}

async function launch(
  layout: Layout,
  postgres: PostgresInstall,
  account: Account | null,
  ephemeral: boolean,
): Promise<void> {
  removeStaleLock(layout);
  const log = openSync(layout.log, 'a');
  const logged = readFileSync(layout.log).length;
  const postmaster = [`${postgres.binDirectory}/postgres`, '-D', layout.data];
  const [command, ...words] = asAccount(account, postmaster, { diesWithCaller: ephemeral });
  const child = spawn(command, words, {
    cwd: layout.directory,
    // Ctrl-C in the caller's terminal must reach the caller only, who then stops the server in order.
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
  });
  closeSync(log);
  child.unref();
  let spawnError: Error | undefined;
  child.once('error', (error) => (spawnError = error));
  const ended = (): boolean =>
    spawnError !== undefined || child.exitCode !== null || child.signalCode !== null;
  try {
    await waitUntilReady(layout, ended);
  } catch (error) {
    child.kill('SIGQUIT');
    const output = readFileSync(layout.log).subarray(logged).toString().trim();
    const reason = spawnError ?? error;
    throw new Error(`${reason instanceof Error ? reason.message : String(reason)}\n${output}`, {
      cause: error,
    });
  }
}

async function waitUntilReady(layout: Layout, ended: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (serverState(layout)?.ready !== true) {
    if (ended()) throw new Error(`the server in ${layout.directory} did not start:`);
    if (Date.now() > deadline)
      throw new Error(`the server in ${layout.directory} did not get ready in 60 s:`);
    await sleep(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
