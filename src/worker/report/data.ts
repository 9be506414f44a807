/** What the report shows, read from the views of pg-maint in one snapshot: maint_reader may make it. */
import type pg from 'pg';
import type { Json, JsonObject, Severity } from '../../steps/step.ts';
import { queryRow } from '../connection.ts';
import type { Metrics } from '../ml/train-query-risk.ts';
import type { Status } from '../render-report.ts';

/** Rows, or why there are none. */
export type Part<Row> = { rows: Row[] } | { missing: string };

export interface ReportFinding {
  finding_id: number;
  step: number;
  kind: string;
  severity: Severity;
  summary: string;
  remedy: string | null;
  first_seen: string;
  muted_until: string | null;
  /** Whether maint.apply does what the remedy says. */
  applicable: boolean;
  mended_by: number | null;
}

export interface ReportStep {
  step: number;
  name: string;
  title: string | null;
  status: string;
  reason: string | null;
  error: string | null;
  at: string;
  duration_ms: number;
}

/** A row of maint.gaps: what is not examined. */
export interface ReportGap {
  gap_id: number;
  step_name: string;
  state: string;
  what: string;
  reason: string;
  detail: string | null;
  remedy: string | null;
  first_seen: string;
  accepted_by: string | null;
  accepted_reason: string | null;
  accepted_until: string | null;
}

/** A row of maint.forecasts. */
export interface IndexForecast {
  status: string;
  reason: string | null;
  made_at: string;
  bloat_percent: number | null;
  bloat_in_week: number | null;
  threshold: number;
  /** When it passes the threshold, with the interval that holds that in 8 of 10 cases; null: not within 14 days. */
  crosses_at: string | null;
  crosses_from: string | null;
  crosses_to: string | null;
  horizon: string;
}

export interface ReportIndex {
  index_id: number;
  name: string;
  verdict: string;
  why: string;
  size_bytes: number;
  wasted_bytes: number | null;
  bloat_percent: number | null;
  history: { at: string; size: number; bloat: number | null; low: number | null; high: number | null }[];
  /** As step 16 has it; null where it has looked at no forecast of it yet. */
  forecast: IndexForecast | null;
}

export interface ReportAction {
  action_id: number;
  at: string;
  kind: string;
  object: string;
  status: string;
  outcome: string | null;
  size: string | null;
  saved: number;
}

export interface Workload {
  hour: string;
  verb: string;
  calls: number;
  ms: number;
}

export interface SlowPattern {
  text: string;
  calls: number;
  mean_exec_ms: number;
  share_of_time: number | null;
  reasons: JsonObject[];
  suggestions: JsonObject[];
}

/** A row of maint.models; one of an older version may lack some of the figures. */
export interface ReportModel {
  kind: string;
  active: boolean;
  reason: string;
  trained_at: string;
  metrics: Partial<Metrics>;
  importance: Record<string, number>;
}

export interface SafeguardDay {
  day: string;
  event: string;
  times: number;
}

export interface Refusal {
  safeguard: string;
  reason: string;
  times: number;
  last: string;
}

export interface ReportData {
  database: string;
  server: string;
  generated_at: string;
  status: Status & { worker: { alive: number } | null };
  findings: Part<ReportFinding>;
  /** Open findings at the end of each of the last 30 days. */
  trend: { day: string; critical: number; warning: number; info: number }[];
  steps: Part<ReportStep>;
  gaps: Part<ReportGap>;
  indexes: Part<ReportIndex>;
  actions: Part<ReportAction>;
  workload: Part<Workload>;
  patterns: Part<SlowPattern>;
  safeguards: Part<SafeguardDay>;
  refusals: Refusal[];
  models: Part<ReportModel>;
}

/** More than anybody reads; the count says how many there are. */
const most = { findings: 200, actions: 100, patterns: 20, indexes: 8, refusals: 20, models: 30 };

interface Source {
  /** The view; where this version has none, that is the reason. */
  view: string;
  /** One jsonb column named row. */
  text: string;
  /** Number of the step that fills it, null for none. */
  step: number | null;
  /** What is said when the step has worked and found nothing. */
  empty: string;
}

async function exists(client: pg.ClientBase, view: string): Promise<boolean> {
  const row = await queryRow<{ there: boolean }>(
    client,
    'select pg_catalog.to_regclass($1) is not null as there',
    [`maint.${view}`],
  );
  return row.there;
}

/** Why a step has left nothing: it never ran, or how it ended last. */
async function whyNothing(client: pg.ClientBase, { step, empty }: Source): Promise<string> {
  if (step === null) return empty;
  const { rows } = await client.query<{
    name: string;
    status: string;
    reason: string | null;
    error: string | null;
  }>(
    `select s.name, s.status, s.reason, s.error from maint.steps as s
     where s.step = $1 and s.reason is distinct from 'not_due' and s.reason is distinct from 'not_selected'
     order by s.run_id desc limit 1`,
    [step],
  );
  const [last] = rows;
  if (last === undefined) return `Step ${step} has not run yet.`;
  if (last.status === 'success') return empty;
  const why = [last.reason ?? last.status, last.error].filter(Boolean).join(': ');
  return `Step ${step} (${last.name}) did not see it: ${why}.`;
}

async function part<Row>(client: pg.ClientBase, source: Source): Promise<Part<Row>> {
  if (!(await exists(client, source.view)))
    return { missing: `This version of pg-maint has no view maint.${source.view}.` };
  const { rows } = await client.query<{ row: Row }>(source.text);
  return rows.length > 0
    ? { rows: rows.map(({ row }) => row) }
    : { missing: await whyNothing(client, source) };
}

const sources = {
  findings: {
    view: 'findings',
    step: null,
    empty: 'Nothing is open.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select f.finding_id, f.step, f.kind, f.severity, f.summary, f.remedy, f.first_seen, f.muted_until,
        f.remedy is not null and f.kind = any (array['index.unused', 'index.redundant', 'index.invalid', 'index.orphaned',
          'index.bloated', 'fk.unindexed', 'matview.no_unique_index', 'matview.index_suggestion', 'statistics.stale'])
          and not f.detail ? 'kept_because' as applicable,
        (select max(a.action_id) from maint.actions as a
          where a.finding_id = f.finding_id and a.status = 'succeeded' and a.finished_at >= f.last_seen) as mended_by
      from maint.findings as f
      where f.resolved_at is null
      order by f.muted_until is not null, array_position(array['critical', 'warning', 'info'], f.severity),
        f.step, f.finding_id
      limit ${most.findings}) as r`,
  },
  steps: {
    view: 'steps',
    step: null,
    empty: 'Nothing has run yet.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select distinct on (s.step) s.step, s.name, s.title, s.status, s.reason, s.error, s.started_at as at, s.duration_ms
      from maint.steps as s
      where s.reason is distinct from 'not_due' and s.reason is distinct from 'not_selected'
      order by s.step, s.run_id desc) as r
      order by r.step`,
  },
  gaps: {
    view: 'gaps',
    step: null,
    empty: 'All was examined.',
    text: `select pg_catalog.to_jsonb(g) as row from maint.gaps as g`,
  },
  actions: {
    view: 'actions',
    step: null,
    empty: 'Nothing was done yet.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select a.action_id, coalesce(a.finished_at, a.started_at, a.queued_at) as at, a.kind, a.object, a.status,
        coalesce(a.error, a.outcome) as outcome, a.size,
        case when a.status = 'succeeded' and a.kind = 'drop_index' then coalesce(a.size_before, 0)
          when a.status = 'succeeded' and a.kind = 'reindex_index' then coalesce(a.size_before - a.size_after, 0)
          else 0 end as saved
      from maint.actions as a
      order by 2 desc, a.action_id desc
      limit ${most.actions}) as r`,
  },
  workload: {
    view: 'query_history',
    step: 8,
    empty: 'No statement was counted in the last 7 days.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select pg_catalog.date_trunc('hour', q.ended_at, 'UTC') as hour, q.verb, sum(q.calls)::float8 as calls,
        sum(q.total_exec_ms) as ms
      from maint.query_history as q
      where q.ended_at > pg_catalog.now() - interval '7 days' and q.own is not true and q.verb <> 'own'
      group by 1, 2
      order by 1, 2) as r`,
  },
  patterns: {
    view: 'query_patterns',
    step: 8,
    empty: 'No statement was slow.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select p.text, p.calls, p.mean_exec_ms, p.share_of_time, p.reasons, p.suggestions
      from maint.query_patterns as p
      where p.kind = 'slow'
      order by p.total_exec_ms desc
      limit ${most.patterns}) as r`,
  },
  safeguards: {
    view: 'safeguard_events',
    step: null,
    empty: 'No action was tried or held back in the last 30 days.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select (e.at at time zone 'UTC')::date as day, e.event, pg_catalog.count(*) as times
      from maint.safeguard_events as e
      where e.at > pg_catalog.now() - interval '30 days'
      group by 1, 2
      order by 1, 2) as r`,
  },
  models: {
    view: 'models',
    step: 17,
    empty: 'No model was trained yet: there is too little history.',
    text: `select pg_catalog.to_jsonb(r) as row from (
      select m.kind, m.active, m.reason, m.trained_at, m.metrics, m.importance
      from maint.models as m
      order by m.model_id desc
      limit ${most.models}) as r`,
  },
} satisfies Record<string, Source>;

const indexes: Source = {
  view: 'index_history',
  step: 7,
  empty: 'No index is large enough to be looked after (features.index_health.min_size_mb).',
  text: `select pg_catalog.to_jsonb(r) as row from (
    select h.index_id, pg_catalog.format('%I.%I', h.schema_name, h.index_name) as name, h.verdict, h.why, h.size_bytes,
      h.wasted_bytes, h.bloat_percent, (
        select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('at', s.sampled_at, 'size', s.size_bytes,
          'bloat', s.bloat_percent, 'low', s.bloat_low, 'high', s.bloat_high) order by s.sampled_at), '[]')
        from maint.index_history as s
        where s.index_id = h.index_id and s.sampled_at > pg_catalog.now() - interval '90 days') as history,
      (select pg_catalog.to_jsonb(f) || pg_catalog.jsonb_build_object('horizon', f.made_at + interval '14 days')
        from maint.forecasts as f where f.index_id = h.index_id) as forecast
    from maint.index_health as h
    order by array_position(array['bloated', 'unknown', 'underutilized', 'healthy'], h.verdict),
      coalesce(h.wasted_bytes, h.size_bytes) desc, h.index_id
    limit ${most.indexes}) as r`,
};

const trendQuery = `
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) order by r.day), '[]') as trend from (
    select d.day::date as day,
      pg_catalog.count(*) filter (where f.severity = 'critical') as critical,
      pg_catalog.count(*) filter (where f.severity = 'warning') as warning,
      pg_catalog.count(*) filter (where f.severity = 'info') as info
    from pg_catalog.generate_series((pg_catalog.now() at time zone 'UTC')::date - 29,
      (pg_catalog.now() at time zone 'UTC')::date, interval '1 day') as d (day)
    -- What stood at the end of the day, or stands now.
    left join maint.findings as f on f.first_seen at time zone 'UTC' < d.day + interval '1 day'
      and (f.resolved_at is null or f.resolved_at at time zone 'UTC' >= d.day + interval '1 day')
    where d.day >= (select min(r.started_at at time zone 'UTC')::date from maint.runs as r)
    group by d.day) as r`;

const refusalsQuery = `
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) order by r.times desc, r.safeguard, r.reason), '[]') as refusals
  from (
    select e.safeguard, coalesce(e.reason, '') as reason, pg_catalog.count(*) as times, max(e.at) as last
    from maint.safeguard_events as e
    where e.event = 'refused' and e.at > pg_catalog.now() - interval '30 days'
    group by 1, 2
    order by 3 desc, 1, 2
    limit ${most.refusals}) as r`;

interface Head {
  database: string;
  server: string;
  generated_at: string;
  status: ReportData['status'];
}

/** In a transaction of its own, which changes nothing. */
export async function readReport(client: pg.ClientBase): Promise<ReportData> {
  await client.query('begin isolation level repeatable read read only');
  try {
    const head = await queryRow<Head & pg.QueryResultRow>(
      client,
      `select pg_catalog.current_database()::text as database, pg_catalog.to_jsonb(pg_catalog.now()) as generated_at,
         'PostgreSQL ' || pg_catalog.current_setting('server_version') as server, maint.status() as status`,
    );
    const { trend } = await queryRow<Pick<ReportData, 'trend'>>(client, trendQuery);
    const { refusals } = await queryRow<Pick<ReportData, 'refusals'>>(client, refusalsQuery);
    return {
      ...head,
      trend,
      refusals,
      findings: await part(client, sources.findings),
      steps: await part(client, sources.steps),
      gaps: await part(client, sources.gaps),
      indexes: await part(client, indexes),
      actions: await part(client, sources.actions),
      workload: await part(client, sources.workload),
      patterns: await part(client, sources.patterns),
      safeguards: await part(client, sources.safeguards),
      models: await part(client, sources.models),
    };
  } finally {
    await client.query('rollback');
  }
}

export type { Json };
