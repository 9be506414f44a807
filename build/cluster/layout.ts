import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from '../lock.ts';

/** What lies in a cluster's directory. */
export interface Layout {
  directory: string;
  marker: string;
  lock: string;
  data: string;
  socket: string;
  library: string;
  log: string;
}

/** Written into every directory that we made: only such a directory is ever stopped or removed. */
export interface Marker {
  madeBy: 'pg-maint';
  version: number;
  port: number;
  /** False while initdb is under way: what a killed one leaves is made anew. */
  initialized: boolean;
  /** For an ephemeral cluster, the process it belongs to. */
  owner: ProcessIdentity | null;
  /** Whether the directory itself is ours to remove, or was there before. */
  madeDirectory: boolean;
}

export function layoutOf(directory: string): Layout {
  return {
    directory,
    marker: join(directory, 'pg-maint-cluster.json'),
    lock: join(directory, 'lock'),
    data: join(directory, 'data'),
    socket: join(directory, 'socket'),
    library: join(directory, 'lib'),
    log: join(directory, 'server.log'),
  };
}

export function readMarker(layout: Layout): Marker | null {
  let text: string;
  try {
    text = readFileSync(layout.marker, 'utf8');
  } catch (error) {
    // Not only where there never was one: another run may be removing what a killed one left.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const marker = JSON.parse(text) as Partial<Marker>;
  return marker.madeBy === 'pg-maint' ? (marker as Marker) : null;
}

export function writeMarker(layout: Layout, marker: Marker): void {
  const temporary = `${layout.marker}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(marker, null, 2)}\n`);
  renameSync(temporary, layout.marker);
}

/** Makes the directory ours, or says why it can't be: we never write into a folder that holds other things. */
export function claimDirectory(layout: Layout, version: number, owner: ProcessIdentity | null): Marker {
  const foreign = readdirSync(layout.directory).filter(
    (name) => !join(layout.directory, name).startsWith(layout.lock),
  );
  if (foreign.length > 0) {
    throw new Error(`${layout.directory} holds other files (${foreign[0]}); choose a new or empty folder`);
  }
  const marker: Marker = {
    madeBy: 'pg-maint',
    version,
    port: 0,
    initialized: false,
    owner,
    madeDirectory: false,
  };
  writeMarker(layout, marker);
  return marker;
}

/** Removes exactly what we made; the folder itself goes too when we made it and nothing else came into it. */
export function removeFiles(layout: Layout, marker: Marker): void {
  const retries = { recursive: true, force: true, maxRetries: 5 };
  for (const path of [layout.data, layout.socket, layout.library, layout.log]) rmSync(path, retries);
  rmSync(layout.marker, { force: true });
  rmSync(layout.lock, { force: true });
  if (marker.madeDirectory && existsSync(layout.directory) && readdirSync(layout.directory).length === 0) {
    rmSync(layout.directory, retries);
  }
}
