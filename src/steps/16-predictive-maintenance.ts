/**
 * Step 16: which indexes will be bloated within a week. The worker makes the forecasts from the samples of step 7; the step
 * reports those that still hold, and queues the next.
 */
import { queueTraining } from '../catalog/training.ts';
import { leftToWorker } from '../catalog/worker-alive.ts';
import { examinedAllBut } from '../core/coverage.ts';
import type { Coverage, Unexamined } from '../core/coverage.ts';
import { query, queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { defineStep } from './step.ts';
import type { Finding, JsonObject } from './step.ts';

export const forecastKind = 'index.forecast_bloat';

/** As the seed has it: what is due within a week. */
const daysTold = 7;

/** A forecast older than so many intervals, and than two days, says nothing any more. */
const intervalsFresh = 2;
const leastFreshSeconds = 2 * 86_400;

interface Forecast {
  schema: string;
  table: string;
  index: string;
  quoted: string;
  /** From now. */
  days: number;
  days_low: number | null;
  days_high: number | null;
  crosses_at: string;
  reindex_at: string;
  bloat_percent: number;
  threshold: number;
  method: string;
  behaviour: string;
  skill: number;
  error_days: number;
  size_bytes: number;
  expected_saving_bytes: number;
}

/** Those that pass their threshold within the days; not of indexes that were rebuilt since, nor of dropped ones. */
const forecastQuery = `
  select pg_catalog.jsonb_build_object('schema', u.schema_name, 'table', u.table_name, 'index', u.index_name,
    'quoted', pg_catalog.format('%I.%I', u.schema_name, u.index_name),
    'days', greatest(0, extract(epoch from d.crosses_at - $1::timestamptz) / 86400),
    'days_low', greatest(0, f.days_low - d.age), 'days_high', greatest(0, f.days_high - d.age),
    'crosses_at', d.crosses_at, 'reindex_at', greatest(f.reindex_at, $1::timestamptz),
    'bloat_percent', f.bloat_percent, 'threshold', f.threshold, 'method', f.method, 'behaviour', f.behaviour,
    'skill', f.skill, 'error_days', f.error_days, 'size_bytes', f.size_bytes,
    'expected_saving_bytes', f.expected_saving_bytes) as row
  from maint.forecast as f
  join maint.index_usage as u on u.usage_id = f.usage_id
  join maint.index_measurement as m on m.usage_id = f.usage_id
  cross join lateral (values (f.made_at + f.days * interval '1 day',
    (extract(epoch from $1::timestamptz - f.made_at) / 86400)::float8)) as d (crosses_at, age)
  where f.status = 'forecast' and d.crosses_at <= $1::timestamptz + $2::int * interval '1 day'
    and f.made_at > $1::timestamptz - $3::float8 * interval '1 second'
    and coalesce(m.rebuilt_at, '-infinity') < f.made_at and m.verdict <> 'bloated'
    and pg_catalog.to_regclass(pg_catalog.format('%I.%I', u.schema_name, u.index_name)) is not null
  order by d.crosses_at, u.schema_name, u.index_name`;

interface Made {
  status: string | null;
  reason: string | null;
  finished_at: string | null;
  fresh: boolean;
  counts: Record<string, number>;
}

const madeQuery = `
  select pg_catalog.jsonb_build_object('status', t.status, 'reason', t.reason, 'finished_at', t.finished_at,
    'fresh', coalesce(t.status <> 'failed'
      and t.finished_at > $1::timestamptz - $2::float8 * interval '1 second', false),
    'counts', coalesce((
      select pg_catalog.jsonb_object_agg(c.status, c.indexes)
      from (
        select f.status, pg_catalog.count(*) as indexes from maint.forecast as f group by f.status) as c), '{}')) as row
  from (values (true)) as one (row)
  left join maint.training as t on t.kind = 'forecast'
  order by 1`;

const day = (timestamp: string): string => timestamp.slice(0, 10);

function within(forecast: Forecast): string {
  const low = Math.floor(forecast.days_low ?? 0);
  const high = forecast.days_high === null ? 'more than 14' : String(Math.ceil(forecast.days_high));
  return `${low} to ${high} days`;
}

function findingOf(forecast: Forecast): Finding {
  const { schema, table, index, quoted, threshold, crosses_at: at } = forecast;
  return {
    kind: forecastKind,
    severity: 'info',
    schema,
    table,
    object: index,
    summary: `Index ${quoted} will pass its bloat threshold of ${threshold} % about ${day(at)}, in ${within(forecast)}.`,
    detail: {
      days: forecast.days,
      days_low: forecast.days_low,
      days_high: forecast.days_high,
      crosses_at: at,
      reindex_at: forecast.reindex_at,
      bloat_percent: forecast.bloat_percent,
      threshold,
      size_bytes: forecast.size_bytes,
      expected_saving_bytes: forecast.expected_saving_bytes,
      method: forecast.method,
      behaviour: forecast.behaviour,
      skill: forecast.skill,
      error_days: forecast.error_days,
    },
    remedy: `reindex index concurrently ${quoted};`,
  };
}

const forecasts = 'forecasts of bloat';

/** An index without a forecast is not one that stays as it is: its history is too short, or no method foretells it. */
function* forecastCoverage(made: Made, now: string): Program<Coverage> {
  const counts = made.counts;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const because = made.reason ?? undefined;
  if (made.status === null)
    return { examined: 0, of: null, unexamined: [yield* leftToWorker(now, forecasts)] };
  const unexamined: Unexamined[] = [];
  if (made.status === 'failed')
    unexamined.push({ what: forecasts, reason: 'failed', ...(because !== undefined && { detail: because }) });
  else if (!made.fresh)
    unexamined.push(yield* leftToWorker(now, forecasts, 'the last forecast is too old to hold'));
  else if (made.status === 'insufficient_data')
    unexamined.push({
      what: forecasts,
      reason: 'insufficient_history',
      ...(because !== undefined && { detail: because }),
    });
  if (unexamined.length > 0) return { examined: 0, of: total, unexamined };
  const young = counts['insufficient_history'] ?? 0;
  const erratic = counts['no_skill'] ?? 0;
  if (young > 0)
    unexamined.push({ what: forecasts, reason: 'insufficient_history', detail: `${young} indexes` });
  if (erratic > 0)
    unexamined.push({
      what: 'forecasts of indexes that no method foretells',
      reason: 'not_yet',
      detail: `${erratic} indexes: no method was better than to expect no change`,
    });
  return examinedAllBut(total, young + erratic, unexamined);
}

export default defineStep({
  number: 16,
  name: 'predictive_maintenance',
  title: 'Predict maintenance',
  feature: 'features.predictive_maintenance',
  kinds: [forecastKind],
  config: {
    enabled: { type: 'boolean', default: true, doc: 'Foresee which indexes will be bloated.' },
    interval: {
      type: 'integer',
      unit: 'seconds',
      default: 86_400,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two forecasts; 0 for every run.',
    },
  },
  interval: (config) => config.interval,
  unexamined: {
    cleanup: { predictive_maintenance: { predicted_reindex_needs: null, recommendations: null } },
  },

  *check({ config, now }) {
    const freshSeconds = Math.max(leastFreshSeconds, intervalsFresh * config.interval);
    const made = yield* queryOne<Made>(madeQuery, [now, freshSeconds]);
    const due = made.fresh ? yield* query<Forecast>(forecastQuery, [now, daysTold, freshSeconds]) : [];
    const job = yield* queueTraining('forecast');
    const known = made.fresh && made.status === 'done';
    const result: JsonObject = {
      predicted_reindex_needs: known ? due.length : null,
      recommendations: known ? due.length : null,
      status: made.status ?? 'not_made',
      forecast_at: made.finished_at,
      indexes: made.counts,
      next_forecast: job,
    };
    if (made.status === null) result['reason'] = 'no worker has made a forecast yet';
    else if (made.reason !== null) result['reason'] = made.reason;
    else if (!made.fresh) result['reason'] = 'the last forecast is too old to hold';
    return {
      result: { cleanup: { predictive_maintenance: result } },
      findings: due.map(findingOf),
      alerts: [],
      actions: [],
      examined: known ? [forecastKind] : [],
      coverage: yield* forecastCoverage(made, now),
    };
  },
});
