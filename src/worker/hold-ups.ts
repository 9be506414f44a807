/** Who would hold up a statement that builds or drops concurrently: looked for before, not waited for within. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { WaitsFor } from './actions/action.ts';

/** A session or prepared transaction in the way, in words. */
type HoldUp = string;

/** Between two looks. */
const pauseMs = 500;

/**
 * Transactions that have been open for longer than the statement would wait. Younger ones come and go. Vacuum holds
 * nobody up with its snapshot, nor does another concurrent build. One whose age may not be seen counts as old.
 */
async function holdUps(client: pg.ClientBase, waitsOn: WaitsFor, olderThanMs: number): Promise<HoldUp[]> {
  const { rows } = await client.query<{ who: string }>(
    `select distinct case when s.pid is null then 'a prepared transaction'
         else pg_catalog.format('process %s (%s, %s)', s.pid, coalesce(a.usename, 'unknown'),
           coalesce(a.state, 'state unknown')) end
         || case when s.uses then ' uses the table' else ' sees an old state of it' end as who
     from (
       select l.pid, true as uses
       from pg_catalog.pg_locks as l
       where l.locktype = 'relation' and l.granted and l.relation = $1::oid
         and l.database = (select d.oid from pg_catalog.pg_database as d
           where d.datname = pg_catalog.current_database())
         and l.pid is distinct from pg_catalog.pg_backend_pid()
         and ($2 = 'all' or l.mode not in ('AccessShareLock', 'RowShareLock', 'ShareLock'))
       union all
       select o.pid, false
       from pg_catalog.pg_stat_activity as o
       where $3 and o.datname = pg_catalog.current_database() and o.backend_xmin is not null
         and o.pid <> pg_catalog.pg_backend_pid() and o.backend_type not in ('autovacuum worker', 'walsender')
         and not exists (select from pg_catalog.pg_stat_progress_vacuum as v where v.pid = o.pid)
         and not exists (select from pg_catalog.pg_stat_progress_create_index as b where b.pid = o.pid)
     ) as s
     left join pg_catalog.pg_stat_activity as a on a.pid = s.pid
     where coalesce(a.backend_type, '') <> 'autovacuum worker'
       and coalesce(a.xact_start < pg_catalog.clock_timestamp() - $4::float8 * interval '1 ms',
         s.pid is null or a.pid is not null)
     order by who`,
    [waitsOn.tableOid, waitsOn.lockers, waitsOn.snapshots, olderThanMs],
  );
  return rows.map(({ who }) => who);
}

/** Null once nobody is in the way; else, after `seconds` or when `signal` fires, who still is. */
export async function waitForOthers(
  client: pg.ClientBase,
  waitsOn: WaitsFor,
  options: { seconds: number; olderThanMs: number; signal: AbortSignal },
): Promise<string | null> {
  const until = performance.now() + options.seconds * 1000;
  for (;;) {
    const found = await holdUps(client, waitsOn, options.olderThanMs);
    if (found.length === 0) return null;
    if (performance.now() >= until || options.signal.aborted) return found.join('; ');
    await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
}
