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
  await install(database.url);
}
