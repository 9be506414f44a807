/** A rebuild begins only if it will be done, at the speed measured here, before the maintenance window closes. */
import type { Json } from '../../steps/step.ts';
import { bytesPerSecond } from '../../catalog/rebuilds.ts';
import { minutesToUse, parseWindow } from '../../core/window.ts';
import type { LocalTime } from '../../core/window.ts';
import { queryRow } from '../connection.ts';
import { runInTransaction } from '../host.ts';
import { windowState } from './maintenance-window.ts';
import type { Safeguard } from './safeguard.ts';

/** The window may be the next one: it is looked at again then. */
const longestRetrySeconds = 900;

export const timeLeft: Safeguard = {
  name: 'time_left',
  async check(client, action, config) {
    if (action.kind !== 'reindex_index' || !('oid' in action.target)) return { allowed: true };
    const state = await windowState(client, config);
    if (state === null || 'problem' in state || !state.open) return { allowed: true };
    // What the step predicted of the new index; of one that was asked for by hand, at most its size as of its last VACUUM.
    const predicted: Json | undefined = action.evidence['predicted_bytes'];
    const { bytes } = await queryRow<{ bytes: number }>(
      client,
      `select coalesce($2::float8, (
         select c.relpages::float8 * pg_catalog.current_setting('block_size')::int
         from pg_catalog.pg_class as c where c.oid = $1::oid), 0) as bytes`,
      [action.target.oid, typeof predicted === 'number' ? predicted : null],
    );
    const minutes = bytes / (await runInTransaction(client, bytesPerSecond())) / 60;
    const windows = (config['maintenance_windows'] as string[])
      .map((text) => parseWindow(text))
      .filter((window) => window !== null);
    const local = await queryRow<LocalTime & Record<string, unknown>>(
      client,
      `select extract(isodow from l.local)::int as day,
         (extract(hour from l.local) * 60 + extract(minute from l.local))::int as minute
       from (select pg_catalog.clock_timestamp() at time zone $1 as local) as l`,
      [config['time_zone']],
    );
    const left = minutesToUse(windows, local);
    if (minutes <= left) return { allowed: true };
    const longest = Math.max(...windows.map(({ from, to }) => to - from));
    return {
      allowed: false,
      reason: `it would take ${Math.ceil(minutes)} minutes, and ${Math.floor(left)} are left of the maintenance window`,
      // No window will ever be long enough.
      retryAfterSeconds: minutes > longest ? null : Math.min(longestRetrySeconds, Math.max(30, left * 60)),
    };
  },
};
