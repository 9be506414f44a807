/**
 * `npm run fuzz:bridge [-- SECONDS]`: random bodies against the bounds of maint_v8, for ten minutes or so many seconds.
 * MAINT_TEST_SEED repeats a run, MAINT_FUZZ_BODIES ends it after so many.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { repository } from './paths.ts';

const usual = 600;

function main([word = String(usual), ...others]: readonly string[]): number {
  const seconds = Number(word);
  if (others.length > 0 || !Number.isInteger(seconds) || seconds < 1) {
    process.stderr.write('expected one number at most: for how many seconds\n');
    return 2;
  }
  const words = [
    join(repository, 'build/test.ts'),
    'test/bridge/fuzz.test.ts',
    `--timeout=${seconds + 300}s`,
  ];
  const env = { ...process.env, MAINT_FUZZ_SECONDS: String(seconds) };
  return spawnSync(process.execPath, words, { cwd: repository, env, stdio: 'inherit' }).status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
