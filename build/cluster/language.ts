import { copyFileSync, existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import pg from 'pg';
import { buildBridge, languageSql } from '../bridge.ts';
import type { Layout } from './layout.ts';
import { v8Root } from '../paths.ts';
import type { PostgresInstall } from '../postgres.ts';

/**
 * Puts maint_v8 and its libnode into the cluster's directory: the server's account can't read a clone that lies
 * under /root. The module finds libnode beside itself. Returns the module's path.
 */
export async function placeModule(layout: Layout, postgres: PostgresInstall): Promise<string> {
  const built = await buildBridge({ pgConfig: postgres.pgConfig, v8Root });
  const libraries = join(v8Root, 'usr', 'lib');
  for (const triplet of readdirSync(libraries)) {
    for (const name of readdirSync(join(libraries, triplet))) {
      if (/^libnode\.so\.\d+$/.test(name)) {
        const target = join(layout.library, name);
        if (!existsSync(target)) linkOrCopy(join(libraries, triplet, name), target);
      }
    }
  }
  const module = join(layout.library, basename(built));
  if (!existsSync(module) || !readFileSync(module).equals(readFileSync(built))) {
    // By renaming: backends that have the old one loaded keep it, new sessions get the new one.
    copyFileSync(built, `${module}.new`);
    renameSync(`${module}.new`, module);
  }
  return module;
}

/** libnode has 47 MB: a second name for the same file where the file system allows it. */
function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    rmSync(target, { force: true });
    copyFileSync(source, target);
  }
}

/** Creates the language in template1, so that each new database has it, and in `postgres`, which is there already. */
export async function createLanguage(port: number, module: string): Promise<void> {
  const sql = languageSql(module);
  for (const database of ['template1', 'postgres']) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
}
