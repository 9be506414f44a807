/**
 * Step 17: the model behind maint.query_risk. Training is the worker's; the step queues it, and reports how good the last
 * model was on statements measured after everything it was trained on.
 */
import { defaultLimits } from '../catalog/query-risk/limits.ts';
import { leftToWorker } from '../catalog/worker-alive.ts';
import type { Coverage } from '../core/coverage.ts';
import { queryOne } from '../core/program.ts';
import type { Program } from '../core/program.ts';
import { queueTraining } from '../catalog/training.ts';
import { defineStep } from './step.ts';
import type { JsonObject } from './step.ts';

/** What the step reads of what the worker left. Times in ISO 8601. */
interface Trained {
  training: { status: string; reason: string | null; finished_at: string; detail: JsonObject } | null;
  last: {
    model_id: number;
    active: boolean;
    reason: string;
    accuracy: number;
    auc: number;
    samples: number;
    trained_at: string;
  } | null;
  active_model_id: number | null;
}

const trainedQuery = `
  select pg_catalog.jsonb_build_object(
    'training', (
      select pg_catalog.jsonb_build_object('status', t.status, 'reason', t.reason, 'finished_at', t.finished_at,
        'detail', t.detail)
      from maint.training as t where t.kind = 'query_risk'),
    'last', (
      select pg_catalog.jsonb_build_object('model_id', m.model_id, 'active', m.active, 'reason', m.reason,
        'accuracy', m.metrics -> 'accuracy', 'auc', m.metrics -> 'auc', 'samples', m.held_out_samples,
        'trained_at', m.trained_at)
      from maint.model as m where m.kind = 'query_risk' order by m.model_id desc limit 1),
    'active_model_id', (
      select m.model_id from maint.model as m where m.kind = 'query_risk' and m.active)) as row
  order by 1`;

const model = 'risk of statements';

function* trainingCoverage(training: Trained['training'], now: string): Program<Coverage> {
  if (training === null)
    return { examined: 0, of: 1, unexamined: [yield* leftToWorker(now, model, 'no model was trained yet')] };
  if (training.status === 'done') return { examined: 1, of: 1, unexamined: [] };
  const reason = training.status === 'insufficient_data' ? 'insufficient_history' : 'failed';
  const { reason: detail } = training;
  return { examined: 0, of: 1, unexamined: [{ what: model, reason, ...(detail !== null && { detail }) }] };
}

export default defineStep({
  number: 17,
  name: 'train_query_risk',
  title: 'Train the query-risk model',
  feature: 'features.ml_interception',
  kinds: [],
  config: {
    training_enabled: {
      type: 'boolean',
      default: true,
      doc: 'Train the model that maint.query_risk asks. Off: the one in use stays.',
    },
    training_interval: {
      type: 'integer',
      unit: 'seconds',
      default: 86_400,
      minimum: 0,
      maximum: 31_536_000,
      doc: 'Time between two trainings; 0 for every run.',
    },
    slow_ms: {
      type: 'number',
      unit: 'milliseconds',
      default: 200,
      minimum: 0.1,
      maximum: 86_400_000,
      doc: 'A statement is slow when a call of it takes longer than this on average. A change takes effect with the next training.',
    },
    window_days: {
      type: 'integer',
      unit: 'days',
      default: 7,
      minimum: 1,
      maximum: 90,
      doc: 'How far back the samples go that the model is trained on; no further than the query history does.',
    },
    warn_risk: {
      type: 'number',
      default: defaultLimits.warn_risk,
      minimum: 0,
      maximum: 1,
      doc: 'maint.query_risk says warn from this risk on.',
    },
    block_risk: {
      type: 'number',
      default: defaultLimits.block_risk,
      minimum: 0,
      maximum: 1,
      doc: 'maint.query_risk says block from this risk on.',
    },
    least_confidence: {
      type: 'number',
      default: defaultLimits.least_confidence,
      minimum: 0,
      maximum: 1,
      doc: 'Below this confidence a statement is like nothing the model was trained on, and is allowed.',
    },
    training_timeout: {
      type: 'integer',
      unit: 'seconds',
      default: 300,
      minimum: 5,
      maximum: 86_400,
      doc: 'A training that takes longer is ended.',
    },
  },
  enabledBy: 'training_enabled',
  interval: (config) => config.training_interval,
  unexamined: { cleanup: { ml_training: { accuracy: null, samples: null } } },

  *check({ now }) {
    const { training, last, active_model_id: active } = yield* queryOne<Trained>(trainedQuery);
    const job = yield* queueTraining('query_risk');
    const result: JsonObject = {
      accuracy: last?.accuracy ?? null,
      samples: last?.samples ?? null,
      auc: last?.auc ?? null,
      model_id: last?.model_id ?? null,
      active_model_id: active,
      next_training: job,
    };
    if (last) Object.assign(result, { trained_at: last.trained_at, reason: last.reason });
    if (training) {
      Object.assign(result, { status: training.status, training_finished_at: training.finished_at });
      if (training.status !== 'done') result['reason'] = training.reason;
    } else Object.assign(result, { status: 'not_trained', reason: 'no worker has trained a model yet' });
    return {
      result: { cleanup: { ml_training: result } },
      findings: [],
      alerts: [],
      actions: [],
      examined: [],
      coverage: yield* trainingCoverage(training, now),
    };
  },
});
