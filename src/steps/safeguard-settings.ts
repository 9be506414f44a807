/** The settings of the safeguards that every action passes: src/worker/safeguards/. */
import type { Settings } from './step.ts';

export const safeguardPrefix = 'operational.safeguards';

export const safeguardSettings = {
  maintenance_windows: {
    type: 'list',
    default: [],
    doc: 'When actions may begin: entries such as `22:00-06:00` or `sat,sun 00:00-24:00`; a window that crosses midnight belongs to the day it begins on. Empty: always.',
  },
  time_zone: {
    type: 'text',
    default: 'UTC',
    doc: 'Time zone of the maintenance windows, as the server knows it: `Europe/Berlin`.',
  },
  actions_per_hour: {
    type: 'integer',
    // An hour of a large database's clean-up. Too low makes it take days; too high is bounded by the other safeguards.
    default: 120,
    minimum: 0,
    maximum: 1_000_000,
    doc: 'The most actions begun within an hour; 0 for any number.',
  },
  max_active_backends_per_core: {
    type: 'number',
    // Above this, sessions wait for a processor already. Too low keeps maintenance from ever being done on a busy
    // server, too high adds to the waiting.
    default: 3,
    minimum: 0,
    maximum: 1000,
    doc: 'No action begins while more sessions than this, for each core, are at work; 0 for any number.',
  },
  server_cores: {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 4096,
    doc: "Cores of the database server, which SQL does not tell. 0: those of the worker's machine where it is the same, otherwise unknown and not judged by.",
  },
  max_replication_lag_seconds: {
    type: 'number',
    unit: 'seconds',
    // An index is WAL as fast as a disk writes. Too high makes a standby that lags already lag more.
    default: 60,
    minimum: 0,
    maximum: 86_400,
    doc: 'No action that writes an index begins while a standby replays later than this; 0 for any lag.',
  },
  max_wal_mb_per_second: {
    type: 'number',
    unit: 'megabytes',
    // What one archiver and one standby usually keep up with.
    default: 100,
    minimum: 0,
    maximum: 100_000,
    doc: 'No action that writes an index begins while the server writes more WAL than this in a second; 0 for any amount.',
  },
  max_snapshot_age_seconds: {
    type: 'number',
    unit: 'seconds',
    // Everything CONCURRENTLY waits for older snapshots, and holds others up meanwhile. A transaction of a quarter of an
    // hour is not about to end.
    default: 900,
    minimum: 0,
    maximum: 604_800,
    doc: 'No concurrent index operation begins while a transaction of this database is older than this; 0 for any age.',
  },
  disk_total_gb: {
    type: 'number',
    unit: 'gigabytes',
    default: 0,
    minimum: 0,
    maximum: 10_000_000,
    doc: "Size of the disk of the database server, of which all databases and the WAL are taken as used. 0: only looked at, which takes a worker on the server's machine that can read the data directory.",
  },
  min_free_disk_percent: {
    type: 'number',
    unit: 'percent',
    // A full disk stops the server, and autovacuum, temporary files and WAL want room while an index is built. Higher keeps
    // bloat from being taken away where it is wanted most.
    default: 10,
    minimum: 0,
    maximum: 100,
    doc: 'No index is built or rebuilt that would leave less than this free of the disk of its tablespace, or of the WAL.',
  },
  require_known_free_disk: {
    type: 'boolean',
    // Most workers are on another machine, and all other safeguards hold there.
    default: false,
    doc: 'Whether nothing is built or rebuilt while free disk is not known. It is reported by step 15 in either case.',
  },
  max_actions_per_window: {
    type: 'integer',
    default: 1000,
    minimum: 0,
    maximum: 1_000_000,
    doc: 'The most index operations in one maintenance window (in 24 hours where there is none); 0 for any number.',
  },
  max_index_size_mb: {
    type: 'number',
    unit: 'megabytes',
    default: 51_200,
    minimum: 0,
    maximum: 1_000_000_000,
    doc: 'Larger indexes are not rebuilt; 0 for any size.',
  },
  max_total_size_mb: {
    type: 'number',
    unit: 'megabytes',
    default: 204_800,
    minimum: 0,
    maximum: 1_000_000_000,
    doc: 'The most that is built and rebuilt in one maintenance window (in 24 hours where there is none); 0 for any size.',
  },
  max_minutes_per_window: {
    type: 'number',
    default: 240,
    minimum: 0,
    maximum: 10_080,
    doc: 'The most minutes that index operations take in one maintenance window (in 24 hours where there is none); 0 for any time.',
  },
} as const satisfies Settings;
