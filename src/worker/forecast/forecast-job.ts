/** One forecast of all indexes: history out of the database, forecasts into it. */
import type pg from 'pg';
import { configForObject } from '../../core/configuration.ts';
import type { SettingsSnapshot } from '../../core/configuration.ts';
import { parseWindow } from '../../core/window.ts';
import type { LocalTime, Window } from '../../core/window.ts';
import indexHealth from '../../steps/07-index-health.ts';
import type { indexHealthSettings } from '../../steps/index-health/settings.ts';
import { inTransaction, queryRow } from '../connection.ts';
import { recordTraining } from '../ml/training-record.ts';
import { train } from '../ml/training-process.ts';
import type { ForecastInput, ForecastOutcome } from './forecast.ts';
import { withoutMethod } from './index-forecast.ts';
import type { IndexForecast } from './index-forecast.ts';
import { cyclesOf } from './series.ts';
import type { HistoryPoint } from './series.ts';

/** History that is older says little about what an application does now. */
const historyDays = 120;

const minutesPerDay = 1440;

export interface IndexHistory {
  usage_id: number;
  schema: string;
  table: string;
  index: string;
  size_bytes: number;
  points: HistoryPoint[];
}

/** The measured history of every index that step 7 looks after, oldest first. */
export async function readHistory(client: pg.ClientBase): Promise<IndexHistory[]> {
  const { rows } = await client.query<IndexHistory>(
    `select u.usage_id::float8 as usage_id, u.schema_name as schema, u.table_name as "table", u.index_name as "index",
       m.size_bytes::float8 as size_bytes,
       coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('day', extract(epoch from h.sampled_at) / 86400,
           'bloat', h.bloat_percent, 'rebuilt', h.rebuilt) order by h.sampled_at)
         filter (where h.bloat_percent is not null), '[]') as points
     from maint.index_measurement as m
     join maint.index_usage as u on u.usage_id = m.usage_id
     left join maint.index_history as h
       on h.index_id = m.usage_id and h.sampled_at > pg_catalog.now() - $1 * interval '1 day'
     group by u.usage_id, m.usage_id
     order by u.usage_id`,
    [historyDays],
  );
  return rows;
}

interface Surroundings {
  settings: SettingsSnapshot;
  today: number;
  timeout: number;
  now: string;
  local: LocalTime;
}

async function surroundings(client: pg.ClientBase): Promise<Surroundings> {
  return await queryRow<Surroundings & pg.QueryResultRow>(
    client,
    `select s.settings, (extract(epoch from pg_catalog.now()) / 86400)::float8 as today,
       pg_catalog.to_json(pg_catalog.now()) #>> '{}' as now,
       (s.settings #>> '{database,features.ml_interception.training_timeout}')::float8 as timeout,
       pg_catalog.jsonb_build_object('day', extract(isodow from l.at),
         'minute', extract(hour from l.at) * 60 + extract(minute from l.at)) as local
     from (select maint.settings_snapshot() as settings) as s
     cross join lateral (
       select s.settings -> 'database' ->> 'operational.safeguards.time_zone' as name) as z
     cross join lateral (
       -- Of one that the server does not know, the safeguard says so; no window opens.
       select pg_catalog.now() at time zone case when maint.time_zone_known(z.name) then z.name else 'UTC' end as at) as l`,
  );
}

/** Minutes from now to the last opening of a window before `within`, or to the next one where there is none before. */
export function lastOpening(windows: readonly Window[], { day, minute }: LocalTime, within: number): number {
  const week = 7 * minutesPerDay;
  const now = (day - 1) * minutesPerDay + minute;
  const openings = windows.flatMap((window) =>
    window.days.flatMap((begins) => {
      const next = ((begins - 1) * minutesPerDay + window.from - now + week) % week;
      return [next, next + week, next + 2 * week];
    }),
  );
  const before = openings.filter((opening) => opening <= within);
  return before.length > 0 ? Math.max(...before) : Math.min(...openings);
}

function plan(
  forecast: IndexForecast,
  index: IndexHistory,
  windows: readonly Window[],
  { now, local }: Surroundings,
): { expected_saving_bytes: number | null; reindex_at: string | null } {
  if (forecast.days === null) return { expected_saving_bytes: null, reindex_at: null };
  const minutes = forecast.days * minutesPerDay;
  const at = windows.length === 0 ? minutes : lastOpening(windows, local, minutes);
  return {
    expected_saving_bytes: Math.round((index.size_bytes * forecast.threshold) / 100),
    reindex_at: new Date(Date.parse(now) + at * 60_000).toISOString(),
  };
}

/** In a process of its own, which costs half a second of processor time: not started where it would have nothing to learn. */
async function forecast(
  input: ForecastInput,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<ForecastOutcome> {
  const forecasts = input.indexes.flatMap(
    (index) => withoutMethod(index, cyclesOf(index.points, input.today)) ?? [],
  );
  if (forecasts.length === input.indexes.length) return { forecasts, groups: [], errors: [] };
  return await train<'forecast'>({ kind: 'forecast', input }, { timeoutSeconds, signal });
}

/** Stands being begun twice: the later forecast replaces the earlier one. */
export async function performForecast(client: pg.Client, signal: AbortSignal): Promise<object> {
  const around = await surroundings(client);
  const history = await readHistory(client);
  const indexes = history.map(({ usage_id, schema, table, index, points }) => ({
    index_id: usage_id,
    threshold: configForObject<typeof indexHealthSettings>(indexHealth, around.settings, {
      schema,
      table,
      index,
    }).bloat_threshold,
    points,
  }));
  const outcome = await forecast({ today: around.today, indexes }, around.timeout, signal);
  const texts = around.settings.database['operational.safeguards.maintenance_windows'];
  const windows = (Array.isArray(texts) ? texts : []).flatMap((text) =>
    typeof text === 'string' ? (parseWindow(text) ?? []) : [],
  );
  const byId = new Map(history.map((index) => [index.usage_id, index]));
  const rows = outcome.forecasts.flatMap((forecast) => {
    const index = byId.get(forecast.index_id);
    return index
      ? [{ ...forecast, size_bytes: index.size_bytes, ...plan(forecast, index, windows, around) }]
      : [];
  });
  await inTransaction(client, async () => {
    await client.query('delete from maint.forecast');
    await client.query(
      `insert into maint.forecast (usage_id, made_at, status, reason, behaviour, method, bloat_percent, threshold, days,
         days_low, days_high, bloat_in_week, skill, error_days, size_bytes, expected_saving_bytes, reindex_at)
       select f.index_id, $2::timestamptz, f.status, f.reason, f."group", f.method, f.bloat, f.threshold, f.days,
         f.days_low, f.days_high, f.bloat_in_week, f.skill, f.error_days, f.size_bytes, f.expected_saving_bytes,
         f.reindex_at
       from pg_catalog.jsonb_to_recordset($1::jsonb) as f (index_id bigint, status text, reason text, "group" text,
         method text, bloat float8, threshold float8, days float8, days_low float8, days_high float8,
         bloat_in_week float8, skill float8, error_days float8, size_bytes bigint, expected_saving_bytes bigint,
         reindex_at timestamptz)
       -- An index may have been dropped meanwhile.
       where exists (select from maint.index_usage as u where u.usage_id = f.index_id)`,
      [JSON.stringify(rows), around.now],
    );
    const count = (status: string): number => rows.filter((row) => row.status === status).length;
    const forecasts = count('forecast');
    const detail = {
      indexes: rows.length,
      forecasts,
      bloated: count('bloated'),
      insufficient_history: count('insufficient_history'),
      no_skill: count('no_skill'),
      groups: outcome.groups,
      errors: outcome.errors,
    };
    const enough = forecasts > 0 || count('no_skill') > 0 || count('bloated') > 0;
    await recordTraining(
      client,
      'forecast',
      enough ? 'done' : 'insufficient_data',
      enough ? null : 'no index has enough history yet: see maint.forecasts',
      detail,
    );
  });
  return { indexes: rows.length };
}
