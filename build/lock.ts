import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process, told apart from a later one that happens to get the same number. */
export interface ProcessIdentity {
  pid: number;
  /** Start time in clock ticks since boot, from /proc. */
  started: string;
}

/** The identity of a running process, or null when there is none (a zombie counts as none). */
export function processIdentity(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and brackets; the fields after its last bracket are plain.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const started = fields[19];
    return started === undefined || fields[0] === 'Z' ? null : { pid, started };
  } catch {
    return null;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.started === identity.started;
}

/** Runs `work` while no other process holds the lock file; a lock left by a dead process is taken over. */
export async function withLock<Result>(
  path: string,
  work: () => Promise<Result>,
  options: { seconds: number } = { seconds: 120 },
): Promise<Result> {
  const content = JSON.stringify(processIdentity(process.pid));
  const deadline = Date.now() + options.seconds * 1000;
  while (!tryCreate(path, content)) {
    removeStale(path);
    if (Date.now() > deadline) throw new Error(`another process has held ${path} for ${options.seconds} s`);
    await sleep(50);
  }
  try {
    return await work();
  } finally {
    // The work may have removed the whole folder, and the next one may hold a lock of the same name by now.
    if (isHeldBy(path, content)) rmSync(path, { force: true });
  }
}

function isHeldBy(path: string, content: string): boolean {
  try {
    return readFileSync(path, 'utf8') === content;
  } catch {
    return false;
  }
}

function tryCreate(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Its folder is gone when the one before us has just removed what the lock was for.
    if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true });
    else if (code !== 'EEXIST') throw error;
    return false;
  }
}

function removeStale(path: string): void {
  const holder = readHolder(path);
  if (holder === 'gone' || (holder !== null && isAlive(holder))) return;
  // Renaming is atomic: of two processes that see the same stale lock only one gets the file. What it got is
  // looked at again, since a new holder may have come in between; that one's lock is put back.
  const taken = `${path}.${process.pid}`;
  try {
    renameSync(path, taken);
  } catch {
    return;
  }
  const content = readHolder(taken);
  if (content !== 'gone' && content !== null && isAlive(content)) renameSync(taken, path);
  else rmSync(taken, { force: true });
}

/** The holder named in the lock, null when the file names none, 'gone' when there is no file. */
function readHolder(path: string): ProcessIdentity | null | 'gone' {
  try {
    const content = readFileSync(path, 'utf8');
    // Created but not yet written by its holder: that takes microseconds, so it is alive.
    if (content === '') return 'gone';
    return JSON.parse(content) as ProcessIdentity | null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : null;
  }
}
