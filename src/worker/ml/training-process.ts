/** Trains in a process of its own. */
import { performInProcess, ProcessFailed, programFile } from '../child-process.ts';
import type { TrainingJob, TrainingOutcome } from './training.ts';

type Outcome<Kind> = Extract<TrainingOutcome, { kind: Kind }>['outcome'];

/** Of the JavaScript heap; the trees are grown in WebAssembly, which is not counted in it. */
const megabytes = 768;

/** The outcome of a job. Throws ProcessFailed with the reason where it fails or takes longer than `timeoutSeconds`. */
export async function train<Kind extends TrainingJob['kind']>(
  job: Extract<TrainingJob, { kind: Kind }>,
  options: { timeoutSeconds: number; signal: AbortSignal },
): Promise<Outcome<Kind>> {
  const answer = await performInProcess<TrainingJob, TrainingOutcome>(
    programFile(import.meta.dirname, 'training'),
    job,
    {
      ...options,
      nodeOptions: [`--max-old-space-size=${megabytes}`],
      timeoutSetting: 'features.ml_interception.training_timeout',
    },
  );
  if (answer.kind !== job.kind) throw new ProcessFailed('it answered for another job');
  return answer.outcome as Outcome<Kind>;
}
