/** One job in a process of its own, which can be ended at any moment and gives all its memory back. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

export class ProcessFailed extends Error {
  override readonly name = 'ProcessFailed';
}

/** What such a process answers, once. */
export type Answer<Outcome> = { ok: true; outcome: Outcome } | { ok: false; message: string };

export interface ProcessOptions {
  /** Options of Node, of its V8 for instance. */
  nodeOptions: readonly string[];
  timeoutSeconds: number;
  /** Where the time is set, for whoever reads that it was not enough. */
  timeoutSetting?: string;
  signal: AbortSignal;
}

/** Beside the command as it is shipped, where all programs are in one folder, or among the sources. */
export function programFile(folder: string, name: string): string {
  const shipped = join(folder, `${name}.js`);
  return existsSync(shipped) ? shipped : join(folder, `${name}.ts`);
}

/**
 * The outcome of a job, which `program` has from answerJob. Throws ProcessFailed with the reason where it fails, takes longer
 * than `timeoutSeconds`, or the signal fires; the process is gone in every case.
 */
export async function performInProcess<Job extends object, Outcome>(
  program: string,
  job: Job,
  options: ProcessOptions,
): Promise<Outcome> {
  const child = fork(program, {
    // What a library prints belongs to nobody.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    execArgv: [...options.nodeOptions],
    // No password and no address of a database.
    env: { PATH: process.env['PATH'] ?? '', [parentVariable]: String(process.pid) },
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
  const { timeoutSeconds, timeoutSetting, signal } = options;
  const timer = setTimeout(() => {
    const setting = timeoutSetting === undefined ? '' : ` (${timeoutSetting})`;
    kill(`it took longer than ${timeoutSeconds} s${setting}`);
  }, timeoutSeconds * 1000);
  const stop = (): void => {
    kill('the worker is stopping');
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const answer = await new Promise<Answer<Outcome>>((resolve, reject) => {
      child.once('message', (received: Answer<Outcome>) => {
        resolve(received);
      });
      child.once('error', reject);
      child.once('exit', (code, by) => {
        const how = killed[0] ?? `its process ended with ${code ?? by ?? 'nothing'}: ${said.trim()}`;
        reject(new ProcessFailed(how));
      });
      if (signal.aborted) stop();
      else
        child.send(job, (error) => {
          // Where it is gone already, its exit says why.
          if (error !== null) child.kill('SIGKILL');
        });
    });
    if (!answer.ok) throw new ProcessFailed(answer.message);
    return answer.outcome;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  }
}

/** Tells the process whose it is. */
const parentVariable = 'PG_MAINT_PARENT';

/**
 * In a thread, as the main one computes for minutes without a look at its messages: ends the process soon after the worker
 * was killed, which then can't end it itself.
 */
const watch = `
  const parent = Number(process.env['${parentVariable}']);
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);
`;

/** In the program of such a process: performs the one job that comes in as a message, answers it and ends. */
export function answerJob<Job, Outcome>(perform: (job: Job) => Promise<Outcome>): void {
  const answer = (message: Answer<Outcome>): void => {
    process.send?.(message, () => process.exit(message.ok ? 0 : 1));
  };
  if (process.env[parentVariable] !== undefined) new Worker(watch, { eval: true, stdin: false }).unref();
  // Whoever wanted it is gone.
  process.on('disconnect', () => process.exit(1));
  process.once('message', (job: Job) => {
    perform(job).then(
      (outcome) => {
        answer({ ok: true, outcome });
      },
      (error: unknown) => {
        answer({ ok: false, message: error instanceof Error ? error.message : String(error) });
      },
    );
  });
}
