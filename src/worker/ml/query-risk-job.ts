/**
 * One training of the query-risk model: samples from plans and what was measured after them, a model, and whether it is
 * good enough to be used; then the plans of now, for the next training.
 */
import type pg from 'pg';
import type { QueryRiskModel } from '../../catalog/query-risk/model.ts';
import { featureVersion } from '../../catalog/query-risk/feature-names.ts';
import { inTransaction, queryRow } from '../connection.ts';
import type { PlanningContext } from '../planning/planning-session.ts';
import { planStatements, statementsToPlan, storePlans } from './plan-statements.ts';
import { fewestOfEachClass, labelsOf, mostSamples, whyNotBetter } from './train-query-risk.ts';
import type { Sample, TrainingSettings } from './train-query-risk.ts';
import { train } from './training-process.ts';
import { recordTraining } from './training-record.ts';
import type { QueryRiskOutcome } from './training.ts';

export interface Config {
  slow_ms: number;
  window_days: number;
  warn_risk: number;
  training_timeout: number;
}

export interface TimedSample extends Sample {
  text_id: number;
  /** ISO 8601: the span in which it was measured. */
  from: string;
  to: string;
  calls: number;
}

/** Spans of time of this length make one sample of each statement. */
const spanHours = 6;

/** The last part of the time, which no training sees. */
const heldOutShare = 0.25;

/** The most called statements that are planned at each training. */
const mostStatements = 2000;

export async function configOf(client: pg.ClientBase): Promise<Config> {
  const { config } = await queryRow<{ config: Config }>(
    client,
    `select maint.config('features.ml_interception') as config`,
  );
  return config;
}

/**
 * The samples, oldest first: a plan, and what its statement did in spans that began after it was planned and before it
 * was planned anew.
 */
export async function readSamples(client: pg.ClientBase, windowDays: number): Promise<TimedSample[]> {
  const { rows } = await client.query<TimedSample>(
    `with plan as (
       select p.text_id, p.user_oid, p.planned_at, p.features, p.cost,
         pg_catalog.lead(p.planned_at) over (partition by p.text_id, p.user_oid order by p.planned_at) as replanned_at
       from maint.query_plan as p
       where p.features is not null and p.feature_version = $1
         and p.planned_at >= pg_catalog.now() - $2 * interval '1 day'
     ), measured as (
       select p.text_id, p.user_oid, p.planned_at,
         pg_catalog.min(i.started_at) as started_at, pg_catalog.max(i.ended_at) as ended_at,
         pg_catalog.sum(q.calls) as calls, pg_catalog.sum(q.total_exec_ms) as ms
       from plan as p
       join maint.query_statement as s on s.text_id = p.text_id and s.user_oid = p.user_oid and s.toplevel
       join maint.query_sample as q on q.statement_id = s.statement_id
       join maint.query_interval as i on i.interval_id = q.interval_id
       where i.started_at >= p.planned_at and i.started_at < coalesce(p.replanned_at, 'infinity')
       group by p.text_id, p.user_oid, p.planned_at,
         pg_catalog.date_bin($3 * interval '1 hour', i.started_at, timestamptz '2000-01-01')
       having pg_catalog.sum(q.calls) > 0
     )
     select coalesce(t.fingerprint, t.text_id::text) as "group", t.text_id,
       pg_catalog.to_json(m.started_at) #>> '{}' as "from", pg_catalog.to_json(m.ended_at) #>> '{}' as "to",
       m.calls::float8 as calls, m.ms / m.calls::float8 as mean_ms, p.cost, pg_catalog.to_jsonb(p.features) as features
     from measured as m
     join plan as p on p.text_id = m.text_id and p.user_oid = m.user_oid and p.planned_at = m.planned_at
     join maint.query_text as t on t.text_id = m.text_id
     order by m.started_at, m.text_id, m.user_oid`,
    [featureVersion, windowDays, spanHours],
  );
  return rows.slice(-mostSamples);
}

/** By time alone: what began in the last part of it is held out, and what reaches into that part is left out. */
export function splitByTime(samples: readonly TimedSample[]): {
  training: TimedSample[];
  held: TimedSample[];
  at: string;
} {
  const times = samples.map(({ from }) => Date.parse(from));
  const first = Math.min(...times);
  const last = Math.max(...times);
  const boundary = last - heldOutShare * (last - first);
  // The first span that begins then or later; a span is never cut in two.
  const at = samples.find(({ from }) => Date.parse(from) >= boundary)?.from ?? '';
  return {
    training: samples.filter(({ to }) => Date.parse(to) <= Date.parse(at)),
    held: samples.filter(({ from }) => Date.parse(from) >= Date.parse(at)),
    at,
  };
}

/** What is missing for a training, or null. */
export function whatIsMissing(
  training: readonly Sample[],
  held: readonly Sample[],
  slowMs: number,
): string | null {
  const count = (samples: readonly Sample[]): { slow: number; fast: number } => {
    const slow = labelsOf(samples, slowMs).filter((label) => label === 1).length;
    return { slow, fast: samples.length - slow };
  };
  const all = count([...training, ...held]);
  if (Math.min(all.slow, all.fast) < fewestOfEachClass)
    return `${fewestOfEachClass} samples of slow statements and of fast ones are needed, and there are ${all.slow} and ${all.fast}`;
  const [trained, judged] = [count(training), count(held)];
  if (Math.min(trained.slow, trained.fast, judged.slow, judged.fast) === 0)
    return `slow and fast statements are needed both in the time before and in the held-out part: there are ${trained.slow} and ${trained.fast} before, ${judged.slow} and ${judged.fast} after`;
  return null;
}

interface InUse {
  model_id: number;
  content: QueryRiskModel;
}

async function modelInUse(client: pg.ClientBase): Promise<InUse | null> {
  const { rows } = await client.query<InUse>(
    `select m.model_id::int as model_id, m.content from maint.model as m where m.kind = 'query_risk' and m.active`,
  );
  return rows[0] ?? null;
}

interface Stored {
  modelId: number;
  active: boolean;
  reason: string;
}

async function store(
  client: pg.Client,
  { trained, inUse, drift }: QueryRiskOutcome,
  samples: readonly TimedSample[],
  split: { at: string },
  settings: TrainingSettings,
  coverage: object,
  durationMs: number,
): Promise<Stored> {
  const against = whyNotBetter(trained.metrics, inUse);
  const reason = against ?? 'better than the planner’s cost alone and than the more frequent class';
  return await inTransaction(client, async () => {
    if (against === null)
      await client.query(
        `update maint.model set active = false, reason = 'a later model is better'
         where kind = 'query_risk' and active`,
      );
    const { id } = await queryRow<{ id: number }>(
      client,
      `insert into maint.model (kind, active, reason, feature_version, slow_ms, trained_from, held_out_from, held_out_to,
         training_samples, held_out_samples, metrics, importance, drift, coverage, duration_ms, content)
       values ('query_risk', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
       returning model_id::int as id`,
      [
        against === null,
        reason,
        featureVersion,
        settings.slow_ms,
        samples[0]?.from,
        split.at,
        samples.reduce((latest, { to }) => (to > latest ? to : latest), ''),
        trained.training_samples,
        trained.metrics.samples,
        JSON.stringify(trained.metrics),
        JSON.stringify(trained.importance),
        drift === null ? null : JSON.stringify(drift),
        JSON.stringify(coverage),
        durationMs,
        JSON.stringify(trained.model),
      ],
    );
    // Models that nobody will ask again: their figures stay for comparison, thirty of them.
    await client.query(
      `delete from maint.model where kind = 'query_risk' and not active and model_id <= $1::bigint - 30`,
      [id],
    );
    return { modelId: id, active: against === null, reason };
  });
}

/** Problem -> how many of the statements last planned had it. */
async function coverageOf(client: pg.ClientBase): Promise<Record<string, number>> {
  const { coverage } = await queryRow<{ coverage: Record<string, number> }>(
    client,
    `select coalesce(pg_catalog.jsonb_object_agg(c.problem, c.statements), '{}') as coverage
     from (
       select coalesce(l.problem, 'planned') as problem, pg_catalog.count(*) as statements
       from (
         select distinct on (p.text_id, p.user_oid) p.problem from maint.query_plan as p
         order by p.text_id, p.user_oid, p.planned_at desc) as l
       group by 1) as c`,
  );
  return coverage;
}

async function trainAndStore(client: pg.Client, config: Config, signal: AbortSignal): Promise<object> {
  const samples = await readSamples(client, config.window_days);
  const { training, held, at } = splitByTime(samples);
  const coverage = await coverageOf(client);
  const missing = whatIsMissing(training, held, config.slow_ms);
  if (missing !== null) {
    const detail = { samples: samples.length, coverage };
    await recordTraining(client, 'query_risk', 'insufficient_data', missing, detail);
    return { outcome: 'insufficient_data', reason: missing };
  }
  const settings: TrainingSettings = { slow_ms: config.slow_ms, threshold: config.warn_risk, seed: 1 };
  const began = performance.now();
  const outcome = await train<'query_risk'>(
    { kind: 'query_risk', training, held, settings, inUse: (await modelInUse(client))?.content ?? null },
    { timeoutSeconds: config.training_timeout, signal },
  );
  const duration = Math.round(performance.now() - began);
  const stored = await store(client, outcome, samples, { at }, settings, coverage, duration);
  await recordTraining(client, 'query_risk', 'done', stored.reason, { model_id: stored.modelId, coverage });
  return { outcome: stored.active ? 'activated' : 'stored', model_id: stored.modelId, reason: stored.reason };
}

/** Stands being begun twice: a model more, and plans of the same statements a moment later. */
export async function performQueryRiskTraining(client: pg.Client, context: PlanningContext): Promise<object> {
  const config = await configOf(client);
  const outcome = await trainAndStore(client, config, context.signal);
  const planned = await planStatements(client, context, await statementsToPlan(client, mostStatements));
  await storePlans(client, planned, config.window_days);
  return { ...outcome, statements_planned: planned.filter(({ problem }) => problem === null).length };
}
