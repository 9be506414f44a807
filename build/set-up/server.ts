import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { aptSource, has, install, requireApt, updateLists, type PackageSource } from './apt.ts';
import { CannotServe, useAnotherServer } from './problem.ts';
import { findPostgres, oldestVersion, type PostgresInstall } from '../postgres.ts';

/** What of PostgreSQL and the compiler this machine lacks. */
export interface Lack {
  /** A server with its headers. */
  postgres: boolean;
  /** Major version of a server that lacks only its headers, or null. */
  headersOf: number | null;
  /** Commands of the compiler. */
  commands: readonly string[];
}

/** PostgreSQL with contrib, psql and headers, and a C++ compiler: installed where missing. */
export async function ensureServer(): Promise<PostgresInstall> {
  const found = await findPostgres({ headers: true });
  const commands = ['g++', 'make'].filter((command) => !has(command));
  if (found !== null && commands.length === 0) return requireContrib(found);

  const withoutHeaders = found === null ? await findPostgres({ headers: false }) : null;
  const lack: Lack = { postgres: found === null, headersOf: withoutHeaders?.version ?? null, commands };
  requireApt(describe(lack));
  await updateLists(describe(lack), await packagesByHand(lack, aptSource));
  await install(await packagesFor(lack, aptSource));
  const installed = await findPostgres({ headers: true });
  if (installed === null) {
    throw new CannotServe(
      'PostgreSQL is installed, but not where Debian and Ubuntu put it (/usr/lib/postgresql).',
      ['Name its pg_config:  PG_CONFIG=/path/to/pg_config npm start', useAnotherServer],
    );
  }
  return requireContrib(installed);
}

function describe(lack: Lack): string {
  const parts = [...lack.commands];
  if (lack.postgres) parts.unshift(`PostgreSQL ${oldestVersion} or newer with its headers`);
  return parts.join(' and ');
}

/** The packages that make up for the lack, in the version that this release offers. */
export async function packagesFor(lack: Lack, source: PackageSource): Promise<string[]> {
  const packages: string[] = [...lack.commands];
  if (lack.postgres) {
    const version = await versionToInstall(lack, source);
    // Both at once: a module compiled against the headers of a newer minor version does not load.
    packages.unshift(`postgresql-${version}`, `postgresql-server-dev-${version}`);
  }
  for (const name of packages) {
    if ((await source.candidate(name)) === null) {
      throw new CannotServe(`pg-maint needs the package ${name}, and apt knows none.`, [
        'See that the machine reaches its package archive:  apt-get update',
        useAnotherServer,
      ]);
    }
  }
  return packages;
}

/** The same before the lists are there, for a user who has to install them: by names that hold in any release. */
async function packagesByHand(lack: Lack, source: PackageSource): Promise<string[]> {
  try {
    return await packagesFor(lack, source);
  } catch (error) {
    if (!(error instanceof CannotServe)) throw error;
    return [...(lack.postgres ? ['postgresql', 'postgresql-server-dev-all'] : []), ...lack.commands];
  }
}

/** The version of the server that is there; otherwise the one that the release's package `postgresql` stands for. */
async function versionToInstall(lack: Lack, source: PackageSource): Promise<number> {
  const { headersOf } = lack;
  if (headersOf !== null && (await source.candidate(`postgresql-server-dev-${headersOf}`)) !== null) {
    return headersOf;
  }
  const names = await source.dependencies('postgresql');
  const version = names.map((name) => Number(/^postgresql-(\d+)$/.exec(name)?.[1])).find(Number.isInteger);
  if (version === undefined) {
    throw new CannotServe(`pg-maint needs ${describe(lack)}, and apt offers no PostgreSQL.`, [
      'See that the machine reaches its package archive:  apt-get update',
      useAnotherServer,
    ]);
  }
  if (version < oldestVersion) {
    throw new CannotServe(
      `pg-maint needs PostgreSQL ${oldestVersion} or newer, and this release offers PostgreSQL ${version}.`,
      [
        'Add the archive of the PostgreSQL project (https://apt.postgresql.org):',
        '  apt-get install postgresql-common && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh',
        useAnotherServer,
      ],
    );
  }
  return version;
}

/** The checks read pages and statistics through modules of contrib. */
function requireContrib(postgres: PostgresInstall): PostgresInstall {
  const debian = dirname(postgres.binDirectory) === `/usr/lib/postgresql/${postgres.version}`;
  if (debian && !existsSync(`/usr/share/postgresql/${postgres.version}/extension/pageinspect.control`)) {
    throw new CannotServe(`The contrib modules of PostgreSQL ${postgres.version} are missing.`, [
      `Run as root:  apt-get install --reinstall postgresql-${postgres.version}`,
      useAnotherServer,
    ]);
  }
  return postgres;
}
