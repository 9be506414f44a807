/** A server that preloads maint_v8, and with it the launcher, running a command of the test's. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { serverAccount } from '../../build/cluster/account.ts';
import { newEphemeralDirectory } from '../../build/cluster/ephemeral.ts';
import { layoutOf } from '../../build/cluster/layout.ts';
import { serverState, stopServer } from '../../build/cluster/server-process.ts';
import type { StopMode } from '../../build/cluster/server-process.ts';
import { startCluster } from '../../build/cluster.ts';
import { temporaryFolder } from '../support/command.ts';
import { connectTo, eventually, urlOf } from './own-cluster.ts';

export interface LauncherCluster {
  directory: string;
  /** The postmaster's process. */
  pid(): number;
  port(): number;
  /** A connection to the database `postgres`. Ends with the test. */
  connect(): Promise<pg.Client>;
  /** Changes settings and has the server read them. */
  reload(settings: Record<string, string>): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
  start(): Promise<void>;
  /** What the server has logged. */
  log(): string;
}

/** `preload` are further libraries, by their paths. */
export async function launcherCluster(
  t: ExecutionContext,
  more: Record<string, string>,
  preload: { language: boolean; more?: readonly string[] } = { language: true },
): Promise<LauncherCluster> {
  const directory = newEphemeralDirectory(serverAccount());
  const layout = layoutOf(directory);
  const libraries = [
    ...(preload.language ? [join(layout.library, 'maint_v8.so')] : []),
    ...(preload.more ?? []),
  ];
  const settings = {
    shared_preload_libraries: libraries.join(', '),
    // The server's account need not have the name of its superuser.
    'maint_launcher.role': 'postgres',
    // Nothing is added to the command's words.
    'maint_launcher.databases': '',
    ...more,
  };
  const clients: pg.Client[] = [];
  let cluster = await startCluster({ ephemeral: true, directory, settings });
  t.teardown(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
    await cluster.stop('immediate');
  });
  const connect = async (): Promise<pg.Client> => {
    const client = await connectTo(urlOf(cluster.port, 'postgres'));
    clients.push(client);
    return client;
  };
  return {
    directory,
    pid: () => serverState(layout)!.pid,
    port: () => cluster.port,
    connect,
    async reload(changed) {
      const client = await connect();
      for (const [name, value] of Object.entries(changed)) {
        await client.query(`alter system set ${name} = ${client.escapeLiteral(value)}`);
      }
      await client.query('select pg_reload_conf()');
      await client.end();
    },
    async stop(mode = 'fast') {
      await Promise.allSettled(clients.splice(0).map((client) => client.end()));
      await stopServer(layout, mode);
    },
    async start() {
      cluster = await startCluster({ ephemeral: true, directory, settings });
    },
    log: () => readFileSync(cluster.logFile, 'utf8'),
  };
}

/** A script for sh in a folder whose name only its processes bear; `path` is a command for the launcher. */
export function script(t: ExecutionContext, text: string): { path: string; folder: string } {
  const folder = temporaryFolder(t);
  const path = join(folder, 'command.sh');
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return { path, folder };
}

export interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** The processes in whose command line a text stands. */
export function processesWith(text: string): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z' || !command.includes(text) || Number(name) === process.pid) return [];
        return [{ pid: Number(name), parent: Number(parent), command }];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

/**
 * Waits until exactly so many processes have a text in their command line: what a shell has just forked has its words
 * until it becomes the program that was asked for.
 */
export async function waitForProcesses(text: string, count: number): Promise<Process[]> {
  return await eventually(() => {
    const found = processesWith(text);
    return Promise.resolve(found.length === count ? found : null);
  });
}

/** Waits until the log has, after `from`, what the pattern says. */
export async function waitForLog(
  cluster: LauncherCluster,
  pattern: RegExp,
  from = 0,
): Promise<RegExpExecArray> {
  return await eventually(() => Promise.resolve(pattern.exec(cluster.log().slice(from))));
}

export async function launcherPid(client: pg.Client): Promise<number> {
  return await eventually(async () => {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where backend_type = 'maint launcher'`,
    );
    return rows[0]?.pid ?? null;
  });
}
