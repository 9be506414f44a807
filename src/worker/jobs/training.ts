/** Queue maint_training: what takes long and is computed in a process of its own. */
import { performQueryRiskTraining, recordTraining } from '../ml/query-risk-job.ts';
import { defineJob } from './job.ts';

interface TrainingJobData {
  kind: 'query_risk';
}

const names = { query_risk: 'training of the query-risk model' } as const;

export default defineJob<TrainingJobData>({
  queue: 'maint_training',
  places: () => 1,
  describe: ({ kind }) => names[kind],
  perform: (client, _job, { signal }) => performQueryRiskTraining(client, signal),
  async giveUp(client, { kind }, reason) {
    await recordTraining(client, kind, 'failed', reason, {});
    return 'recorded as failed';
  },
});
