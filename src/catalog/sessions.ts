/** What sessions are doing, who waits for whom, and what may not be seen: what steps 4, 5 and 13 share. */
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import type { Unexamined } from '../core/coverage.ts';
import { unexaminedClass } from '../core/coverage.ts';
import { grantOf } from './grants.ts';
import type { Finding, JsonObject } from '../steps/step.ts';

export interface Session {
  pid: number;
  role: string | null;
  application: string;
  /**
   * `hidden`: the session is another role's and pg_read_all_stats is missing. `untracked`: track_activities is off for
   * it. The fields below are null then.
   */
  visibility: 'visible' | 'hidden' | 'untracked';
  /** ISO 8601 to the microsecond, so that it can be compared with the server's own value again. */
  backend_start: string | null;
  query_start: string | null;
  transaction_start: string | null;
  backend_type: string | null;
  state: string | null;
  /** Seconds from the beginning of the statement, the transaction and the state to the beginning of the run. */
  query_seconds: number | null;
  transaction_seconds: number | null;
  state_seconds: number | null;
  wait_event_type: string | null;
  wait_event: string | null;
  /** Transactions begun since the oldest one whose rows this session may still need. */
  xmin_age: number | null;
  /** The first characters of the statement under way, or of the last one. */
  query: string | null;
  client: string | null;
  /** Statements that end the statement under way, or the session, unless something else took its place meanwhile. */
  cancel: string;
  terminate: string;
}

/** Enough to recognise a statement; the whole text may be a megabyte, and findings are kept. */
const queryCharacters = 500;

/** Sessions whose application_name begins so are pg-maint's own: src/worker/connection.ts. */
const ourApplicationPrefix = 'pg-maint';

export function isOurs({ application }: Pick<Session, 'application'>): boolean {
  return application.startsWith(ourApplicationPrefix);
}

function iso(column: string): string {
  return `(pg_catalog.to_jsonb(${column}) #>> '{}')`;
}

function secondsSince(column: string): string {
  return `greatest(0, pg_catalog.round(extract(epoch from $1::timestamptz - ${column}), 3))`;
}

function stopper(name: string, ...conditions: string[]): string {
  const text = ['a.pid = %s', ...conditions.map((column) => `a.${column} = %L`)].join(' and ');
  const values = ['a.pid', ...conditions.map((column) => iso(`a.${column}`))].join(', ');
  return `case when a.backend_start is null or a.${conditions.at(-1) ?? 'pid'} is null
      then pg_catalog.format('select pg_catalog.${name}(%s);', a.pid)
      else pg_catalog.format('select pg_catalog.${name}(a.pid) from pg_catalog.pg_stat_activity as a where ${text};', ${values})
    end`;
}

/** An expression over pg_stat_activity as `a`; $1 is the time of the run. */
const sessionObject = `pg_catalog.jsonb_build_object(
    'pid', a.pid, 'role', a.usename, 'application', coalesce(a.application_name, ''),
    'visibility', case when a.backend_start is null then 'hidden' when a.state = 'disabled' then 'untracked'
      else 'visible' end,
    'backend_start', ${iso('a.backend_start')},
    'query_start', ${iso('a.query_start')},
    'transaction_start', ${iso('a.xact_start')},
    'backend_type', a.backend_type,
    'state', case when a.state <> 'disabled' then a.state end,
    'query_seconds', ${secondsSince('a.query_start')},
    'transaction_seconds', ${secondsSince('a.xact_start')},
    'state_seconds', ${secondsSince('a.state_change')},
    'wait_event_type', a.wait_event_type, 'wait_event', a.wait_event,
    'xmin_age', pg_catalog.age(a.backend_xmin),
    'query', case when a.backend_start is not null and a.state <> 'disabled'
      then pg_catalog.left(maint.query_without_secrets(a.query, a.backend_type), ${queryCharacters}) end,
    'client', pg_catalog.host(a.client_addr),
    'cancel', ${stopper('pg_cancel_backend', 'backend_start', 'query_start')},
    'terminate', ${stopper('pg_terminate_backend', 'backend_start')})`;

/** A condition: something of the database we are in. */
export const ofThisDatabase = (column: string): string =>
  `${column} = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())`;

/**
 * Within a transaction pg_stat_activity and the progress views show what was when they were first read, while pg_locks
 * shows what is: call this first, or a session is judged by what it did hours ago.
 */
export function* refreshActivity(): Program<void> {
  yield* query('select pg_catalog.to_jsonb(pg_catalog.pg_stat_clear_snapshot()::text) as row');
}

/**
 * The sessions of this database that are doing something, and those that do not show what they do. Not our own one,
 * nor what serves another process: parallel workers belong to their leader, walsenders to a standby or subscriber.
 */
export function busySessions(now: string): Program<Session[]> {
  return query<Session>(
    `select ${sessionObject} as row
     from pg_catalog.pg_stat_activity as a
     where ${ofThisDatabase('a.datid')}
       and a.pid <> pg_catalog.pg_backend_pid()
       and (a.state is not null and a.state <> 'idle' or a.backend_start is null and a.usename is not null)
       and coalesce(a.backend_type, '') not in ('walsender', 'parallel worker')
       and a.pid not in (select r.pid from pg_catalog.pg_stat_replication as r)
     order by a.backend_start, a.pid`,
    [now],
  );
}

export function* sessionsByPid(now: string, pids: Iterable<number>): Program<Map<number, Session>> {
  const wanted = [...new Set(pids)];
  if (wanted.length === 0) return new Map();
  const rows = yield* query<Session>(
    `select ${sessionObject} as row
     from pg_catalog.pg_stat_activity as a
     where a.pid in (select p.pid::int from pg_catalog.jsonb_array_elements_text($2::jsonb) as p (pid))
     order by a.pid`,
    [now, wanted],
  );
  return new Map(rows.map((session) => [session.pid, session]));
}

/** A process that waits for a lock. Among `blockers` 0 stands for a prepared transaction. */
export interface LockWait {
  pid: number;
  seconds: number | null;
  blockers: number[];
}

export function lockWaits(now: string): Program<LockWait[]> {
  return query<LockWait>(
    `select pg_catalog.jsonb_build_object('pid', w.pid, 'seconds', ${secondsSince('w.since')},
         'blockers', pg_catalog.to_jsonb(pg_catalog.pg_blocking_pids(w.pid))) as row
     from (
       select l.pid, pg_catalog.min(l.waitstart) as since
       from pg_catalog.pg_locks as l
       where not l.granted and l.pid is not null
       group by l.pid) as w
     order by w.pid`,
    [now],
  );
}

/** A session as the detail of a finding about another one. */
export function sessionDetail(session: Session): JsonObject {
  return {
    pid: session.pid,
    role: session.role,
    application: session.application,
    client: session.client,
    ...(session.visibility === 'visible'
      ? {
          state: session.state,
          state_seconds: session.state_seconds,
          transaction_seconds: session.transaction_seconds,
          query: session.query,
        }
      : { unexamined: unexaminedCause(session) }),
  };
}

function unexaminedCause({ visibility }: Session): string {
  return visibility === 'untracked' ? 'not_tracked' : 'not_permitted';
}

/** The most process numbers that a result names for one role. */
const namedPids = 20;

/** For a result: whose sessions could not be examined, and why. */
export function unexaminedSessions(
  sessions: readonly Pick<Session, 'pid' | 'role' | 'visibility'>[],
): JsonObject[] {
  const groups = new Map<string, JsonObject & { sessions: number; pids: number[] }>();
  for (const session of sessions) {
    const reason = unexaminedCause(session as Session);
    const key = JSON.stringify([session.role, reason]);
    const group = groups.get(key) ?? { reason, role: session.role, sessions: 0, pids: [] };
    group.sessions += 1;
    if (group.pids.length < namedPids) group.pids.push(session.pid);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** For the coverage of a step: the sessions that do not show what they do. */
export function* hiddenSessions(
  sessions: readonly Pick<Session, 'pid' | 'role' | 'visibility'>[],
): Program<Unexamined[]> {
  const named = (visibility: Session['visibility']): string[] =>
    sessions
      .filter((session) => session.visibility === visibility)
      .map(({ pid, role }) => `process ${pid}${role === null ? '' : ` of role ${role}`}`);
  const hidden = named('hidden');
  return [
    ...unexaminedClass(
      'sessions of other roles',
      'not_permitted',
      hidden,
      hidden.length > 0 ? yield* grantOf('pg_read_all_stats') : null,
    ),
    ...unexaminedClass('sessions with track_activities off', 'not_counted', named('untracked')),
  ];
}

/**
 * For a report's `keepOpen`: the open findings about processes that could not be looked at this time. The
 * discriminator of such findings is a JSON array that begins with the process number.
 */
export function* findingsAboutPids(
  kind: string,
  pids: readonly number[],
): Program<Pick<Finding, 'kind' | 'schema' | 'table' | 'object' | 'discriminator'>[]> {
  if (pids.length === 0) return [];
  const rows = yield* query<[string, string | null, string | null, string | null, string]>(
    `select f.finding_key::jsonb as row
     from maint.finding as f
     where f.kind = $1 and f.resolved_at is null
       and f.detail ->> 'pid' in (select pg_catalog.jsonb_array_elements_text($2::jsonb))
     order by f.finding_key`,
    [kind, pids],
  );
  return rows.map(([, schema, table, object, discriminator]) => ({
    kind,
    schema,
    table,
    object,
    discriminator,
  }));
}

/** 95 -> "95 s", 600 -> "10 min", 9000 -> "2 h 30 min", rounded down: never more than was measured. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** "1 session", "2 sessions". */
export function sessionCount(count: number): string {
  return count === 1 ? '1 session' : `${count} sessions`;
}

/** "process 4711 of role app (application psql)"; the role as it is, for reading. */
export function processName({
  pid,
  role,
  application,
}: Pick<Session, 'pid' | 'role' | 'application'>): string {
  return `process ${pid}${role === null ? '' : ` of role ${role}`}${application === '' ? '' : ` (${application})`}`;
}
