/**
 * `npm run test:chaos [-- MOMENTS]`: kill -9 at fifty random moments, or so many, for each victim and each kind of action.
 * MAINT_TEST_SEED repeats a run.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { repository } from './paths.ts';

/** As issue 4 asks for. */
const usual = 50;

function main([word = String(usual), ...others]: readonly string[]): number {
  const moments = Number(word);
  if (others.length > 0 || !Number.isInteger(moments) || moments < 1) {
    process.stderr.write('expected one number at most: how many moments for each victim and action\n');
    return 2;
  }
  const words = [join(repository, 'build/test.ts'), 'test/chaos/chaos.test.ts', '--timeout=60m'];
  const env = { ...process.env, MAINT_CHAOS_MOMENTS: String(moments) };
  return spawnSync(process.execPath, words, { cwd: repository, env, stdio: 'inherit' }).status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
