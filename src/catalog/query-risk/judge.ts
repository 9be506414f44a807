/** What maint.query_risk answers: asks for the model, plans, scores, decides. */
import { queryOne } from '../../core/program.ts';
import type { Program } from '../../core/program.ts';
import { explainRead } from './explain.ts';
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

/** Where a session keeps the model between calls. */
export interface ModelCache {
  get(): CachedModel | undefined;
  set(cached: CachedModel): void;
}

interface ModelAnswer {
  model_id: number | null;
  slow_ms: number | null;
  warn_risk: number;
  block_risk: number;
  least_confidence: number;
  content?: QueryRiskModel;
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

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

function* modelInUse(cache: ModelCache): Program<{ answer: ModelAnswer; model: QueryRiskModel | null }> {
  const cached = cache.get();
  const answer = yield* queryOne<ModelAnswer>('select maint.query_risk_model($1::bigint) as row order by 1', [
    cached?.id ?? null,
  ]);
  if (answer.model_id === null) return { answer, model: null };
  if (answer.content) cache.set({ id: answer.model_id, model: answer.content });
  const model = answer.content ?? cached?.model;
  return { answer, model: model?.feature_version === featureVersion ? model : null };
}

/** The answer to maint.query_risk. Runs nothing of the text. */
export function* judgeQuery(text: string, cache: ModelCache): Program<Judgement> {
  const read = readQuery(text);
  if ('problem' in read) return allowed(read.problem, null);
  const { answer, model } = yield* modelInUse(cache);
  const modelId = answer.model_id;
  const explained = yield* explainRead(read);
  if ('problem' in explained) {
    const why = explained.problem === 'not_planned' ? `: ${explained.message}` : '';
    return allowed(`${explained.problem}${why}`, modelId);
  }
  const { features, own } = explained;
  // Before the model is asked: what reads no table has nothing to wait for, whatever a model makes of it.
  if (touchesNoTable(features)) return allowed('no_table', modelId, { risk: 0, confidence: 1 });
  if (model === null)
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
  if (assessed.confidence < answer.least_confidence)
    return { ...judgement, reasons: ['unknown_shape: nothing like it was in the training data'] };
  if (assessed.risk < answer.warn_risk) return { ...judgement, reasons: ['within_limits'] };
  return {
    ...judgement,
    decision: assessed.risk >= answer.block_risk ? 'block' : 'warn',
    reasons: [
      `slow: likely to take more than ${answer.slow_ms ?? 0} ms`,
      ...reasonsFor(model, own ?? features, reasonsTold),
    ],
  };
}
