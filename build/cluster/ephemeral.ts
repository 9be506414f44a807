import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canReach, type Account } from './account.ts';
import { layoutOf, readMarker, removeFiles, type Layout } from './layout.ts';
import { stopServer, stopServerNow } from './server-process.ts';
import { isAlive } from '../lock.ts';

/** A new folder for a cluster that lives no longer than its caller, all of them under one known folder. */
export function newEphemeralDirectory(account: Account | null): string {
  const parent = ephemeralParent(account);
  return mkdtempSync(join(parent, 'cluster-'));
}

function ephemeralParent(account: Account | null): string {
  // TMPDIR may be a private folder of root's, where the server's account can't go.
  const base = [tmpdir(), '/tmp'].find((candidate) => canReach(account, candidate)) ?? '/tmp';
  const uid = process.getuid?.() ?? 0;
  const parent = join(base, `pg-maint-${uid}`);
  mkdirSync(parent, { recursive: true, mode: 0o755 });
  const found = lstatSync(parent);
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`${parent} belongs to someone else; remove it`);
  return parent;
}

/** Stops and removes what killed callers left behind. */
export async function removeLeftovers(account: Account | null): Promise<void> {
  const parent = ephemeralParent(account);
  for (const name of readdirSync(parent)) {
    const layout = layoutOf(join(parent, name));
    const marker = readMarker(layout);
    if (marker === null) {
      // Another caller may be at this very point; after an hour nobody is.
      if (olderThanAnHour(layout.directory)) rmSync(layout.directory, { recursive: true, force: true });
    } else if (marker.owner !== null && !isAlive(marker.owner)) {
      await stopServer(layout, 'immediate');
      removeFiles(layout, { ...marker, madeDirectory: true });
    }
  }
}

function olderThanAnHour(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) < Date.now() - 3_600_000;
}

/** The clusters that end with this process. */
const open = new Set<Layout>();
let watching = false;

/** Stops and removes the cluster when this process exits, or is ended by a signal that it can see. */
export function endWithProcess(layout: Layout): void {
  open.add(layout);
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const one of open) {
      stopServerNow(one);
      removeNow(one);
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const stopAll = (): void => {
      void Promise.allSettled([...open].map((one) => stopServer(one, 'fast', 5))).then(() => {
        process.off(signal, stopAll);
        // A caller with a handler of its own decides itself how to end; otherwise end as if there were none.
        if (process.listenerCount(signal) === 0) {
          for (const one of open) removeNow(one);
          process.kill(process.pid, signal);
        }
      });
    };
    process.on(signal, stopAll);
  }
}

export function forget(layout: Layout): void {
  open.delete(layout);
}

function removeNow(layout: Layout): void {
  const marker = readMarker(layout);
  // An initdb under way ends with this process and writes until then: its folder is left to the next run.
  if (marker?.initialized === true) removeFiles(layout, { ...marker, madeDirectory: true });
  forget(layout);
}
