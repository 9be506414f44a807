/**
 * A copy of this machine's PostgreSQL in a folder of a test's own, so that extensions can be put where `create
 * extension` looks for them. PostgreSQL finds its files by the place of its program; what is only read is linked.
 */
import { copyFileSync, cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { outDirectory, repository, v8Root } from '../../build/paths.ts';
import { findPostgres } from '../../build/postgres.ts';
import type { PostgresInstall } from '../../build/postgres.ts';
import { run } from '../../build/run.ts';
import { temporaryFolder } from '../support/command.ts';

export interface PrivateServer {
  install: PostgresInstall;
  /** Its files lie below this as the real ones do below /. */
  root: string;
  libraries: string;
  extensions: string;
}

export async function privateServer(t: ExecutionContext): Promise<PrivateServer> {
  const real = (await findPostgres({ headers: true }))!;
  const { stdout } = await run(real.pgConfig, ['--bindir', '--pkglibdir', '--sharedir']);
  const [programs, libraries, shared] = stdout.trim().split('\n') as [string, string, string];
  const root = temporaryFolder(t);
  linkAll(libraries, join(root, libraries));
  linkAll(shared, join(root, shared), 'extension');
  linkAll(join(shared, 'extension'), join(root, shared, 'extension'));
  mkdirSync(join(root, programs), { recursive: true });
  // Copies: a link would lead the program back to where it points.
  for (const name of ['postgres', 'initdb', 'pg_dump', 'psql']) {
    copyFileSync(join(programs, name), join(root, programs, name));
  }
  return {
    install: { version: real.version, binDirectory: join(root, programs), pgConfig: real.pgConfig },
    root,
    libraries: join(root, libraries),
    extensions: join(root, shared, 'extension'),
  };
}

function linkAll(from: string, to: string, except = ''): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name !== except) symlinkSync(join(from, name), join(to, name));
  }
}

/** `make install` of src/bridge, of what is compiled already, and the files of the extension maint. */
export async function installExtensions(t: ExecutionContext, server: PrivateServer): Promise<void> {
  const objects = join(temporaryFolder(t), 'bridge');
  cpSync(join(outDirectory, 'bridge'), objects, { recursive: true, preserveTimestamps: true });
  const libraries = join(v8Root, 'usr', 'lib');
  const [triplet = ''] = readdirSync(libraries).filter((name) => name.includes('-linux-'));
  await run(
    'make',
    [
      '-f',
      join(repository, 'src/bridge/Makefile'),
      'install',
      `DESTDIR=${server.root}`,
      `PG_CONFIG=${server.install.pgConfig}`,
      `V8_INCLUDE=${join(v8Root, 'usr/include/node')}`,
      `V8_LIB=${join(libraries, triplet)}`,
    ],
    { cwd: objects },
  );
  // As a package of the system would bring it; the module looks for it beside itself too.
  for (const name of readdirSync(join(libraries, triplet)).filter((each) =>
    /^libnode\.so\.\d+$/.test(each),
  )) {
    copyFileSync(join(libraries, triplet, name), join(server.libraries, name));
  }
  for (const name of readdirSync(join(outDirectory, 'sql')).filter((each) =>
    /^maint(--|\.control)/.test(each),
  )) {
    copyFileSync(join(outDirectory, 'sql', name), join(server.extensions, name));
  }
}
