/** What maint.query_risk answers: asks for the model, plans, scores, decides. */
import type { Program } from '../../core/program.ts';
import { sqlstate } from '../../core/sqlstate.ts';
import { explainReadBeside } from './explain.ts';
import type { KnownPlans } from './known-plans.ts';
import { limitsOf } from './limits.ts';
import type { ConfiguredLimits } from './limits.ts';
import { assess, reasonsFor } from './model.ts';
import type { QueryRiskModel } from './model.ts';
import { featureVersion, touchesNoTable } from './feature-names.ts';
import { readQuery } from './query-text.ts';

export type Decision = 'allow' | 'warn' | 'block';

/** In the order and with the names that people see. */
export interface Judgement {
  risk: number | null;
  decision: Decision;
  reasons: string[];
  expected_ms: number | null;
  confidence: number;
  model_id: number | null;
}

export interface CachedModel {
  id: number;
  model: QueryRiskModel;
}

/** What a session keeps between calls. */
export interface Session {
  model: CachedModel | null;
  plans: KnownPlans;
}

/** Without its content where its number is the one that the session has. */
const modelExpression = `(
  select pg_catalog.json_build_object('model_id', m.model_id, 'slow_ms', m.slow_ms, 'limits', m.limits,
    'content', case when m.model_id is distinct from $5::bigint then m.content end)
  from maint.query_risk_model as m)`;

interface ModelAnswer {
  model_id: number;
  slow_ms: number;
  limits: ConfiguredLimits;
  content: QueryRiskModel | null;
}

/** More reasons than these are not read. */
const reasonsTold = 3;

function allowed(reason: string, modelId: number | null, known: Partial<Judgement> = {}): Judgement {
  return {
    risk: null,
    decision: 'allow',
    reasons: [reason],
    expected_ms: null,
    confidence: 0,
    model_id: modelId,
    ...known,
  };
}

const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** The model in use; null where there is none, or one of other features. */
function modelOf(answer: ModelAnswer | null, session: Session): QueryRiskModel | null {
  if (answer === null) return null;
  const { model_id: id, content } = answer;
  if (content) session.model = { id, model: content };
  const model = content ?? session.model?.model;
  return model?.feature_version === featureVersion ? model : null;
}

/** The answer to maint.query_risk. Runs nothing of the text. */
export function* judgeQuery(text: string | null, session: Session): Program<Judgement> {
  const read = readQuery(text ?? '');
  if ('problem' in read) return allowed(read.problem, null);
  const { explained, value: answer } = yield* explainReadBeside<ModelAnswer | null>(
    read,
    session.plans,
    modelExpression,
    session.model?.id ?? null,
  );
  const modelId = answer?.model_id ?? null;
  const model = modelOf(answer, session);
  if ('problem' in explained) {
    if (explained.problem === 'not_planned' && explained.sqlstate === sqlstate.askedWhilePlanning)
      return allowed('recursion', null);
    const why = explained.problem === 'not_planned' ? `: ${explained.message}` : '';
    return allowed(`${explained.problem}${why}`, modelId);
  }
  const { features, own } = explained;
  // Before the model is asked: what reads no table has nothing to wait for, whatever a model makes of it.
  if (touchesNoTable(features)) return allowed('no_table', modelId, { risk: 0, confidence: 1 });
  if (answer === null || model === null)
    return allowed(modelId === null ? 'no_model' : 'no_model: the one there is has other features', modelId);
  const assessed = assess(model, features, own);
  const judgement: Judgement = {
    risk: rounded(assessed.risk, 4),
    decision: 'allow',
    reasons: [],
    expected_ms: rounded(assessed.expected_ms, 3),
    confidence: rounded(assessed.confidence, 3),
    model_id: modelId,
  };
  const limits = limitsOf(answer.limits);
  if (assessed.confidence < limits.least_confidence)
    return { ...judgement, reasons: ['unknown_shape: nothing like it was in the training data'] };
  if (assessed.risk < limits.warn_risk) return { ...judgement, reasons: ['within_limits'] };
  return {
    ...judgement,
    decision: assessed.risk >= limits.block_risk ? 'block' : 'warn',
    reasons: [
      `slow: likely to take more than ${answer.slow_ms} ms`,
      ...reasonsFor(model, own ?? features, reasonsTold),
    ],
  };
}
