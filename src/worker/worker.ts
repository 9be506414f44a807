/** The worker: runs maintenance and does the actions of one or several databases, until it is told to stop. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { databasesWithMaint, isGone } from './databases.ts';
import { messageOf } from './errors.ts';
import { readManifest } from './manifest.ts';
import { Station } from './station.ts';
import { databaseName } from './target/client-config.ts';
import { waysToTrust } from './trust.ts';

export interface WorkerOptions {
  /** Databases; an undefined one is what the environment says. */
  urls: readonly (string | undefined)[];
  /** Not only these, but all databases of their servers that have pg-maint, also those that get it later. */
  allDatabases?: boolean;
  /** How long a database may have pg-maint before it is served. */
  lookEveryMs?: number;
  /** Kept up to date with the databases that are worked for at the moment. */
  served?: Set<string | undefined>;
  /** Actions under way at a time in one database. */
  concurrency?: number;
  /** Does actions and nothing else: no runs, and none of what a worker does from time to time. */
  actionsOnly?: boolean;
  /** Stops the worker: no new action begins, and those under way have `stopSeconds` to end. */
  signal: AbortSignal;
  stopSeconds?: number;
  log?: (line: string) => void;
}

const longestPauseMs = 30_000;
/** Each look opens a connection to each database that is not served. */
const defaultLookEveryMs = 30_000;

/**
 * Resolves when the signal has fired and all is left in order. A database that can't be reached is tried again for
 * as long as it takes. Any number of workers share the work of a database.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const { urls, allDatabases = false } = options;
  if (allDatabases) {
    await Promise.all(urls.map((url) => serveServer(url, options)));
    return;
  }
  const named = urls.length > 1;
  for (const url of urls) options.served?.add(url);
  await Promise.all(urls.map((url) => serve(url, named ? under(databaseName(url), options) : options)));
}

/** With the database's name before each line of the log. */
function under(name: string, options: WorkerOptions): WorkerOptions {
  const { log } = options;
  return log === undefined
    ? options
    : {
        ...options,
        log: (line) => {
          log(`${name}: ${line}`);
        },
      };
}

/** Serves what there is on one server, takes up what comes and lets go what goes. */
async function serveServer(url: string | undefined, options: WorkerOptions): Promise<void> {
  const { signal, lookEveryMs = defaultLookEveryMs, log = () => undefined } = options;
  const served = new Map<string, Promise<void>>();
  /** With the reason, so that each is told once. */
  const leftOut = new Map<string, string>();
  let told = '';
  while (!signal.aborted) {
    try {
      for (const { name, target, owner, mayAct, distrust } of await databasesWithMaint(url, [
        ...served.keys(),
      ])) {
        const why = !mayAct
          ? `this role is no member of ${owner}`
          : distrust === null
            ? null
            : `${distrust}: ${waysToTrust(owner)}`;
        if (why !== null) {
          if (leftOut.get(name) !== why) log(`${name}: left out: ${why}`);
          leftOut.set(name, why);
          continue;
        }
        leftOut.delete(name);
        log(`${name}: found`);
        options.served?.add(target);
        const ended = serve(target, under(name, options), true).finally(() => {
          served.delete(name);
          options.served?.delete(target);
        });
        served.set(name, ended);
      }
      told = '';
    } catch (error) {
      // The same again and again says nothing new.
      if (messageOf(error) !== told) log(`can't look for databases: ${messageOf(error)}`);
      told = messageOf(error);
    }
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
  }
  await Promise.all(served.values());
}

/** One that was found is let go when it is not there any more, or pg-maint is not in it. */
async function serve(url: string | undefined, options: WorkerOptions, found = false): Promise<void> {
  const { version } = readManifest();
  const {
    signal,
    concurrency = 2,
    actionsOnly = false,
    stopSeconds = 30,
    log = (): undefined => undefined,
  } = options;
  let pauseMs = 1000;
  while (!signal.aborted) {
    const workerId = randomUUID();
    const station = new Station({ url, workerId, version, concurrency, actionsOnly, stopSeconds, log });
    const began = performance.now();
    try {
      await station.run(signal);
    } catch (error) {
      if (found && (await isGone(url))) {
        log('gone');
        return;
      }
      log(`${messageOf(error)}; trying again in ${pauseMs / 1000} s`);
    }
    if (performance.now() - began > longestPauseMs) pauseMs = 1000;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
