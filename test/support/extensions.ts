import { readManifest } from '../../src/worker/manifest.ts';
import { install } from '../../src/worker/install.ts';
import type { TestDatabase } from './database.ts';

/**
 * Creates extensions where pg-maint is installed, and installs again, as doctor advises: only then may its owner use them.
 * `where` is what follows the name in CREATE EXTENSION.
 */
export async function createExtensions(
  database: Pick<TestDatabase, 'url' | 'query'>,
  names: readonly string[],
  where = '',
): Promise<void> {
  for (const name of names) await database.query(`create extension ${name} ${where}`);
  // Raw pages are read by superusers alone while schema maint_privileged has no function for it.
  const asSuperuser = names.includes('pageinspect') && readManifest().privileged.length === 0;
  await install(database.url, asSuperuser ? { owner: 'postgres' } : {});
}
