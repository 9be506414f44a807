import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Layout } from './layout.ts';

export type StopMode = 'smart' | 'fast' | 'immediate';

/** How PostgreSQL names its three kinds of shutdown. */
const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

export interface ServerState {
  pid: number;
  port: number;
  ready: boolean;
}

/**
 * The running server of a directory, from its own postmaster.pid. A file left over by a crash, its number perhaps
 * taken by another process since, is told apart by the working folder: a postmaster's is its data directory.
 */
export function serverState(layout: Layout): ServerState | null {
  try {
    const lines = readFileSync(join(layout.data, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    if (!runsIn(pid, layout.data)) return null;
    return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
  } catch {
    return null;
  }
}

function runsIn(pid: number, directory: string): boolean {
  return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory);
}

/** A stale file with a reused number would keep the server from starting; it checks its shared memory itself. */
export function removeStaleLock(layout: Layout): void {
  if (serverState(layout) === null) rmSync(join(layout.data, 'postmaster.pid'), { force: true });
}

/** Stops the server and waits until it is gone; after the time limit it is told to stop at once. */
export async function stopServer(layout: Layout, mode: StopMode, seconds = 20): Promise<void> {
  for (const attempt of [mode, 'immediate'] as const) {
    const state = serverState(layout);
    if (state === null) return;
    signal(state.pid, stopSignals[attempt]);
    const deadline = Date.now() + seconds * 1000;
    while (serverState(layout) !== null && Date.now() < deadline) await sleep(20);
  }
  const state = serverState(layout);
  if (state !== null)
    throw new Error(`the server in ${layout.directory} (process ${state.pid}) does not stop`);
}

/** The same for the end of a process, where nothing asynchronous runs any more. */
export function stopServerNow(layout: Layout): void {
  const state = serverState(layout);
  if (state === null) return;
  signal(state.pid, stopSignals.immediate);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < 8000 && serverState(layout) !== null; waited += 20) {
    Atomics.wait(pause, 0, 0, 20);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
