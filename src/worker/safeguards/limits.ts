/** How much may be done in one maintenance window: count, size of one, size of all, minutes. */
import type { Kind } from '../actions/action.ts';
import { queryRow } from '../connection.ts';
import type { Answer, Safeguard } from './safeguard.ts';
import { windowState } from './maintenance-window.ts';

const indexOperations: readonly Kind[] = ['drop_index', 'create_index', 'reindex_index'];
const minutesWithoutWindow = 1440;
const retryAfterSeconds = 900;
const bytesPerMegabyte = 1024 * 1024;

interface Done {
  actions: number;
  megabytes: number;
  minutes: number;
  /** Of the index to be rebuilt, as of its last VACUUM: measuring would queue behind who wants it exclusively. */
  size: number;
}

const doneQuery = `
  select pg_catalog.count(*)::int as actions,
    coalesce(sum(greatest(a.size_before, a.size_after)) filter (where a.kind <> 'drop_index'), 0)::float8
      / ${bytesPerMegabyte} as megabytes,
    coalesce(sum(extract(epoch from coalesce(a.finished_at, pg_catalog.clock_timestamp()) - a.started_at)), 0)::float8
      / 60 as minutes,
    coalesce((
      select c.relpages::float8 * pg_catalog.current_setting('block_size')::int / ${bytesPerMegabyte}
      from pg_catalog.pg_class as c where c.oid = $4::oid), 0) as size
  from maint.action as a
  where a.kind = any ($1) and a.status in ('running', 'succeeded', 'failed') and a.action_id <> $2::int8
    and a.started_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(mins => $3::int)`;

export const limits: Safeguard = {
  name: 'limits',
  async check(client, action, config) {
    if (!indexOperations.includes(action.kind)) return { allowed: true };
    const window = await windowState(client, config);
    const minutes = window && 'sinceMinutes' in window ? window.sinceMinutes : minutesWithoutWindow;
    const rebuilt = action.kind === 'reindex_index' && 'oid' in action.target ? action.target.oid : null;
    const done = await queryRow<Done & Record<string, unknown>>(client, doneQuery, [
      indexOperations,
      action.action_id,
      minutes,
      rebuilt,
    ]);
    const limitOf = (key: string): number => Number(config[key]) || Infinity;
    const refuse = (reason: string): Answer => ({ allowed: false, reason, retryAfterSeconds });

    const largest = limitOf('max_index_size_mb');
    if (done.size > largest) {
      const reason = `the index is ${Math.round(done.size)} MB large, and ${largest} MB is the most`;
      // It will not become smaller by waiting.
      return { allowed: false, reason, retryAfterSeconds: null };
    }
    const count = limitOf('max_actions_per_window');
    if (done.actions >= count)
      return refuse(`${done.actions} index operations were done, the most is ${count}`);
    const total = limitOf('max_total_size_mb');
    if (action.kind !== 'drop_index' && done.megabytes + done.size > total) {
      return refuse(`${Math.round(done.megabytes)} MB were built, and ${total} MB is the most`);
    }
    const time = limitOf('max_minutes_per_window');
    if (done.minutes >= time)
      return refuse(`index operations took ${Math.round(done.minutes)} minutes already`);
    return { allowed: true };
  },
};
