/**
 * No index is written where the disk would become too full for it. What is not known keeps nobody back unless a setting
 * says so; it is reported by step 15.
 */
import type pg from 'pg';
import type { ActionRow, Kind } from '../actions/action.ts';
import { queryRow } from '../connection.ts';
import { freeDisk } from '../free-disk.ts';
import type { DiskSpace } from '../free-disk.ts';
import type { Answer, Safeguard } from './safeguard.ts';

const retryAfterSeconds = 900;
const writesAnIndex: ReadonlySet<Kind> = new Set<Kind>(['create_index', 'reindex_index']);

/** Beside the index itself lie its sorted parts, in temporary files of about its size, until it is built. */
const timesInTablespace = 2;
/** Every page of it is in the WAL once. */
const timesInWal = 1;

interface Need extends Record<string, unknown> {
  /** Of the index to be written, at most. */
  bytes: number;
  /** 0 is the database's own. */
  tablespace: number;
}

/**
 * A rebuilt index is not larger than it was; a new one hardly larger than its table. Too high an estimate puts a build on
 * a full disk off, too low a one fills the disk and stops the server. As of the last VACUUM: measuring would queue
 * behind who wants the table exclusively.
 */
async function needOf(client: pg.ClientBase, action: ActionRow): Promise<Need> {
  const oid = 'oid' in action.target ? action.target.oid : 0;
  const settings = action.evidence['settings'] as { default_tablespace?: string } | undefined;
  return await queryRow<Need>(
    client,
    `select coalesce(sum(greatest(c.relpages, 0)::float8 * pg_catalog.current_setting('block_size')::int), 0) as bytes,
       coalesce(
         pg_catalog.max(c.reltablespace::int8) filter (where c.relkind = 'i'),
         (select s.oid::int8 from pg_catalog.pg_tablespace as s where s.spcname = $2),
         0)::float8 as tablespace
     from pg_catalog.pg_class as c
     where c.oid in (
       -- Of a partitioned table the whole tree.
       select $1::oid union select t.relid from pg_catalog.pg_partition_tree($1::oid::regclass) as t)`,
    [oid, settings?.default_tablespace ?? ''],
  );
}

function bytesIn(space: DiskSpace, bytes: number): number {
  return space.what.reduce((sum, what) => sum + bytes * (what === 'wal' ? timesInWal : timesInTablespace), 0);
}

function shown(bytes: number): string {
  const megabytes = bytes / 1024 ** 2;
  return megabytes < 10_240 ? `${Math.ceil(megabytes)} MB` : `${Math.round(megabytes / 1024)} GB`;
}

export const freeDiskSafeguard: Safeguard = {
  name: 'free_disk',
  async check(client, action, config): Promise<Answer> {
    if (!writesAnIndex.has(action.kind)) return { allowed: true };
    const { bytes, tablespace } = await needOf(client, action);
    const { known, places, reason } = await freeDisk(client, tablespace, Number(config['disk_total_gb']));
    if (!known) {
      if (config['require_known_free_disk'] !== true) return { allowed: true };
      return { allowed: false, reason: `free disk is not known: ${reason ?? ''}`, retryAfterSeconds };
    }
    const share = Number(config['min_free_disk_percent']) / 100;
    for (const space of places) {
      const needed = bytesIn(space, bytes);
      const kept = share * space.total_bytes;
      if (space.free_bytes - needed >= kept) continue;
      const where = space.method === 'configured' ? 'the disk as configured' : `the disk of ${space.place}`;
      return {
        allowed: false,
        reason:
          `${where} has ${shown(space.free_bytes)} free of ${shown(space.total_bytes)}; building takes up to ` +
          `${shown(needed)}, and ${shown(kept)} are to stay free`,
        retryAfterSeconds,
        detail: { needed_bytes: needed, ...space, what: [...space.what] },
      };
    }
    return { allowed: true };
  },
};
