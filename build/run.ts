import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** `capture` (default) collects output, `inherit` shows it as it comes. */
  output?: 'capture' | 'inherit';
  /** A file that gets the command and all its output as well. */
  log?: string;
  /** Return a failing exit code instead of throwing. */
  allowFailure?: boolean;
}

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** A command that ended with an exit code other than 0, or could not be started. */
export class CommandFailed extends Error {
  readonly result: RunResult;

  constructor(command: string, arguments_: readonly string[], result: RunResult) {
    const output = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-15).join('\n');
    super(
      `${[command, ...arguments_].join(' ')} failed (exit code ${result.code})${output && `:\n${output}`}`,
    );
    this.name = 'CommandFailed';
    this.result = result;
  }
}

/** Runs a command from an argument array: no shell ever sees the words. */
export function run(
  command: string,
  arguments_: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return new Promise((settle, fail) => {
    const inherit = options.output === 'inherit';
    const child = spawn(command, arguments_, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', inherit ? 'inherit' : 'pipe', inherit ? 'inherit' : 'pipe'],
    });
    const result: RunResult = { code: 0, stdout: '', stderr: '' };
    const log = (text: string): void => {
      if (options.log !== undefined) appendFileSync(options.log, text);
    };
    log(`$ ${[command, ...arguments_].join(' ')}\n`);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      result.stdout += text;
      log(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      result.stderr += text;
      log(text);
    });
    child.on('error', (error) => {
      result.code = 127;
      result.stderr = error.message;
      if (options.allowFailure === true) settle(result);
      else fail(new CommandFailed(command, arguments_, result));
    });
    child.on('close', (code, signal) => {
      // The convention of shells: a process ended by a signal counts as failed.
      result.code = code ?? (signal === null ? 1 : 128);
      if (result.code === 0 || options.allowFailure === true) settle(result);
      else fail(new CommandFailed(command, arguments_, result));
    });
  });
}
