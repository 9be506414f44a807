/** What is killed, always with SIGKILL: nothing of it gets to say goodbye. */
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnCluster } from '../cluster/own-cluster.ts';

export type Victim = 'worker' | 'backend' | 'server';

/** Whether the process works in the server's data directory: postmaster and all that it started. */
function belongsTo(pid: number, data: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data);
  } catch {
    return false;
  }
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/** False when it has ended by itself. */
export function killBackend(cluster: OwnCluster, pid: number): boolean {
  return belongsTo(pid, cluster.data) && kill(pid);
}

/**
 * The postmaster first holds still, so that it neither starts nor tells anybody anything while its children die. Resolves
 * when the last of them is gone.
 */
export async function killServer(cluster: OwnCluster): Promise<void> {
  const postmaster = cluster.pid();
  process.kill(postmaster, 'SIGSTOP');
  const all = readdirSync('/proc').map(Number);
  const its = all.filter((pid) => Number.isInteger(pid) && belongsTo(pid, cluster.data));
  for (const pid of its) if (pid !== postmaster) kill(pid);
  kill(postmaster);
  while (its.some((pid) => belongsTo(pid, cluster.data))) await sleep(5);
}
