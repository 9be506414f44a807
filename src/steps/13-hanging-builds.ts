/**
 * Step 13: concurrent index builds that do not move. CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY wait, several
 * times, for the transactions that began before; one that is never ended keeps the build waiting for ever, with a lock
 * on the table and an invalid index that every write pays for.
 */
import { concurrentBuilds, sampleBuilds } from '../catalog/index-builds.ts';
import type { IndexBuild } from '../catalog/index-builds.ts';
import { preparedTransactions, preparedVictims } from '../catalog/prepared-transactions.ts';
import type { PreparedTransaction } from '../catalog/prepared-transactions.ts';
import {
  duration,
  findingsAboutPids,
  hiddenSessions,
  lockWaits,
  processName,
  refreshActivity,
  sessionDetail,
  sessionsByPid,
  unexaminedSessions,
} from '../catalog/sessions.ts';
import type { LockWait, Session } from '../catalog/sessions.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Program } from '../core/program.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const hangingBuildKind = 'build.hanging';

/** The most blockers that a finding describes. */
const describedBlockers = 10;

/**
 * Whether a build at work would show it in its counters. Sorting has none, nor has what some access methods do when
 * they have read the whole table; there only a wait for a lock is evidence. The other mistake, calling a long sort
 * stuck, would have someone cancel hours of work.
 */
function countsItsWork({ phase, counters }: IndexBuild): boolean {
  if (phase.startsWith('waiting for')) return true;
  if (phase.includes('sorting')) return false;
  return counters.blocks_done < counters.blocks_total || counters.tuples_done < counters.tuples_total;
}

interface HangingBuild {
  build: IndexBuild;
  unchanged: number;
}

interface Blockers {
  session: Session | null;
  prepared: PreparedTransaction | null;
  /** All of them, the first one included. */
  details: JsonObject[];
}

interface Looked {
  builds: IndexBuild[];
  hanging: HangingBuild[];
  waits: Map<number, LockWait>;
}

function* lookAtBuilds(now: string, hangingAfter: number): Program<Looked> {
  yield* refreshActivity();
  const builds = yield* concurrentBuilds();
  const samples = yield* sampleBuilds(now, builds);
  const still = builds.flatMap((build, position): HangingBuild[] => {
    // Nothing stands still that was seen only once, whatever the threshold.
    const unchanged = samples[position]?.unchanged_seconds ?? 0;
    return build.visible && unchanged > 0 && unchanged >= hangingAfter ? [{ build, unchanged }] : [];
  });
  const waits = still.length === 0 ? [] : yield* lockWaits(now);
  const waitOf = new Map(waits.map((wait) => [wait.pid, wait]));
  const hanging = still.filter(({ build }) => countsItsWork(build) || waitOf.has(build.pid));
  return { builds, hanging, waits: waitOf };
}

/**
 * Who holds up each build, by the lock it waits for. current_locker_pid is not asked: for a prepared transaction it
 * names the session that prepared it, which has long gone on to something else.
 */
function* blockersOf(
  now: string,
  hanging: readonly HangingBuild[],
  waits: Map<number, LockWait>,
): Program<Map<number, Blockers>> {
  const pidsOf = ({ build }: HangingBuild): number[] => [
    ...new Set(waits.get(build.pid)?.blockers.slice(0, describedBlockers) ?? []),
  ];
  const sessions = yield* sessionsByPid(now, hanging.flatMap(pidsOf));
  const anyPrepared = hanging.some((each) => pidsOf(each).includes(0));
  const prepared = anyPrepared ? yield* preparedTransactions(now) : [];
  const victims = anyPrepared ? yield* preparedVictims() : [];

  return new Map(
    hanging.map((each) => {
      const { pid } = each.build;
      const processes = pidsOf(each).flatMap((blocker) => sessions.get(blocker) ?? []);
      const transactions = prepared.filter(({ virtual_transaction: holder }) =>
        victims.some((victim) => victim.pid === pid && victim.virtual_transaction === holder),
      );
      const details = [
        ...processes.map((session) => ({
          ...sessionDetail(session),
          waits_for_lock: waits.has(session.pid),
        })),
        ...transactions.map(({ gid, age_seconds }) => ({
          pid: null,
          prepared_transaction: gid,
          age_seconds,
        })),
      ];
      return [pid, { session: processes[0] ?? null, prepared: transactions[0] ?? null, details }];
    }),
  );
}

/** Cancelling ends a statement; what is idle in a transaction, or does not show what it is, can only be ended. */
function remedyFor(build: string, { session, prepared }: Blockers): string {
  if (session) return session.state === 'active' ? session.cancel : session.terminate;
  return prepared?.rollback ?? build;
}

function blockerText({ session, prepared }: Blockers): string {
  if (session) {
    const state = session.visibility === 'visible' ? (session.state ?? 'at work') : 'not permitted to see';
    return `It waits for ${processName(session)}: ${state}${
      session.transaction_seconds === null
        ? ''
        : `, its transaction is open for ${duration(session.transaction_seconds)}`
    }.`;
  }
  return prepared
    ? `It waits for prepared transaction ${prepared.quoted_gid}.`
    : 'It waits for no lock of a session that can be named.';
}

function hangingFinding({ build, unchanged }: HangingBuild, blockers: Blockers, cancel: string): Finding {
  const { session, prepared, details } = blockers;
  const what =
    build.quoted_index === null ? build.quoted_table : `${build.quoted_index} on ${build.quoted_table}`;
  return {
    kind: hangingBuildKind,
    severity: 'warning',
    schema: build.schema,
    table: build.table,
    object: build.index,
    discriminator: JSON.stringify([build.pid, build.backend_start, build.query_start]),
    summary: `${build.command} of ${what} (process ${build.pid}) has not moved for ${duration(unchanged)} in the phase "${build.phase}". ${blockerText(blockers)}`,
    detail: {
      pid: build.pid,
      backend_start: build.backend_start,
      command: build.command,
      ...build.counters,
      unchanged_seconds: unchanged,
      blocker_pid: session?.pid ?? null,
      blocker_query: session?.query ?? null,
      blocker_state: session?.state ?? null,
      blocker_transaction_seconds: session?.transaction_seconds ?? null,
      blocker_prepared_transaction: session ? null : (prepared?.gid ?? null),
      blockers: details,
    },
    remedy: remedyFor(cancel, blockers),
  };
}

export default defineStep({
  number: 13,
  name: 'hanging_builds',
  title: 'Check for hanging concurrent index builds',
  feature: 'features.concurrent_index_monitoring',
  kinds: [hangingBuildKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Watch concurrent index builds.' },
    hanging_after: {
      type: 'integer',
      unit: 'seconds',
      // Builds wait for others by design, and a blocker that ends within minutes needs nobody. Too short is a false
      // alarm for each long transaction; too long leaves an invalid index to be paid for by every write.
      default: 600,
      minimum: 0,
      maximum: 604_800,
      doc: 'How long none of the counters of a build may move before it is hanging. Two runs must have seen it so.',
    },
  },
  interval: () => 0,
  unexamined: {
    cleanup: {
      hanging_concurrent_builds: null,
      concurrent_index_monitoring: { active_builds: null, hanging_builds: null },
    },
  },

  *check({ config, now, unmuted }) {
    const { builds, hanging, waits } = yield* lookAtBuilds(now, config.hanging_after);
    const blockers = yield* blockersOf(now, hanging, waits);
    const builders = yield* sessionsByPid(
      now,
      hanging.map(({ build }) => build.pid),
    );
    const findings = hanging.map((each) => {
      const { pid } = each.build;
      const cancel = builders.get(pid)?.cancel ?? `select pg_catalog.pg_cancel_backend(${pid});`;
      return hangingFinding(
        each,
        blockers.get(pid) ?? { session: null, prepared: null, details: [] },
        cancel,
      );
    });

    const hidden = builds.filter(({ visible }) => !visible);
    const monitoring: JsonObject = {
      active_builds: builds.length - hidden.length,
      hanging_builds: findings.length,
    };
    if (hidden.length > 0) {
      monitoring['unexamined'] = unexaminedSessions(
        hidden.map(({ pid, role }) => ({ pid, role, visibility: 'hidden' })),
      );
    }
    return {
      result: {
        cleanup: { hanging_concurrent_builds: findings.length, concurrent_index_monitoring: monitoring },
      },
      findings,
      alerts: unmuted(findings).map(({ summary, remedy }) => ({
        severity: 'warning',
        message: summary,
        detail: { remedy },
      })),
      actions: [],
      examined: [hangingBuildKind],
      keepOpen: yield* findingsAboutPids(
        hangingBuildKind,
        hidden.map(({ pid }) => pid),
      ),
      coverage: examinedAllBut(
        builds.length,
        hidden.length,
        yield* hiddenSessions(hidden.map(({ pid, role }) => ({ pid, role, visibility: 'hidden' }))),
      ),
    };
  },
});
