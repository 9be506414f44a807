/**
 * Step 15: what the worker attempted, what came of it and what the safeguards held back, from the events that it
 * recorded: they outlive it. Nothing attempted is neither a success nor a failure.
 */
import { leftToWorker } from '../catalog/worker-alive.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Unexamined } from '../core/coverage.ts';
import { query } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { defineStep } from './step.ts';
import type { Alert, JsonObject } from './step.ts';

/** A day holds every maintenance window once. Shorter would show a night's work as nothing at noon. */
const periodHours = 24;

/**
 * Fewer ended attempts say nothing of a rate: one failure of one would be called degraded. More keep a broken installation
 * looking well for longer.
 */
const fewestEnded = 3;

/** Failing as often as not is no accident. Lower alarms after a few skipped locks, higher when nothing works any more. */
const degradedBelow = 0.5;

interface Counts {
  kind: string;
  attempts: number;
  successes: number;
  failures: number;
  lock_timeouts: number;
  refusals: number;
}

const countsQuery = `
  select pg_catalog.jsonb_build_object('kind', e.kind,
      'attempts', pg_catalog.count(*) filter (where e.event = 'attempt'),
      'successes', pg_catalog.count(*) filter (where e.event = 'success'),
      'failures', pg_catalog.count(*) filter (where e.event = 'failure'),
      'lock_timeouts', pg_catalog.count(*) filter (where e.event = 'lock_timeout'),
      'refusals', pg_catalog.count(*) filter (where e.event = 'refused')) as row
  from maint.safeguard_event as e
  where e.at > $1::timestamptz - pg_catalog.make_interval(hours => $2::int)
  group by e.kind
  order by e.kind`;

interface Refusals {
  safeguard: string;
  times: number;
  /** The same action may be refused again and again. */
  actions: number;
  /** Of those, how many still wait. */
  waiting: number;
}

const refusalsQuery = `
  select pg_catalog.jsonb_build_object('safeguard', e.safeguard, 'times', sum(e.times)::int8,
      'actions', pg_catalog.count(*), 'waiting', pg_catalog.count(a.action_id)) as row
  from (
    select r.safeguard, r.action_id, pg_catalog.count(*) as times
    from maint.safeguard_event as r
    where r.event = 'refused' and r.at > $1::timestamptz - pg_catalog.make_interval(hours => $2::int)
    group by r.safeguard, r.action_id) as e
  left join maint.action as a on a.action_id = e.action_id and a.status = 'queued'
  group by e.safeguard
  order by e.safeguard`;

/** The worker that looked last; one that has been silent for longer than maint.status() calls alive has nothing to say. */
const freeDiskQuery = `
  select w.free_disk as row
  from maint.worker as w
  where w.free_disk is not null and w.last_seen > $1::timestamptz - interval '90 seconds'
  order by (w.free_disk ->> 'known')::boolean desc, w.last_seen desc
  limit 1`;

/** Of the attempts that have come to an end; null where none has. */
function successRate({ successes, failures }: Counts): number | null {
  const ended = successes + failures;
  return ended === 0 ? null : Math.round((successes / ended) * 1000) / 1000;
}

function countsOf(counts: Counts): JsonObject {
  return {
    attempts: counts.attempts,
    successes: counts.successes,
    failures: counts.failures,
    success_rate: successRate(counts),
    lock_timeouts: counts.lock_timeouts,
    refusals: counts.refusals,
  };
}

function summed(all: readonly Counts[], kind: string): Counts {
  const sum = { kind, attempts: 0, successes: 0, failures: 0, lock_timeouts: 0, refusals: 0 };
  for (const each of all) {
    sum.attempts += each.attempts;
    sum.successes += each.successes;
    sum.failures += each.failures;
    sum.lock_timeouts += each.lock_timeouts;
    sum.refusals += each.refusals;
  }
  return sum;
}

function degradedBecause(all: readonly Counts[]): string[] {
  return all.flatMap((counts) => {
    const rate = successRate(counts);
    const ended = counts.successes + counts.failures;
    const failing = rate !== null && ended >= fewestEnded && rate < degradedBelow;
    const kept = counts.lock_timeouts >= fewestEnded && counts.lock_timeouts > counts.successes;
    return [
      ...(failing ? [`${counts.kind}: ${counts.failures} of ${ended} attempts failed`] : []),
      ...(kept ? [`${counts.kind}: ${counts.lock_timeouts} times a lock was not to be had`] : []),
    ];
  });
}

const freeDiskPart = 'free disk space';
const diskRemedy = `select maint.configure('operational.safeguards.disk_total_gb', '500');`;

/** The worker looks at the disks: an index is rebuilt only where there is room. */
function* notLooked(freeDisk: JsonObject | undefined, now: string): Program<Unexamined[]> {
  if (freeDisk === undefined) return [yield* leftToWorker(now, freeDiskPart)];
  if (freeDisk['known'] === true) return [];
  const detail = typeof freeDisk['reason'] === 'string' ? freeDisk['reason'] : 'not known';
  return [{ what: freeDiskPart, reason: 'not_supported', detail, remedy: diskRemedy }];
}

export default defineStep({
  number: 15,
  name: 'safeguard_metrics',
  title: 'Report safeguard metrics',
  feature: null,
  kinds: [],
  config: {},
  interval: () => 0,
  unexamined: {
    cleanup: {
      safeguard_metrics: {
        index_creation: { attempts: null, successes: null, success_rate: null },
        rate_limit_triggers: null,
        load_throttle_triggers: null,
        lock_acquisition_failures: null,
        maintenance_window_skips: null,
        free_disk: null,
      },
      safeguard_status: null,
    },
  },

  *check({ now }) {
    const kinds = yield* query<Counts>(countsQuery, [now, periodHours]);
    const [freeDisk] = yield* query<JsonObject>(freeDiskQuery, [now]);
    const refusals = yield* query<Refusals>(refusalsQuery, [now, periodHours]);
    const all = summed(kinds, 'all');
    const creation = kinds.find(({ kind }) => kind === 'create_index') ?? summed([], 'create_index');
    const refusedBy = (name: string): number =>
      refusals.find(({ safeguard }) => safeguard === name)?.times ?? 0;
    const reasons = degradedBecause(kinds);
    const status = reasons.length > 0 ? 'degraded' : all.attempts === 0 ? 'n/a' : 'healthy';
    const alerts: Alert[] =
      reasons.length === 0 ? [] : [{ severity: 'warning', message: `actions fail: ${reasons.join('; ')}` }];
    return {
      result: {
        cleanup: {
          safeguard_metrics: {
            period_hours: periodHours,
            index_creation: countsOf(creation),
            actions: Object.fromEntries(kinds.map((counts) => [counts.kind, countsOf(counts)])),
            rate_limit_triggers: refusedBy('rate_limit'),
            load_throttle_triggers: refusedBy('load_throttle'),
            lock_acquisition_failures: all.lock_timeouts,
            maintenance_window_skips: refusedBy('maintenance_window'),
            free_disk: freeDisk ?? { known: false, places: [], reason: 'no worker is alive that has looked' },
            refusals: Object.fromEntries(
              refusals.map(({ safeguard, times, actions, waiting }) => [
                safeguard,
                { times, actions, waiting },
              ]),
            ),
          },
          safeguard_status: status,
          ...(reasons.length > 0 && { safeguard_status_reasons: reasons }),
        },
      },
      findings: [],
      alerts,
      actions: [],
      examined: [],
      coverage: examinedAllBut(kinds.length, 0, yield* notLooked(freeDisk, now)),
    };
  },
});
