import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { outDirectory, repository } from './paths.ts';
import { run } from './run.ts';

export interface BridgeOptions {
  /** The pg_config of the server that will load the module. */
  pgConfig: string;
  /** The folder that holds V8's `usr`. */
  v8Root: string;
}

const source = join(repository, 'src', 'bridge');
const target = join(outDirectory, 'bridge');
const stamp = join(target, 'stamp');

/**
 * Compiles src/bridge into build/out/bridge, unless what is there was made of the same sources, server and V8.
 * Returns the path of maint_v8.so.
 */
export async function buildBridge(options: BridgeOptions): Promise<string> {
  const v8 = findV8(options.v8Root);
  const module = join(target, 'maint_v8.so');
  return await withLock(
    join(outDirectory, 'bridge.lock'),
    async () => {
      const state = await stateOf(options.pgConfig, v8);
      if (existsSync(module) && existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return module;
      const folder = `${target}.new`;
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      await compile(folder, options.pgConfig, v8);
      writeFileSync(join(folder, 'stamp'), state);
      rmSync(target, { recursive: true, force: true });
      renameSync(folder, target);
      return module;
    },
    { seconds: 600 },
  );
}

/** The statements that create the language from a module at any path, to be sent as one query; they may be run again. */
export function languageSql(modulePath: string): string {
  // Inside quotes in the script.
  const path = modulePath.replaceAll("'", "''");
  const script = readFileSync(join(source, 'maint_v8--0.1.0.sql'), 'utf8')
    .replace(/^CREATE (FUNCTION|LANGUAGE) /gm, 'CREATE OR REPLACE $1 ')
    .replaceAll('MODULE_PATHNAME', () => path);
  // Two sessions that replace the same function at once would fail. Sent as one query, this is one transaction.
  return `SELECT pg_catalog.pg_advisory_xact_lock(1886219637);\n${script}`;
}

interface V8 {
  include: string;
  library: string;
}

/** Debian keeps the library in a folder named after the machine's architecture. */
function findV8(root: string): V8 {
  const include = join(root, 'usr', 'include', 'node');
  const libraries = join(root, 'usr', 'lib');
  if (!existsSync(join(include, 'v8.h'))) throw new Error(`no headers of V8 in ${include}`);
  for (const name of readdirSync(libraries)) {
    const library = join(libraries, name);
    if (libnodeOf(library) !== undefined) return { include, library };
  }
  throw new Error(`no libnode under ${libraries}`);
}

function libnodeOf(folder: string): string | undefined {
  return existsSync(folder) ? readdirSync(folder).find((name) => /^libnode\.so\.\d+$/.test(name)) : undefined;
}

/** Everything the module depends on, as a hash. */
async function stateOf(pgConfig: string, v8: V8): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(source).sort()) {
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(source, name)))
      .update('\0');
  }
  const server = await run(pgConfig, ['--version', '--includedir-server', '--pgxs']);
  hash.update(server.stdout);
  // The path is in it because the module looks for libnode there.
  hash.update(`${v8.library}/${libnodeOf(v8.library) ?? ''}\0`);
  hash.update(readFileSync(join(v8.include, 'v8-version.h')));
  return hash.digest('hex');
}

async function compile(folder: string, pgConfig: string, v8: V8): Promise<void> {
  const result = await run(
    'make',
    [
      `-j${cpus().length}`,
      '-f',
      join(source, 'Makefile'),
      `PG_CONFIG=${pgConfig}`,
      `V8_INCLUDE=${v8.include}`,
      `V8_LIB=${v8.library}`,
    ],
    { cwd: folder, allowFailure: true },
  );
  if (result.code === 0) return;
  process.stderr.write(result.stdout + result.stderr);
  throw new Error('maint_v8 could not be compiled; the output of the compiler stands above');
}
