/**
 * An advisory lock among roles that are trusted. Any role that may connect can take such a lock and keep it, so a holder that is no
 * superuser, no member of the owner of schema maint and not the role that connects is passed over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { lockClass } from '../core/advisory-locks.ts';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';

export interface TrustedLockOptions {
  seconds: number;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
  /** Is told once who is waited for, and whose lock is passed over. */
  log?: ((line: string) => void) | undefined;
}

const pauseMs = 250;

interface Holder {
  who: string;
  trusted: boolean;
}

/** Takes the lock to the end of the transaction. Throws CouldNotRun, naming the holder, where it is not free in time. */
export async function lockAmongTrusted(
  client: pg.ClientBase,
  lock: number,
  { seconds, signal, log }: TrustedLockOptions,
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  let told = '';
  for (;;) {
    const { locked } = await queryRow<{ locked: boolean }>(
      client,
      'select pg_catalog.pg_try_advisory_xact_lock($1, $2) as locked',
      [lockClass, lock],
    );
    if (locked) return;
    const holders = await holdersOf(client, lock);
    const trusted = holders.filter((each) => each.trusted);
    const names = (trusted.length > 0 ? trusted : holders).map(({ who }) => who).join(', ');
    if (holders.length > 0 && trusted.length === 0) {
      log?.(
        `${names} holds an advisory lock of pg-maint, but is no member of its owner: the lock is passed over`,
      );
      return;
    }
    if (performance.now() >= until || signal?.aborted === true)
      throw new CouldNotRun(`a run or another installation is under way: ${names}`, 'try again later');
    if (holders.length > 0 && told === '') {
      told = names;
      log?.(`waiting for ${names}, which installs, upgrades or starts a worker`);
    }
    await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

async function holdersOf(client: pg.ClientBase, lock: number): Promise<Holder[]> {
  const { rows } = await client.query<Holder>(
    `select pg_catalog.format('process %s (role %s, application %s)', l.pid, a.usename,
         coalesce(pg_catalog.quote_literal(a.application_name), 'unknown')) as who,
       coalesce(r.rolsuper or a.usename = session_user
         or pg_catalog.pg_has_role(r.oid, n.nspowner, 'MEMBER'), false) as trusted
     from pg_catalog.pg_locks as l
     left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
     left join pg_catalog.pg_roles as r on r.oid = a.usesysid
     left join pg_catalog.pg_namespace as n on n.nspname = 'maint'
     where l.locktype = 'advisory' and l.granted and l.classid = $1 and l.objid = $2 and l.objsubid = 2
       and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
       and l.pid is distinct from pg_catalog.pg_backend_pid()
     order by l.pid`,
    [lockClass, lock],
  );
  return rows;
}
