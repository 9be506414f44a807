/** Trains in a process of its own, which can be ended at any moment and gives all its memory back. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainingJob, TrainingMessage, TrainingOutcome } from './training.ts';

export class TrainingFailed extends Error {
  override readonly name = 'TrainingFailed';
}

type Outcome<Kind> = Extract<TrainingOutcome, { kind: Kind }>['outcome'];

/** Of the JavaScript heap; the trees are grown in WebAssembly, which is not counted in it. */
const megabytes = 768;

/** Beside the program as it is shipped, or among the sources. */
function programFile(): string {
  const shipped = join(import.meta.dirname, 'training.js');
  return existsSync(shipped) ? shipped : join(import.meta.dirname, 'training.ts');
}

/**
 * The outcome of a job. Throws TrainingFailed with the reason where it fails, takes longer than `timeoutSeconds`, or the
 * signal fires; the process is gone in every case.
 */
export async function train<Kind extends TrainingJob['kind']>(
  job: Extract<TrainingJob, { kind: Kind }>,
  options: { timeoutSeconds: number; signal: AbortSignal },
): Promise<Outcome<Kind>> {
  const child = fork(programFile(), {
    // What a library prints belongs to nobody.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${megabytes}`],
    // No password and no address of a database.
    env: { PATH: process.env['PATH'] ?? '' },
  });
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    said = `${said}${part.toString()}`.slice(-2000);
  });
  const killed: string[] = [];
  const kill = (why: string): void => {
    killed.push(why);
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => {
    kill(`it took longer than ${options.timeoutSeconds} s (features.ml_interception.training_timeout)`);
  }, options.timeoutSeconds * 1000);
  const stop = (): void => {
    kill('the worker is stopping');
  };
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    const message = await new Promise<TrainingMessage>((resolve, reject) => {
      child.once('message', (received: TrainingMessage) => {
        resolve(received);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        const how = killed[0] ?? `its process ended with ${code ?? signal ?? 'nothing'}: ${said.trim()}`;
        reject(new TrainingFailed(how));
      });
      if (options.signal.aborted) stop();
      else
        child.send(job, (error) => {
          // Where it is gone already, its exit says why.
          if (error !== null) child.kill('SIGKILL');
        });
    });
    if (!message.ok) throw new TrainingFailed(message.message);
    if (message.outcome.kind !== job.kind) throw new TrainingFailed('it answered for another job');
    return message.outcome.outcome as Outcome<Kind>;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  }
}
