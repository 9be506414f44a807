import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildBridge } from './bridge.ts';
import { outDirectory, setUpLog, v8Root } from './paths.ts';
import { ensureBrowser } from './set-up/browser.ts';
import { needsOf } from './set-up/needs.ts';
import { ensureOptional } from './set-up/optional.ts';
import { CannotServe, say } from './set-up/problem.ts';
import { ensureServer } from './set-up/server.ts';
import { ensureV8 } from './set-up/v8.ts';

/**
 * Makes ready what the command given as arguments needs. Called by with-set-up.sh before every npm script, so with
 * everything in place it only looks and returns.
 */
async function setUp(command: string): Promise<void> {
  mkdirSync(outDirectory, { recursive: true });
  const needs = needsOf(command);
  if (needs.server) {
    const postgres = await ensureServer();
    await ensureOptional(postgres, needs.browser);
    await ensureV8();
    if (!existsSync(join(outDirectory, 'bridge', 'maint_v8.so'))) say('compiling the bridge …');
    await buildBridge({ pgConfig: postgres.pgConfig, v8Root });
  }
  if (needs.browser) await ensureBrowser();
  if (needs.bundle) {
    const { buildBundle } = await import('./bundle.ts');
    await buildBundle();
  }
}

try {
  rmSync(setUpLog, { force: true });
  // The words of the command are `node build/start.ts …`; by hand it may be called without any.
  await setUp(process.argv[3] ?? '');
} catch (error) {
  if (error instanceof CannotServe) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
