/**
 * Step 4: advisory locks that their holder has forgotten. Only the session that took such a lock can release it, so one
 * left behind by a pooled connection, an open transaction or a prepared one keeps others waiting until somebody ends
 * that session. An idle session that holds a lock which nobody waits for is a leader doing its duty, and none of ours.
 */
import { matchesWildcards, wildcardsOf } from '../core/wildcards.ts';
import { advisoryLocks, rememberLocks } from '../catalog/advisory-locks.ts';
import type { AdvisoryLock } from '../catalog/advisory-locks.ts';
import { preparedTransactions } from '../catalog/prepared-transactions.ts';
import type { PreparedTransaction } from '../catalog/prepared-transactions.ts';
import {
  duration,
  findingsAboutPids,
  hiddenSessions,
  isOurs,
  processName,
  refreshActivity,
  sessionCount,
  sessionDetail,
  sessionsByPid,
  unexaminedSessions,
} from '../catalog/sessions.ts';
import type { Session } from '../catalog/sessions.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { countActionsOf, defineStep } from './step.ts';
import type { Action, Finding, Json, JsonObject } from './step.ts';

export const staleLockKind = 'lock.stale_advisory';

/** Why a lock is stale; `busy_and_blocking` is the one whose holder is still at work. */
type Reason = 'idle_in_transaction' | 'idle_and_blocking' | 'busy_and_blocking' | 'prepared_transaction';

interface StaleLock {
  lock: AdvisoryLock;
  reason: Reason;
  /** Seconds it has been held at the least. */
  held: number;
  session: Session | null;
  prepared: PreparedTransaction | null;
}

/** The most waiting sessions that a finding describes; it counts them all. */
const describedWaiters = 10;

/** Whether a name matches one of the patterns, in which * stands for any characters and ? for one. */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesWildcards(wildcardsOf(pattern), name));
}

/**
 * An idle state counts from when it began, too: a lock that was taken anew a moment ago, after we had seen it held an
 * hour ago, has an old sighting but a holder that is not idle for long.
 */
function staleReason(lock: AdvisoryLock, session: Session, seen: number, staleAfter: number): Reason | null {
  if (seen < staleAfter) return null;
  const quiet = (session.state_seconds ?? 0) >= staleAfter;
  switch (session.state) {
    case 'idle':
      return quiet && lock.waiters.length > 0 ? 'idle_and_blocking' : null;
    case 'idle in transaction':
    case 'idle in transaction (aborted)':
      return quiet ? 'idle_in_transaction' : null;
    default:
      // Work under a lock with others in the queue is what locks are for, until one of them waits too long.
      return lock.waiters.some(({ seconds }) => (seconds ?? 0) >= staleAfter) ? 'busy_and_blocking' : null;
  }
}

const reasonText = {
  idle_in_transaction: 'which is idle in a transaction',
  idle_and_blocking: 'which is idle',
  busy_and_blocking: 'which is at work',
} as const;

function staleFinding(stale: StaleLock, waiting: Map<number, Session>): Finding {
  const { lock, reason, held, session, prepared } = stale;
  const holder =
    reason === 'prepared_transaction'
      ? `prepared transaction ${prepared?.quoted_gid ?? ''}`
      : `${session ? processName(session) : ''}, ${reasonText[reason]}`;
  const blocked =
    lock.waiters.length === 0
      ? 'Nobody waits for it'
      : `It keeps ${sessionCount(lock.waiters.length)} waiting`;
  return {
    kind: staleLockKind,
    severity: reason === 'busy_and_blocking' ? 'info' : 'warning',
    schema: null,
    table: null,
    object: lock.key,
    discriminator: JSON.stringify(
      session
        ? [session.pid, session.backend_start, lock.objsubid]
        : [null, prepared?.gid ?? null, prepared?.transaction ?? null, lock.objsubid],
    ),
    summary: `Advisory lock (${lock.key}) has been held for at least ${duration(held)} by ${holder}. ${blocked}.`,
    detail: {
      reason,
      key: lock.key,
      key_type: lock.objsubid === 1 ? 'bigint' : 'two ints',
      modes: lock.modes,
      held_seconds: held,
      waiting: lock.waiters.length,
      waiters: lock.waiters.slice(0, describedWaiters).map(({ pid, mode, seconds }) => {
        const waiter = waiting.get(pid);
        return { ...(waiter ? sessionDetail(waiter) : { pid }), mode, waiting_seconds: seconds };
      }),
      ...(session && { ...sessionDetail(session), backend_start: session.backend_start }),
      ...(prepared && {
        pid: null,
        gid: prepared.gid,
        owner: prepared.owner,
        prepared: prepared.prepared,
      }),
    },
    remedy: session?.terminate ?? prepared?.rollback ?? null,
  };
}

/** One for each session, however many locks it holds: ending it releases them all. */
function terminations(
  found: readonly { stale: StaleLock; finding: Finding }[],
  patterns: readonly string[],
): Action[] {
  const actions = new Map<number, Action>();
  for (const { stale, finding } of found) {
    const { session, reason, lock } = stale;
    if (!session?.backend_start || reason === 'busy_and_blocking') continue;
    if (!isOurs(session) && !matchesAny(patterns, session.application)) continue;
    const known = actions.get(session.pid);
    if (known) {
      (known.evidence['keys'] as Json[]).push(lock.key);
      continue;
    }
    actions.set(session.pid, {
      kind: 'terminate_backend',
      finding,
      target: { pid: session.pid, backend_start: session.backend_start },
      reason,
      evidence: { keys: [lock.key], ...sessionDetail(session) },
    });
  }
  return [...actions.values()];
}

interface Looked {
  locks: number;
  stale: StaleLock[];
  unexamined: Session[];
}

function* lookAtLocks(now: string, staleAfter: number, expected: readonly string[]): Program<Looked> {
  yield* refreshActivity();
  const locks = yield* advisoryLocks(now);
  const held = locks.flatMap((lock) => (lock.pid === null ? [] : [{ lock, pid: lock.pid }]));
  const sessions = yield* sessionsByPid(
    now,
    held.map(({ pid }) => pid),
  );
  const holders = held.flatMap(({ lock, pid }) => {
    // Between the two looks a session may have ended, and its locks with it.
    const session = sessions.get(pid);
    return session ? [{ lock, session }] : [];
  });
  const seen = yield* rememberLocks(
    now,
    holders.map(({ lock, session }) => ({
      pid: session.pid,
      backend_start: session.backend_start,
      classid: lock.classid,
      objid: lock.objid,
      objsubid: lock.objsubid,
    })),
  );

  const stale: StaleLock[] = holders.flatMap(({ lock, session }, position) => {
    if (session.visibility !== 'visible' || matchesAny(expected, session.application)) return [];
    const sinceSeen = seen[position] ?? 0;
    const reason = staleReason(lock, session, sinceSeen, staleAfter);
    if (!reason) return [];
    // What is idle has taken its locks before.
    const held = reason === 'busy_and_blocking' ? sinceSeen : Math.max(sinceSeen, session.state_seconds ?? 0);
    return [{ lock, reason, held, session, prepared: null }];
  });
  if (held.length < locks.length) {
    const prepared = yield* preparedTransactions(now);
    for (const lock of locks.filter(({ pid }) => pid === null)) {
      const owner = prepared.find((each) => each.virtual_transaction === lock.virtual_transaction);
      if (owner && owner.age_seconds >= staleAfter) {
        const found = { lock, reason: 'prepared_transaction', held: owner.age_seconds } as const;
        stale.push({ ...found, session: null, prepared: owner });
      }
    }
  }
  const unexamined = [...sessions.values()].filter(({ visibility }) => visibility !== 'visible');
  return { locks: locks.length, stale, unexamined };
}

export default defineStep({
  number: 4,
  name: 'stale_advisory_locks',
  title: 'Clean up stale advisory locks',
  feature: 'features.advisory_lock_cleanup',
  kinds: [staleLockKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Look for stale advisory locks.' },
    stale_after: {
      type: 'integer',
      unit: 'seconds',
      // Five minutes, as always in this workflow. Too short reports a pause as neglect, and may end a session that is
      // on the list; too long keeps those who wait waiting.
      default: 300,
      minimum: 0,
      maximum: 604_800,
      doc: 'How long a lock must have been seen held, and its holder idle, before it is stale. Counted from the first run that saw the lock.',
    },
    auto_cleanup: {
      type: 'boolean',
      default: true,
      doc: 'Queue the end of idle sessions with stale locks that are our own or on the list `terminate_applications`. Off: report only.',
    },
    terminate_applications: {
      type: 'list',
      default: [],
      doc: 'Names of applications (`application_name`) whose idle sessions may be ended for a stale lock; `*` and `?` are wildcards.',
    },
    expected_applications: {
      type: 'list',
      default: [],
      doc: 'Names of applications that hold advisory locks on purpose for as long as they run, such as a leader whose deputies wait for its lock: never reported. `*` and `?` are wildcards.',
    },
  },
  interval: () => 0,
  actionCounts: { stale_advisory_locks: 'terminate_backend' },
  unexamined: { cleanup: { stale_advisory_locks: null, stale_advisory_locks_found: null } },

  *check({ config, now, unmuted }) {
    const { locks, stale, unexamined } = yield* lookAtLocks(
      now,
      config.stale_after,
      config.expected_applications,
    );
    const waiting = yield* sessionsByPid(
      now,
      stale.flatMap(({ lock }) => lock.waiters.slice(0, describedWaiters).map(({ pid }) => pid)),
    );
    const found = stale.map((each) => ({ stale: each, finding: staleFinding(each, waiting) }));
    const actions = config.auto_cleanup ? terminations(found, config.terminate_applications) : [];

    const cleanup: JsonObject = { stale_advisory_locks_found: found.length };
    if (unexamined.length > 0) cleanup['stale_advisory_locks_unexamined'] = unexaminedSessions(unexamined);
    const findings = found.map(({ finding }) => finding);
    const loud = unmuted(findings);
    return {
      result: { cleanup },
      findings,
      alerts:
        loud.length === 0
          ? []
          : [
              {
                severity: 'info',
                message: `${loud.length} stale advisory locks found, ${sessionCount(countActionsOf(loud, actions))} to be ended`,
              },
            ],
      actions,
      examined: [staleLockKind],
      keepOpen: yield* findingsAboutPids(
        staleLockKind,
        unexamined.map(({ pid }) => pid),
      ),
      coverage: examinedAllBut(locks, unexamined.length, yield* hiddenSessions(unexamined)),
    };
  },
});
