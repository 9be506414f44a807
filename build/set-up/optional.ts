import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptSource, install, type PackageSource } from './apt.ts';
import { CannotServe, say } from './problem.ts';
import { outDirectory } from '../paths.ts';
import type { PostgresInstall } from '../postgres.ts';

/** What is used where it is there: hypopg tries an index that does not exist, and a test connects through PgBouncer. */
export function optionalPackages(version: number, forTests: boolean): string[] {
  return [`postgresql-${version}-hypopg`, ...(forTests ? ['pgbouncer'] : [])];
}

export const pgbouncer = '/usr/sbin/pgbouncer';

/** Those that this release offers. */
export async function offered(packages: readonly string[], source: PackageSource): Promise<string[]> {
  const found: string[] = [];
  for (const name of packages) if ((await source.candidate(name)) !== null) found.push(name);
  return found;
}

const marker = join(outDirectory, 'optional-packages');

/**
 * Tries once to install the optional packages of a server from Debian or Ubuntu. Without them all works but what needs
 * them, which says so; so whatever keeps it from happening here is no failure.
 */
export async function ensureOptional(
  { version, binDirectory }: PostgresInstall,
  forTests: boolean,
): Promise<void> {
  const wanted = optionalPackages(version, forTests);
  const debian = binDirectory === `/usr/lib/postgresql/${version}/bin`;
  const files = [
    `/usr/share/postgresql/${version}/extension/hypopg.control`,
    ...(forTests ? [pgbouncer] : []),
  ];
  if (!debian || files.every((file) => existsSync(file))) return;
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted.join('\n')) return;
  const packages = await offered(wanted, aptSource);
  if (packages.length > 0) {
    try {
      await install(packages);
    } catch (error) {
      if (!(error instanceof CannotServe)) throw error;
      say(`without ${packages.join(' ')}, which is optional`);
    }
  }
  writeFileSync(marker, wanted.join('\n'));
}
