/**
 * How much can still be written to the disks of the database server. SQL does not tell; the file system does, where the
 * worker is on the same machine, which it has to prove: an address or a path that looks the same proves nothing where
 * containers and tunnels are. Otherwise a size that is configured, less what the databases take. Otherwise it is not known,
 * and said so.
 */
import { readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { sqlstate } from '../core/sqlstate.ts';
import { queryRow } from './connection.ts';
import { messageOf, sqlstateOf } from './errors.ts';

/** One file system, or the disk as configured. */
export interface DiskSpace {
  /** What of the server lies there. */
  what: readonly ('tablespace' | 'wal')[];
  place: string;
  free_bytes: number;
  total_bytes: number;
  method: 'file_system' | 'configured';
}

/** `places` is empty, and `reason` says why, where nothing is known. */
export interface FreeDisk {
  known: boolean;
  places: DiskSpace[];
  reason: string | null;
}

const bytesPerGigabyte = 1024 ** 3;

/**
 * The server notes when it started before it reads its configuration, and says later when that was: between the two are
 * moments. More could be another server with the same identifier, a copy, that was started soon after.
 */
const sameStartSeconds = 10;

interface Facts extends Record<string, unknown> {
  data_directory: string | null;
  system_identifier: string;
  started: number;
  /** Null for the data directory itself. */
  tablespace: string | null;
}

/** `tablespaceOid` 0 is the database's own. */
const factsQuery = `
  select (select s.setting from pg_catalog.pg_settings as s where s.name = 'data_directory') as data_directory,
    (select c.system_identifier::text from pg_catalog.pg_control_system() as c) as system_identifier,
    extract(epoch from pg_catalog.pg_postmaster_start_time())::float8 as started,
    nullif(pg_catalog.pg_tablespace_location(coalesce(nullif($1::oid, 0), d.dattablespace)), '') as tablespace
  from pg_catalog.pg_database as d
  where d.datname = pg_catalog.current_database()`;

/** Why the directory is not, or need not be, that of the server we are connected to; null where it is. */
async function strangeBecause(directory: string, facts: Facts): Promise<string | null> {
  try {
    const control = await readFile(join(directory, 'global', 'pg_control'));
    // The first field, in the byte order of the machine that wrote it: of another one it would not be the same number.
    const little = control.readBigUInt64LE(0).toString();
    const big = control.readBigUInt64BE(0).toString();
    // A bigint that SQL shows with its sign.
    const wanted = BigInt.asUintN(64, BigInt(facts.system_identifier)).toString();
    if (wanted !== little && wanted !== big) return `${directory} here belongs to another server`;
    const lines = (await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n');
    if (Math.abs(Number(lines[2]) - facts.started) > sameStartSeconds)
      return `${directory} here belongs to a copy of the server`;
    return null;
  } catch (error) {
    return `the worker can't read ${directory}, so that it can't tell whether it is on the server's machine (${messageOf(error)})`;
  }
}

async function spaceOf(path: string): Promise<{ device: number; free: number; total: number }> {
  const [{ dev }, { bavail, blocks, bsize }] = await Promise.all([stat(path), statfs(path)]);
  return { device: dev, free: bavail * bsize, total: blocks * bsize };
}

/** Connection -> the directory that was found to be its server's: as long as it lasts, it leads to the same server. */
const proven = new WeakMap<pg.ClientBase, string>();

const unknown = (reason: string): FreeDisk => ({ known: false, places: [], reason });

async function ofFileSystems(client: pg.ClientBase, tablespaceOid: number): Promise<FreeDisk> {
  const facts = await queryRow<Facts>(client, factsQuery, [tablespaceOid]);
  const { data_directory: directory, tablespace } = facts;
  if (directory === null)
    return unknown('the data directory is told to members of pg_read_all_settings only');
  if (proven.get(client) !== directory) {
    const strange = await strangeBecause(directory, facts);
    if (strange !== null) return unknown(strange);
    proven.set(client, directory);
  }
  const places: DiskSpace[] = [];
  const devices: number[] = [];
  for (const [what, place] of [
    ['tablespace', tablespace ?? directory],
    ['wal', join(directory, 'pg_wal')],
  ] as const) {
    try {
      const { device, free, total } = await spaceOf(place);
      const known = places[devices.indexOf(device)];
      if (known) places[places.indexOf(known)] = { ...known, what: [...known.what, what] };
      else {
        devices.push(device);
        places.push({ what: [what], place, free_bytes: free, total_bytes: total, method: 'file_system' });
      }
    } catch (error) {
      return unknown(`the worker can't look at ${place}: ${messageOf(error)}`);
    }
  }
  return { known: true, places, reason: null };
}

async function ofConfiguration(client: pg.ClientBase, totalGigabytes: number): Promise<FreeDisk> {
  try {
    const { used } = await queryRow<{ used: number }>(
      client,
      `select ((select sum(pg_catalog.pg_database_size(d.oid)) from pg_catalog.pg_database as d)
         + (select coalesce(sum(w.size), 0) from pg_catalog.pg_ls_waldir() as w))::float8 as used`,
    );
    const total = totalGigabytes * bytesPerGigabyte;
    const place: DiskSpace = {
      what: ['tablespace', 'wal'],
      place: 'disk_total_gb',
      free_bytes: Math.max(0, total - used),
      total_bytes: total,
      method: 'configured',
    };
    return { known: true, places: [place], reason: null };
  } catch (error) {
    const state = sqlstateOf(error);
    if (state === sqlstate.insufficientPrivilege)
      return unknown(`what the databases take is told to members of pg_monitor only: ${messageOf(error)}`);
    // One that is listed may be dropped before its size is asked, which is an error to all but superusers.
    if (state === sqlstate.invalidCatalogName)
      return unknown(`a database was dropped while their sizes were asked: ${messageOf(error)}`);
    throw error;
  }
}

/**
 * Of the file systems of one tablespace (0: the database's own) and of the WAL, and of the disk as configured where
 * `disk_total_gb` is not 0: what is written must fit into all that are named.
 */
export async function freeDisk(
  client: pg.ClientBase,
  tablespaceOid: number,
  totalGigabytes: number,
): Promise<FreeDisk> {
  const seen = await ofFileSystems(client, tablespaceOid);
  if (totalGigabytes === 0) return seen;
  const configured = await ofConfiguration(client, totalGigabytes);
  const places = [...seen.places, ...configured.places];
  const reasons = [seen, configured].map(({ reason }) => reason).filter((reason) => reason !== null);
  return places.length > 0
    ? { known: true, places, reason: null }
    : { known: false, places, reason: reasons.join('; ') };
}
