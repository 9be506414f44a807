import { join } from 'node:path';
import { binDirectory, repository } from './paths.ts';
import { CommandFailed, run } from './run.ts';

/** The checks that need no server, quickest complaint first. */
const checks: readonly (readonly [string, ...string[]])[] = [
  ['tsc', '--noEmit'],
  // What runs in the server has neither Node nor the newest JavaScript.
  ['tsc', '--noEmit', '--project', 'tsconfig.database.json'],
  ['eslint', '--max-warnings=0', '.'],
  ['prettier', '--check', '--log-level=warn', '.'],
];

/** Type check, lint and format; says which of them fail, and answers whether all pass. */
export async function check(): Promise<boolean> {
  const results = await Promise.all(
    checks.map(async ([command, ...words]) => {
      const result = await run(join(binDirectory, command), words, { cwd: repository, allowFailure: true });
      return { command, result };
    }),
  );
  for (const { command, result } of results) {
    if (result.code === 0) continue;
    process.stderr.write(`${command}:\n${result.stdout}${result.stderr}\n`);
    if (command === 'prettier')
      process.stderr.write('  node_modules/.bin/prettier --write . puts it right\n');
  }
  const failed = results.filter(({ result }) => result.code !== 0).map(({ command }) => command);
  process.stdout.write(failed.length === 0 ? 'check: all passed\n' : `check: ${failed.join(', ')} failed\n`);
  return failed.length === 0;
}

if (import.meta.main) {
  try {
    process.exitCode = (await check()) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
