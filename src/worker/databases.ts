/** Which databases of a server have pg-maint. */
import { sqlstate } from '../core/sqlstate.ts';
import { queryRow, withConnection } from './connection.ts';
import { sqlstateOf } from './errors.ts';
import { resolveTarget } from './target/client-config.ts';
import { writeTarget } from './target/keywords.ts';
import { schemaTrust } from './trust.ts';
import type { SchemaTrust } from './trust.ts';

export interface FoundDatabase extends SchemaTrust {
  name: string;
  /** How to connect to it. */
  target: string;
  /** The role that pg-maint belongs to in it. */
  owner: string;
}

/**
 * The databases of the server at `url` that have pg-maint, without those in `known`. Opens a connection to each that is
 * not known; one that can't be looked into, or goes meanwhile, is left out.
 */
export async function databasesWithMaint(
  url: string | undefined,
  known: readonly string[],
): Promise<FoundDatabase[]> {
  const names = await withConnection(url, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select d.datname as name from pg_catalog.pg_database as d
       where d.datallowconn and not d.datistemplate and d.datname <> all ($1)
         and pg_catalog.has_database_privilege(d.oid, 'connect')
       order by d.datname`,
      [known],
    );
    return rows.map(({ name }) => name);
  });
  const found: FoundDatabase[] = [];
  for (const name of names) {
    const target = writeTarget({ ...resolveTarget(url), dbname: name });
    const installation = await installationIn(target).catch(() => null);
    if (installation !== null) found.push({ name, target, ...installation });
  }
  return found;
}

/** By the catalog alone: of a schema that is not trusted nothing is touched. */
async function installationIn(target: string | undefined): Promise<(SchemaTrust & { owner: string }) | null> {
  return await withConnection(target, async (client) => {
    const trust = await schemaTrust(client);
    if (trust.owner === null) return null;
    const { installed } = await queryRow<{ installed: boolean }>(
      client,
      `select exists (
         select from pg_catalog.pg_class as c
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where n.nspname = 'maint' and c.relname = 'installation' and c.relkind = 'r') as installed`,
    );
    return installed ? { ...trust, owner: trust.owner } : null;
  });
}

/** Whether the database, or pg-maint in it, is not there any more; false where that can't be known. */
export async function isGone(target: string | undefined): Promise<boolean> {
  try {
    return (await installationIn(target)) === null;
  } catch (error) {
    return sqlstateOf((error as Error).cause) === sqlstate.invalidCatalogName;
  }
}
