/** Actions begin only while a maintenance window is open. One that is under way when it closes is finished. */
import type pg from 'pg';
import { queryRow } from '../connection.ts';
import type { Safeguard, SafeguardConfig } from './safeguard.ts';
import { parseWindow, stateOf } from '../../core/window.ts';
import type { LocalTime, Window, WindowState } from '../../core/window.ts';

/** A setting may change meanwhile, and a clock may be put forward. */
const longestRetrySeconds = 900;

/** The windows as they are configured, and the entries that are none. */
export function windowsOf(config: SafeguardConfig): { windows: Window[]; unreadable: string[] } {
  const texts = config['maintenance_windows'] as string[];
  const windows = texts.map((text) => parseWindow(text));
  return {
    windows: windows.filter((window) => window !== null),
    unreadable: texts.filter((_, position) => windows[position] === null),
  };
}

/** What the clock on the wall shows in the configured time zone; UTC, and not `known`, where the server knows no such zone. */
export async function localTime(
  client: pg.ClientBase,
  config: SafeguardConfig,
): Promise<LocalTime & { known: boolean }> {
  return await queryRow<LocalTime & { known: boolean }>(
    client,
    `select z.known, extract(isodow from l.local)::int as day,
       (extract(hour from l.local) * 60 + extract(minute from l.local))::int as minute
     from (
       select exists (
         select from pg_catalog.pg_timezone_names as n where pg_catalog.lower(n.name) = pg_catalog.lower($1)) as known
     ) as z
     cross join lateral (
       select pg_catalog.clock_timestamp() at time zone case when z.known then $1 else 'UTC' end as local) as l`,
    [config['time_zone']],
  );
}

/** `problem`: what keeps it from being known; null where there are no windows. */
export async function windowState(
  client: pg.ClientBase,
  config: SafeguardConfig,
): Promise<WindowState | { problem: string } | null> {
  const { windows, unreadable } = windowsOf(config);
  if (unreadable.length > 0) return { problem: `no maintenance window: ${JSON.stringify(unreadable)}` };
  if (windows.length === 0) return null;
  const { known, ...local } = await localTime(client, config);
  if (!known) return { problem: `no time zone that the server knows: ${config['time_zone'] as string}` };
  return stateOf(windows, local);
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
