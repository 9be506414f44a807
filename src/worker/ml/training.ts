/**
 * The program of a training process: one job comes in as a message, its outcome goes out as one. It has no connection to a
 * database, and the libraries it needs are in no other process.
 */
import { answerJob } from '../child-process.ts';
import type { TrainedQueryRisk, TrainingSettings, Sample, Evaluation } from './train-query-risk.ts';
import type { QueryRiskModel } from '../../catalog/query-risk/model.ts';
import type { ForecastInput, ForecastOutcome } from '../forecast/forecast.ts';

export type TrainingJob =
  | {
      kind: 'query_risk';
      training: Sample[];
      held: Sample[];
      settings: TrainingSettings;
      inUse: QueryRiskModel | null;
    }
  | { kind: 'forecast'; input: ForecastInput };

export interface QueryRiskOutcome {
  trained: TrainedQueryRisk;
  /** The model in use, on the same held-out samples. */
  inUse: Evaluation | null;
  drift: { unknown_share: number; shifted: { feature: string; shift: number }[] } | null;
}

export type TrainingOutcome =
  { kind: 'query_risk'; outcome: QueryRiskOutcome } | { kind: 'forecast'; outcome: ForecastOutcome };

async function perform(job: TrainingJob): Promise<TrainingOutcome> {
  // Imported when asked for: a forecast needs no XGBoost, a model no data frames.
  if (job.kind === 'forecast') {
    const { forecastIndexes } = await import('../forecast/forecast.ts');
    return { kind: 'forecast', outcome: forecastIndexes(job.input) };
  }
  const { compareWithModelInUse, trainQueryRisk } = await import('./train-query-risk.ts');
  const trained = await trainQueryRisk(job.training, job.held, job.settings);
  return {
    kind: 'query_risk',
    outcome: {
      trained,
      ...compareWithModelInUse(job.inUse, [...job.training, ...job.held], job.held, job.settings),
    },
  };
}

answerJob(perform);
