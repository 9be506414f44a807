import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { repository } from '../../build/paths.ts';
import { run, type RunResult } from '../../build/run.ts';

/** Runs one of the repository's scripts with the Node that runs the test. */
export function runScript(
  script: string,
  words: readonly string[],
  options: { env?: NodeJS.ProcessEnv; nodeOptions?: readonly string[] } = {},
): Promise<RunResult> {
  const all = [...(options.nodeOptions ?? []), join(repository, script), ...words];
  return run(process.execPath, all, { cwd: repository, allowFailure: true, env: options.env ?? process.env });
}

/** A new folder, removed when the test ends, that every account can enter. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pg-maint-test-'));
  chmodSync(folder, 0o755);
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A PATH with nothing but the given commands: shell scripts by their text, links to real ones by their path. */
export function pathWith(
  t: ExecutionContext,
  commands: { scripts?: Record<string, string>; links?: Record<string, string> },
): string {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(commands.scripts ?? {})) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  for (const [name, target] of Object.entries(commands.links ?? {})) symlinkSync(target, join(folder, name));
  return folder;
}

/** Starts a program given as text and waits for the first line that it prints. */
export async function startProgram(
  t: ExecutionContext,
  text: string,
): Promise<{ child: ChildProcess; line: string }> {
  const file = join(temporaryFolder(t), 'program.ts');
  writeFileSync(file, text);
  const child = spawn(process.execPath, [file], { cwd: repository, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => {
    child.kill('SIGKILL');
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as [string | undefined];
  if (line === undefined) throw new Error('the program ended without a line');
  return { child, line };
}

/** Tries again until the condition holds; fails the test when it does not come to hold. */
export async function eventually(t: ExecutionContext, what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) {
      t.fail(`not within 15 s: ${what}`);
      return;
    }
    await new Promise((settle) => setTimeout(settle, 25));
  }
  t.pass();
}
