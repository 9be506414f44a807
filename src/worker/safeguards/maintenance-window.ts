/** Actions begin only while a maintenance window is open. One that is under way when it closes is finished. */
import type pg from 'pg';
import { queryRow } from '../connection.ts';
import type { Safeguard, SafeguardConfig } from './safeguard.ts';
import { parseWindow, stateOf } from '../../core/window.ts';
import type { LocalTime, WindowState } from '../../core/window.ts';

/** A setting may change meanwhile, and a clock may be put forward. */
const longestRetrySeconds = 900;

/**
 * `problem`: what keeps it from being known; null where there are no windows. `at`, an ISO 8601 time, stands for now.
 * A window is open by the clock on the wall: on the night that has an hour twice for an hour longer, on the one that
 * lacks an hour for one less, and one that lies within the lacking hour not at all.
 */
export async function windowState(
  client: pg.ClientBase,
  config: SafeguardConfig,
  at: string | null = null,
): Promise<WindowState | { problem: string } | null> {
  const texts = config['maintenance_windows'] as string[];
  if (texts.length === 0) return null;
  const windows = texts.map((text) => parseWindow(text));
  const unreadable = texts.filter((_, position) => windows[position] === null);
  if (unreadable.length > 0) return { problem: `no maintenance window: ${JSON.stringify(unreadable)}` };
  const zone = config['time_zone'] as string;
  const { known, local, day, minute } = await queryRow<LocalTime & { known: boolean; local: string }>(
    client,
    `select z.known, l.local::text, extract(isodow from l.local)::int as day,
       (extract(hour from l.local) * 60 + extract(minute from l.local))::int as minute
     from maint.time_zone_known($1) as z (known)
     cross join lateral (
       select coalesce($2::timestamptz, pg_catalog.clock_timestamp())
         at time zone case when z.known then $1 else 'UTC' end as local) as l`,
    [zone, at],
  );
  if (!known) return { problem: `no time zone that the server knows: ${zone}` };
  const state = stateOf(
    windows.filter((window) => window !== null),
    { day, minute },
  );
  if (!state.open) return state;
  const { minutes } = await queryRow<{ minutes: number }>(
    client,
    `select pg_catalog.floor(extract(epoch from coalesce($4::timestamptz, pg_catalog.clock_timestamp())
       - (pg_catalog.date_trunc('minute', $1::timestamp) - pg_catalog.make_interval(mins => $2::int)) at time zone $3)
       / 60)::int as minutes`,
    [local, state.sinceMinutes, zone, at],
  );
  // It began, by the clock on the wall, in an hour that there is not, or twice: the longer time has all that was done.
  return { open: true, sinceMinutes: minutes < 0 ? state.sinceMinutes : minutes };
}

export const maintenanceWindow: Safeguard = {
  name: 'maintenance_window',
  async check(client, _action, config) {
    const state = await windowState(client, config);
    if (state === null) return { allowed: true };
    if ('problem' in state) {
      // Closed, not open: what was meant to keep actions from the day must not let them in by a slip of the pen.
      return { allowed: false, reason: state.problem, retryAfterSeconds: longestRetrySeconds };
    }
    if (state.open) return { allowed: true };
    return {
      allowed: false,
      reason: `outside of the maintenance windows; the next one opens in ${state.opensInMinutes} minutes`,
      retryAfterSeconds: Math.min(Math.max(state.opensInMinutes * 60, 30), longestRetrySeconds),
    };
  },
};
