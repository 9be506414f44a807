/** A server whose data directory lies on a disk of its own that is small enough to be filled. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
  mkdtempSync,
  rmdirSync,
  chmodSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { run } from '../../build/run.ts';
import { ownCluster } from '../cluster/own-cluster.ts';
import type { OwnCluster } from '../cluster/own-cluster.ts';

const megabyte = 1024 * 1024;

export interface SmallDisk {
  cluster: OwnCluster;
  /** Takes all that is free, but for so many bytes. */
  fill(leaveBytes?: number): void;
  /** Gives it back. */
  free(): void;
}

/** Null where this process may not mount a disk: said in the log of the test. */
export async function smallDisk(
  t: ExecutionContext,
  settings: Record<string, string> = {},
): Promise<SmallDisk | null> {
  const mountPoint = mkdtempSync('/tmp/pg-maint-disk-');
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,mode=0755', 'tmpfs', mountPoint]);
  if (mounted.status !== 0) {
    rmdirSync(mountPoint);
    t.log(`skipped: this process may not mount a tmpfs: ${String(mounted.stderr).trim()}`);
    return null;
  }
  t.teardown(() => {
    const unmounted = spawnSync('umount', [mountPoint]);
    // Somebody's working folder, for a moment: it goes when they do.
    if (unmounted.status !== 0) spawnSync('umount', ['--lazy', mountPoint]);
    rmdirSync(mountPoint);
  });
  chmodSync(mountPoint, 0o755);
  const cluster = await ownCluster(
    t,
    { max_wal_size: '64MB', min_wal_size: '32MB', shared_buffers: '16MB', autovacuum: 'off', ...settings },
    join(mountPoint, 'cluster'),
  );
  await moveWal(t, cluster);
  const ballast = join(mountPoint, 'ballast');
  return {
    cluster,
    fill(leaveBytes = 0) {
      const file = openSync(ballast, 'a');
      try {
        const block = Buffer.alloc(megabyte / 4);
        for (;;) {
          const { bavail, bsize } = statfsSync(mountPoint);
          const left = bavail * bsize - leaveBytes;
          if (left < bsize) break;
          writeSync(file, block, 0, Math.min(block.length, left));
        }
        fsyncSync(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
    },
    free() {
      rmSync(ballast, { force: true });
    },
  };
}

/** WAL gets room of its own: a server that cannot write WAL ends itself, and then nothing is left to be tried. */
async function moveWal(t: ExecutionContext, cluster: OwnCluster): Promise<void> {
  const elsewhere = mkdtempSync('/tmp/pg-maint-wal-');
  t.teardown(() => {
    rmSync(elsewhere, { recursive: true, force: true });
  });
  chmodSync(elsewhere, 0o755);
  await cluster.stop();
  const wal = join(cluster.data, 'pg_wal');
  await run('cp', ['-a', wal, elsewhere]);
  renameSync(wal, `${wal}.before`);
  symlinkSync(join(elsewhere, 'pg_wal'), wal);
  rmSync(`${wal}.before`, { recursive: true });
  await cluster.start();
}
