/** Makes build/out/sql (what an installation puts into a database) and build/out/worker (the command pg-maint). */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { installScripts } from '../src/worker/install-script.ts';
import { makeManifest } from './manifest.ts';
import { outDirectory, repository } from './paths.ts';

/** The body of a function in the database: one script. Deterministic: the same sources give the same bytes. */
async function functionBody(entry: string, footer: string, banner = ''): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(repository, entry)],
    absWorkingDir: repository,
    bundle: true,
    write: false,
    // Any node: import is an error here; V8 10.2 (libnode108) is the oldest that must read the output.
    platform: 'neutral',
    target: 'es2022',
    format: 'iife',
    globalName: 'maint',
    charset: 'ascii',
    legalComments: 'none',
    banner: { js: banner },
    footer: { js: footer },
    logLevel: 'warning',
  });
  const [output] = outputFiles;
  if (!output) throw new Error(`esbuild made no output for ${entry}`);
  return output.text;
}

/** Of maint.dispatch(request jsonb); with null it does nothing but be compiled. */
export const dispatcherBody = (): Promise<string> =>
  functionBody(
    'src/plv8/dispatcher.ts',
    'return maint.dispatch(request);',
    'if (request === null) return null;',
  );

/**
 * Of maint.query_risk(query text), which is called for every statement: a role's session keeps what the script makes, under
 * a name that changes with it, so that V8 compiles it once. The script is a string, compiled when the function runs:
 * a cancel while PL/V8 compiles the function itself can crash the server where a caller catches all errors
 * (docs/install/own-server.md), and to read a string takes V8 a fifth of the time.
 */
export async function queryRiskBody(): Promise<string> {
  const script = await functionBody('src/plv8/query-risk.ts', '');
  const name = JSON.stringify(
    `maint.query_risk ${createHash('sha256').update(script).digest('hex').slice(0, 16)}`,
  );
  const source = JSON.stringify(
    `(function () {\n${script}\nreturn maint.judge;\n})()\n//# sourceURL=maint.query_risk`,
  );
  return `globalThis[${name}] ??= (0, eval)(${source});\nreturn globalThis[${name}](query);\n`;
}

/**
 * Writes a file only as a whole, so that a reader at any moment sees the old or the new one; beside the folders that are
 * listed by others, so that none of them meets half a file.
 */
function writeWhole(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = join(outDirectory, `${basename(path)}.${process.pid}`);
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

/** What danfojs would load and forecasts never use: its readers of files and addresses, its charts. */
const unusedModules = ['request', 'xlsx', 'plotly.js-dist-min'];

async function buildWorker(): Promise<void> {
  const shared = {
    absWorkingDir: repository,
    outdir: join(outDirectory, 'worker'),
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    legalComments: 'none',
    logLevel: 'warning',
  } as const;
  const commands = await build({
    ...shared,
    entryPoints: {
      'pg-maint': join(repository, 'src/worker/cli.ts'),
      parsing: join(repository, 'src/worker/parsing.ts'),
    },
    packages: 'external',
    banner: { js: '#!/usr/bin/env node' },
  });
  // The training process, with danfojs in it: whoever installs pg-maint needs none of what that library drags along.
  const training = await build({
    ...shared,
    entryPoints: { training: join(repository, 'src/worker/ml/training.ts') },
    external: ['ml-xgboost'],
    alias: Object.fromEntries(unusedModules.map((name) => [name, join(repository, 'build/empty-module.ts')])),
    minify: true,
    banner: {
      js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);",
    },
  });
  for (const { path, contents } of [...commands.outputFiles, ...training.outputFiles])
    writeWhole(path, contents);
}

export async function buildBundle(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  const manifest = makeManifest(version, {
    dispatcherBody: await dispatcherBody(),
    queryRiskBody: await queryRiskBody(),
  });
  writeWhole(join(outDirectory, 'sql/manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`);
  for (const [name, text] of Object.entries(installScripts(manifest))) {
    writeWhole(join(outDirectory, 'sql', name), text);
  }
  await buildWorker();
}

if (import.meta.main) await buildBundle();
