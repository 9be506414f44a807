/**
 * Step 5: what has gone on for too long, or keeps vacuum from removing dead rows: statements, transactions left open,
 * prepared transactions, replication slots and standbys. It names who waits for whom and the statement that would end
 * it, and ends nothing itself.
 */
import { grantOf } from '../catalog/grants.ts';
import { preparedTransactions, preparedVictims } from '../catalog/prepared-transactions.ts';
import type { PreparedTransaction, PreparedVictim } from '../catalog/prepared-transactions.ts';
import { hiddenWalsenders, holdingSlots, holdingStandbys } from '../catalog/replication.ts';
import type { HoldingStandby } from '../catalog/replication.ts';
import {
  busySessions,
  duration,
  findingsAboutPids,
  hiddenSessions,
  isOurs,
  lockWaits,
  processName,
  refreshActivity,
  sessionCount,
  sessionDetail,
  sessionsByPid,
  unexaminedSessions,
} from '../catalog/sessions.ts';
import type { LockWait, Session } from '../catalog/sessions.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Unexamined } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { slotFinding } from './stale-operations/replication-slots.ts';
import { defineStep } from './step.ts';
import type { ConfigOf, Finding, JsonObject, Settings } from './step.ts';

export const staleOperationKind = 'operation.stale';

const config = {
  enabled: { type: 'boolean', default: true, doc: 'Look for stale operations.' },
  stale_after: {
    type: 'integer',
    unit: 'seconds',
    // Ten minutes, as always in this workflow. Too short reports reports; too long lets a stuck one hold others up.
    default: 600,
    minimum: 0,
    maximum: 2_592_000,
    doc: 'How long one statement may run before it is reported.',
  },
  idle_in_transaction_after: {
    type: 'integer',
    unit: 'seconds',
    // Nobody types for ten minutes between two statements of a transaction, and its locks and snapshot stay meanwhile.
    default: 600,
    minimum: 0,
    maximum: 2_592_000,
    doc: 'How long a session may be idle within a transaction before it is reported.',
  },
  prepared_transaction_after: {
    type: 'integer',
    unit: 'seconds',
    // A transaction manager resolves in seconds; a forgotten one holds its locks for ever, even over a restart.
    default: 600,
    minimum: 0,
    maximum: 2_592_000,
    doc: 'How long a prepared transaction may wait for its `commit prepared` before it is reported.',
  },
  xmin_age_limit: {
    type: 'integer',
    // Counted in transactions, as dead rows are: a quiet server may lag for days at no cost. Too low reports a standby
    // during one long query of a busy server, too high lets tables swell for hours.
    default: 1_000_000,
    minimum: 0,
    maximum: 2_000_000_000,
    doc: 'How many transactions a slot, a standby or a session may hold back what vacuum can remove.',
  },
  retained_wal_limit: {
    type: 'integer',
    unit: 'megabytes',
    // The default of max_wal_size, which the server keeps anyway. Too low reports a standby that was down for an hour, too
    // high lets a dead slot fill the disk.
    default: 1024,
    minimum: 1,
    maximum: 1_048_576,
    doc: 'How much WAL a replication slot that no session reads from may retain; ten times as much is critical.',
  },
} as const satisfies Settings;

type Config = ConfigOf<typeof config>;
type Reason = 'active' | 'idle_in_transaction' | 'holds_xmin';

function isAutovacuum({ backend_type }: Session): boolean {
  return backend_type === 'autovacuum worker';
}

function isIdleInTransaction({ state }: Session): boolean {
  return state === 'idle in transaction' || state === 'idle in transaction (aborted)';
}

/** Autovacuum takes the time it needs, and so do our own actions while they run: left idle, these are stale as well. */
function sessionReason(session: Session, limits: Config): Reason | null {
  if (session.visibility !== 'visible' || isAutovacuum(session)) return null;
  if (isIdleInTransaction(session)) {
    if ((session.state_seconds ?? 0) >= limits.idle_in_transaction_after) return 'idle_in_transaction';
  } else {
    if (isOurs(session)) return null;
    if ((session.query_seconds ?? 0) >= limits.stale_after) return 'active';
  }
  // Many short statements in one long transaction are neither.
  const holds = session.xmin_age !== null && session.xmin_age >= limits.xmin_age_limit;
  const isLong = (session.transaction_seconds ?? 0) >= limits.stale_after;
  return holds && isLong ? 'holds_xmin' : null;
}

/** Who waits for whom, with what is needed to describe them. */
interface Waits {
  blockersOf: Map<number, LockWait>;
  victimsOf: Map<number, LockWait[]>;
  victimsOfPrepared: PreparedVictim[];
  waitOf: Map<number, LockWait>;
  sessions: Map<number, Session>;
  prepared: readonly PreparedTransaction[];
}

/** The most sessions that a finding describes; it counts them all. */
const described = 10;

function* lookAtWaits(
  now: string,
  pids: readonly number[],
  prepared: readonly PreparedTransaction[],
): Program<Waits> {
  const waits = yield* lockWaits(now);
  const waitOf = new Map(waits.map((wait) => [wait.pid, wait]));
  const victimsOf = new Map<number, LockWait[]>(pids.map((pid) => [pid, []]));
  for (const wait of waits) for (const pid of new Set(wait.blockers)) victimsOf.get(pid)?.push(wait);
  const blockersOf = new Map(waits.filter(({ pid }) => victimsOf.has(pid)).map((wait) => [wait.pid, wait]));
  const victimsOfPrepared = waits.some(({ blockers }) => blockers.includes(0))
    ? yield* preparedVictims()
    : [];
  const named = [
    ...[...blockersOf.values()].flatMap(({ blockers }) => blockers.slice(0, described)),
    ...[...victimsOf.values()].flatMap((victims) => victims.slice(0, described).map(({ pid }) => pid)),
    ...victimsOfPrepared.map(({ pid }) => pid),
  ];
  const sessions = yield* sessionsByPid(now, named);
  return { blockersOf, victimsOf, victimsOfPrepared, waitOf, sessions, prepared };
}

function blockerDetails(pid: number, waits: Waits): JsonObject[] {
  const blockers = [...new Set(waits.blockersOf.get(pid)?.blockers ?? [])];
  const holders = waits.victimsOfPrepared.filter((victim) => victim.pid === pid);
  return blockers.slice(0, described).flatMap((blocker): JsonObject[] => {
    if (blocker === 0) {
      const owners = waits.prepared.filter(({ virtual_transaction }) =>
        holders.some((holder) => holder.virtual_transaction === virtual_transaction),
      );
      // One of another database, whose locks on shared objects count here as well, has no name here.
      if (owners.length === 0) return [{ pid: null, prepared_transaction: null }];
      return owners.map(({ gid, age_seconds }) => ({ pid: null, prepared_transaction: gid, age_seconds }));
    }
    const session = waits.sessions.get(blocker);
    return [session ? sessionDetail(session) : { pid: blocker }];
  });
}

function victimDetails(victims: readonly number[], waits: Waits): JsonObject {
  return {
    victims: victims.slice(0, described).map((pid) => {
      const session = waits.sessions.get(pid);
      return {
        ...(session ? sessionDetail(session) : { pid }),
        waiting_seconds: waits.waitOf.get(pid)?.seconds ?? null,
      };
    }),
    victims_total: victims.length,
  };
}

function waitText(blockers: readonly JsonObject[], victims: number): string {
  const names = blockers.map(({ pid, prepared_transaction: gid }) =>
    typeof pid === 'number'
      ? `process ${pid}`
      : `prepared transaction ${typeof gid === 'string' ? gid : 'of another database'}`,
  );
  return `${names.length > 0 ? ` It waits for ${names.join(', ')}.` : ''}${victims > 0 ? ` It keeps ${sessionCount(victims)} waiting.` : ''}`;
}

function sessionFinding(session: Session, reason: Reason, waits: Waits): Finding {
  const what = {
    active: `has been running one statement for ${duration(session.query_seconds ?? 0)}`,
    idle_in_transaction: `has been idle in a transaction for ${duration(session.state_seconds ?? 0)}`,
    holds_xmin: `has had a transaction open for ${duration(session.transaction_seconds ?? 0)} that holds back vacuum by ${session.xmin_age ?? 0} transactions`,
  }[reason];
  const blockers = blockerDetails(session.pid, waits);
  const victims = (waits.victimsOf.get(session.pid) ?? []).map(({ pid }) => pid);
  const name = processName(session);
  return {
    kind: staleOperationKind,
    severity: 'warning',
    schema: null,
    table: null,
    object: null,
    discriminator: JSON.stringify([
      session.pid,
      session.backend_start,
      reason,
      reason === 'active' ? session.query_start : session.transaction_start,
    ]),
    summary: `${name.charAt(0).toUpperCase()}${name.slice(1)} ${what}.${waitText(blockers, victims.length)}`,
    detail: {
      reason,
      ...sessionDetail(session),
      backend_start: session.backend_start,
      backend_type: session.backend_type,
      query_seconds: session.query_seconds,
      wait_event_type: session.wait_event_type,
      wait_event: session.wait_event,
      xmin_age: session.xmin_age,
      blockers,
      ...victimDetails(victims, waits),
    },
    remedy: reason === 'active' ? session.cancel : session.terminate,
  };
}

function preparedFinding(prepared: PreparedTransaction, waits: Waits): Finding {
  const victims = waits.victimsOfPrepared
    .filter(({ virtual_transaction }) => virtual_transaction === prepared.virtual_transaction)
    .map(({ pid }) => pid);
  return {
    kind: staleOperationKind,
    severity: 'warning',
    schema: null,
    table: null,
    object: prepared.gid,
    discriminator: JSON.stringify([null, 'prepared_transaction', prepared.transaction]),
    summary: `Transaction ${prepared.quoted_gid} of role ${prepared.owner} has been prepared for ${duration(prepared.age_seconds)} and neither committed nor rolled back.${waitText([], victims.length)}`,
    detail: {
      reason: 'prepared_transaction',
      gid: prepared.gid,
      owner: prepared.owner,
      prepared: prepared.prepared,
      age_seconds: prepared.age_seconds,
      xmin_age: prepared.xid_age,
      blockers: [],
      ...victimDetails(victims, waits),
    },
    remedy: prepared.rollback,
  };
}

function standbyFinding(standby: HoldingStandby): Finding {
  return {
    kind: staleOperationKind,
    severity: 'warning',
    schema: null,
    table: null,
    object: standby.application,
    discriminator: JSON.stringify([standby.pid, standby.backend_start, 'standby']),
    summary: `Standby ${standby.application} (process ${standby.pid}) holds back vacuum by ${standby.xmin_age} transactions, for a query that runs there.`,
    detail: {
      reason: 'standby',
      pid: standby.pid,
      client: standby.client,
      xmin_age: standby.xmin_age,
      blockers: [],
      victims: [],
    },
    // Ending the sender here only makes it come back: the query is to be ended there.
    remedy: null,
  };
}

/** What is long but never stuck, for the result: said, so that nobody wonders where it is. */
function excluded(sessions: readonly Session[], { stale_after: staleAfter }: Config): JsonObject {
  const long = sessions.filter(
    (session) => session.visibility === 'visible' && (session.query_seconds ?? 0) >= staleAfter,
  );
  const vacuums = long.filter(isAutovacuum);
  const wraparound = vacuums.filter(({ query }) => query?.endsWith('(to prevent wraparound)'));
  const ours = long.filter((session) => isOurs(session) && !isIdleInTransaction(session));
  return {
    ...(vacuums.length > wraparound.length && { autovacuum: vacuums.length - wraparound.length }),
    ...(wraparound.length > 0 && { autovacuum_to_prevent_wraparound: wraparound.length }),
    ...(ours.length > 0 && { pg_maint: ours.length }),
  };
}

function byReason(findings: readonly Finding[]): JsonObject {
  const counts: Record<string, number> = {};
  for (const { detail } of findings) {
    const reason = detail['reason'] as string;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

function* hiddenStandbys(): Program<Unexamined[]> {
  const hidden = yield* hiddenWalsenders();
  if (hidden === 0) return [];
  return [
    {
      what: 'what standbys hold back from vacuum',
      reason: 'not_permitted',
      detail: `${hidden} walsenders of other roles`,
      remedy: yield* grantOf('pg_read_all_stats'),
    },
  ];
}

export default defineStep({
  number: 5,
  name: 'stale_operations',
  title: 'Check for stale operations',
  feature: 'features.stale_operations',
  kinds: [staleOperationKind],
  config,
  interval: () => 0,
  unexamined: { cleanup: { stale_operations: null } },

  *check({ config: limits, now, unmuted }) {
    yield* refreshActivity();
    const sessions = yield* busySessions(now);
    const prepared = yield* preparedTransactions(now);
    const stale = sessions.flatMap((session) => {
      const reason = sessionReason(session, limits);
      return reason ? [{ session, reason }] : [];
    });
    const stalePrepared = prepared.filter(
      ({ age_seconds }) => age_seconds >= limits.prepared_transaction_after,
    );
    const findings: Finding[] = [];
    if (stale.length + stalePrepared.length > 0) {
      const waits = yield* lookAtWaits(
        now,
        stale.map(({ session }) => session.pid),
        prepared,
      );
      findings.push(
        ...stale.map(({ session, reason }) => sessionFinding(session, reason, waits)),
        ...stalePrepared.map((each) => preparedFinding(each, waits)),
      );
    }
    findings.push(
      ...(yield* holdingSlots(now)).flatMap((slot) => slotFinding(staleOperationKind, slot, limits) ?? []),
      ...(yield* holdingStandbys(limits.xmin_age_limit)).map(standbyFinding),
    );

    const unexamined = sessions.filter(({ visibility }) => visibility !== 'visible');
    const notStuck = excluded(sessions, limits);
    const cleanup: JsonObject = { stale_operations: findings.length };
    if (findings.length > 0) cleanup['stale_operations_by_reason'] = byReason(findings);
    if (unexamined.length > 0) cleanup['stale_operations_unexamined'] = unexaminedSessions(unexamined);
    if (Object.keys(notStuck).length > 0) cleanup['long_operations_not_stuck'] = notStuck;
    const loud = unmuted(findings).filter(({ severity }) => severity !== 'info');
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0 ? [] : [{ severity: 'warning', message: `${loud.length} stale operations found` }],
      actions: [],
      examined: [staleOperationKind],
      keepOpen: yield* findingsAboutPids(
        staleOperationKind,
        unexamined.map(({ pid }) => pid),
      ),
      coverage: examinedAllBut(sessions.length + prepared.length, unexamined.length, [
        ...(yield* hiddenSessions(unexamined)),
        ...(yield* hiddenStandbys()),
      ]),
    };
  },
});
