/** The worker: does the queued actions of one or several databases, until it is told to stop. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { readManifest } from './manifest.ts';
import { Station } from './station.ts';

export interface WorkerOptions {
  /** Databases; an undefined one is what the environment says. */
  urls: readonly (string | undefined)[];
  /** Actions under way at a time in one database. */
  concurrency?: number;
  /** Stops the worker: no new action begins, and those under way have `stopSeconds` to end. */
  signal: AbortSignal;
  stopSeconds?: number;
  log?: (line: string) => void;
}

const longestPauseMs = 30_000;

/**
 * Resolves when the signal has fired and all is left in order. A database that can't be reached is tried again for
 * as long as it takes. Any number of workers share the work of a database.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { version } = readManifest();
  await Promise.all(options.urls.map((url) => serve(url, version, options)));
}

async function serve(url: string | undefined, version: string, options: WorkerOptions): Promise<void> {
  const { signal, concurrency = 2, stopSeconds = 30, log = () => undefined } = options;
  let pauseMs = 1000;
  while (!signal.aborted) {
    const station = new Station({ url, workerId: randomUUID(), version, concurrency, stopSeconds, log });
    const began = performance.now();
    try {
      await station.run(signal);
    } catch (error) {
      log(`${error instanceof Error ? error.message : String(error)}; trying again in ${pauseMs / 1000} s`);
    }
    if (performance.now() - began > longestPauseMs) pauseMs = 1000;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
