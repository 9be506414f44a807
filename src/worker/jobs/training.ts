/** Queue maint_training: a model or the forecasts, in a process of their own. */
import { performQueryRiskTraining } from '../ml/query-risk-job.ts';
import { recordTraining } from '../ml/training-record.ts';
import { performForecast } from '../forecast/forecast-job.ts';
import { defineJob } from './job.ts';

interface TrainingJobData {
  kind: 'query_risk' | 'forecast';
}

const names = {
  query_risk: 'training of the query-risk model',
  forecast: 'forecast of index bloat',
} as const;

export default defineJob<TrainingJobData>({
  queue: 'maint_training',
  places: () => 1,
  describe: ({ kind }) => names[kind],
  perform: (client, { kind }, { url, control, signal }) =>
    kind === 'query_risk'
      ? performQueryRiskTraining(client, { url, onlooker: control, signal })
      : performForecast(client, signal),
  async giveUp(client, { kind }, reason) {
    await recordTraining(client, kind, 'failed', reason, {});
    return 'recorded as failed';
  },
});
