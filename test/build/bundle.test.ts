import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { build } from 'esbuild';
import { dispatcherBody, queryRiskBody } from '../../build/bundle.ts';
import { makeManifest } from '../../build/manifest.ts';
import { outDirectory, repository } from '../../build/paths.ts';
import type { Manifest } from '../../src/worker/manifest.ts';
import { installScripts } from '../../src/worker/install-script.ts';

test('the same sources give the same bytes', async (t) => {
  const bodies = await Promise.all([dispatcherBody(), dispatcherBody()]);
  t.is(bodies[0], bodies[1]);
  const made = (body: string): Manifest => makeManifest('1.2.3', { dispatcherBody: body, queryRiskBody: '' });
  const [first, second] = bodies.map(made);
  t.deepEqual(first, second);
  t.deepEqual(installScripts(first!), installScripts(second!));
  t.not(made(`${bodies[0]}\n`).bundleSha256, first!.bundleSha256);
});

test('what was built is what the sources give', async (t) => {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  const built = JSON.parse(readFileSync(join(outDirectory, 'sql/manifest.json'), 'utf8')) as unknown;
  t.deepEqual(
    built,
    JSON.parse(
      JSON.stringify(
        makeManifest(version, {
          dispatcherBody: await dispatcherBody(),
          queryRiskBody: await queryRiskBody(),
        }),
      ),
    ),
    'npm run build',
  );
});

test('the dispatcher knows nothing of Node, of the clock of steps, or of what V8 10.2 lacks', async (t) => {
  const body = await dispatcherBody();
  // The one clock is the host's.
  t.deepEqual(body.match(/\bDate\b.*/g), ['Date.now()']);
  for (const word of [
    'require(',
    'process.',
    'console.',
    'globalThis',
    'setTimeout',
    'TextEncoder',
    'Math.random',
  ]) {
    t.false(body.includes(word), word);
  }
  t.is(Buffer.byteLength(body), body.length, 'ASCII only: the server may have any encoding');
});

test('a Node module in a step is an error of the build', async (t) => {
  const contents = `import 'node:fs';`;
  const options = {
    stdin: { contents, resolveDir: repository },
    bundle: true,
    write: false,
    platform: 'neutral',
  } as const;
  await t.throwsAsync(build({ ...options, logLevel: 'silent' }), { message: /node:fs/ });
});
