import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

/** The oldest PostgreSQL that pg-maint supports. */
export const oldestVersion = 15;

export interface PostgresInstall {
  /** Major version. */
  version: number;
  /** Folder with postgres, initdb and psql. */
  binDirectory: string;
  /** The pg_config of exactly this install. */
  pgConfig: string;
}

/** Where Debian, Ubuntu and apt.postgresql.org put their installs, one folder a major version. */
const debianRoot = '/usr/lib/postgresql';

/**
 * The newest PostgreSQL on this machine that can run the embedded cluster, or null. `headers` asks for one that
 * extensions can be compiled against as well. PG_CONFIG in the environment names another install.
 */
export async function findPostgres(options: { headers: boolean }): Promise<PostgresInstall | null> {
  const named = process.env['PG_CONFIG'];
  if (named !== undefined && named !== '') return await installOf(named);
  if (!existsSync(debianRoot)) return null;
  const versions = readdirSync(debianRoot)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((left, right) => right - left);
  for (const version of versions.filter((candidate) => candidate >= oldestVersion)) {
    const install = debianInstall(version);
    if (existsSync(join(install.binDirectory, 'postgres')) && (!options.headers || hasHeaders(version))) {
      return install;
    }
  }
  return null;
}

function debianInstall(version: number): PostgresInstall {
  const binDirectory = join(debianRoot, String(version), 'bin');
  return { version, binDirectory, pgConfig: join(binDirectory, 'pg_config') };
}

function hasHeaders(version: number): boolean {
  return (
    existsSync(`/usr/include/postgresql/${version}/server/postgres.h`) &&
    existsSync(join(debianRoot, String(version), 'lib/pgxs/src/makefiles/pgxs.mk'))
  );
}

async function installOf(pgConfig: string): Promise<PostgresInstall> {
  const { stdout } = await run(pgConfig, ['--version', '--bindir']);
  const [versionLine = '', binDirectory = ''] = stdout.trim().split('\n');
  const version = Number(/\b(\d+)/.exec(versionLine)?.[1]);
  if (!(version >= oldestVersion)) {
    throw new Error(
      `PG_CONFIG=${pgConfig} is "${versionLine}"; pg-maint needs PostgreSQL ${oldestVersion} or newer`,
    );
  }
  return { version, binDirectory, pgConfig };
}
