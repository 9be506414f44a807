/**
 * The program of a training process: one job comes in as a message, its outcome goes out as one. It has no connection to a
 * database, and the libraries it needs are in no other process.
 */
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

export type TrainingMessage = { ok: true; outcome: TrainingOutcome } | { ok: false; message: string };

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

function answer(message: TrainingMessage): void {
  process.send?.(message, () => process.exit(message.ok ? 0 : 1));
}

// Whoever wanted it is gone.
process.on('disconnect', () => process.exit(1));
process.once('message', (job: TrainingJob) => {
  perform(job).then(
    (outcome) => {
      answer({ ok: true, outcome });
    },
    (error: unknown) => {
      answer({ ok: false, message: error instanceof Error ? error.message : String(error) });
    },
  );
});
