/** Actions wait while the database has enough to do. Asked again before each action, so that it notices what they cause. */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Kind } from '../actions/action.ts';
import { queryRow } from '../connection.ts';
import type { Answer, Safeguard, SafeguardConfig } from './safeguard.ts';

const retryAfterSeconds = 30;

/** Shorter shows single bursts as a rate; longer keeps every action waiting. */
const walSampleMs = 500;
/**
 * A glance is enough where it shows this share of the limit at most: a server that writes five times as much on the whole
 * would have to pause in just that moment, and the next action knows the rate since this one.
 */
const walGlanceMs = 100;
const glanceShare = 0.2;

const bytesPerMegabyte = 1024 * 1024;

/** Everything CONCURRENTLY waits for snapshots older than its own. */
const concurrent: ReadonlySet<Kind> = new Set<Kind>(['drop_index', 'create_index', 'reindex_index']);
const writesAnIndex: ReadonlySet<Kind> = new Set<Kind>(['create_index', 'reindex_index']);

/**
 * The rate since an action before counts where that was about to begin no longer ago: more would hide what began meanwhile,
 * less would have actions of some seconds wait for a sample of their own.
 */
const longestIntervalMs = 10_000;

interface WalPosition {
  /** Since the cluster was made. */
  bytes: string;
  /** By the server's clock. */
  at: number;
}

const walPosition = `
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::text as bytes,
    extract(epoch from pg_catalog.clock_timestamp())::float8 * 1000 as at`;

interface Load extends WalPosition {
  active: number;
  /** The worker is on the same machine. */
  local: boolean;
  lag_seconds: number | null;
  snapshot_seconds: number | null;
  snapshot_pid: number | null;
}

const loadQuery = `
  select (
      -- Parallel workers take a core each; our own sessions are what is asked about.
      select pg_catalog.count(*)::int from pg_catalog.pg_stat_activity as a
      where a.state = 'active' and a.backend_type in ('client backend', 'parallel worker')
        and a.application_name not like 'pg-maint%'
        -- Who waits for a lock or for its client needs no core.
        and coalesce(a.wait_event_type, '') not in ('Lock', 'Client')) as active,
    coalesce(pg_catalog.inet_server_addr() = pg_catalog.inet_client_addr(), true) as local,
    (select extract(epoch from pg_catalog.max(r.replay_lag))::float8
     from pg_catalog.pg_stat_replication as r where r.state = 'streaming') as lag_seconds,
    oldest.seconds as snapshot_seconds, oldest.pid as snapshot_pid,
    ${walPosition}
  from (values (1)) as one (row)
  left join lateral (
    select extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as seconds, a.pid
    from pg_catalog.pg_stat_activity as a
    where a.datname = pg_catalog.current_database() and a.backend_xmin is not null
      and a.pid <> pg_catalog.pg_backend_pid() and a.application_name not like 'pg-maint%'
      -- Neither VACUUM's snapshot nor a standby's is one that CONCURRENTLY waits for.
      and a.backend_type in ('client backend', 'background worker')
    order by a.xact_start
    limit 1) as oldest on true`;

function refuse(reason: string): Answer {
  return { allowed: false, reason, retryAfterSeconds };
}

function coresOf(config: SafeguardConfig, load: Load): number | null {
  const configured = Number(config['server_cores']);
  if (configured > 0) return configured;
  return load.local ? availableParallelism() : null;
}

/** Where the WAL was when actions of a session were about to begin, the latest last: sessions are used for many. */
const positions = new WeakMap<pg.ClientBase, WalPosition[]>();

const megabytesASecond = (from: WalPosition, to: WalPosition): number =>
  Number(BigInt(to.bytes) - BigInt(from.bytes)) / bytesPerMegabyte / ((to.at - from.at) / 1000);

/** Above `limit` only where a sample of its own says so, in which there is nothing that the action before has written. */
async function walRate(client: pg.ClientBase, now: WalPosition, limit: number): Promise<number> {
  const known = (positions.get(client) ?? []).filter(({ at }) => now.at - at <= longestIntervalMs);
  positions.set(client, known);
  const before = known.findLast(({ at }) => now.at - at >= walSampleMs / 2);
  known.push(now);
  let rate = before === undefined ? Infinity : megabytesASecond(before, now);
  if (rate <= limit) return rate;
  for (const [pauseMs, share] of [
    [walGlanceMs, glanceShare],
    [walSampleMs - walGlanceMs, 0],
  ] as const) {
    await sleep(pauseMs);
    const then = await queryRow<WalPosition & Record<string, unknown>>(client, `select ${walPosition}`);
    rate = megabytesASecond(now, then);
    if (rate <= share * limit) break;
  }
  return rate;
}

export const loadThrottle: Safeguard = {
  name: 'load_throttle',
  async check(client, action, config) {
    // Ending a session that holds others up is what takes load away.
    if (action.kind === 'terminate_backend') return { allowed: true };
    const load = await queryRow<Load & Record<string, unknown>>(client, loadQuery);
    const limitOf = (key: string): number => Number(config[key]) || Infinity;

    const cores = coresOf(config, load);
    const most = limitOf('max_active_backends_per_core') * (cores ?? Infinity);
    if (load.active > most) {
      return refuse(`${load.active} sessions are at work, and ${most} is the most for ${cores ?? 0} cores`);
    }
    if (concurrent.has(action.kind)) {
      const age = load.snapshot_seconds ?? 0;
      if (age > limitOf('max_snapshot_age_seconds')) {
        return refuse(`the transaction of process ${load.snapshot_pid ?? 0} is ${Math.round(age)} s old`);
      }
    }
    if (writesAnIndex.has(action.kind)) {
      const lag = load.lag_seconds ?? 0;
      if (lag > limitOf('max_replication_lag_seconds')) {
        return refuse(`a standby is ${Math.round(lag)} s behind`);
      }
      const limit = limitOf('max_wal_mb_per_second');
      if (limit < Infinity) {
        const rate = await walRate(client, { bytes: load.bytes, at: load.at }, limit);
        if (rate > limit) return refuse(`the server writes ${Math.round(rate)} MB of WAL a second`);
      }
    }
    return { allowed: true };
  },
};
