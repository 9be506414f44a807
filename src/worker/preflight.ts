/** What must hold before an installation begins; each refusal says what to do. */
import pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';

/** The schema of our pg-boss. An application's own, pgboss by default, is none of our business. */
export const bossSchema = 'maint_boss';

const oldestServer = 150_000;

/** Refuses a standby. Outside a transaction. */
export async function requirePrimary(client: pg.Client): Promise<void> {
  const { standby } = await queryRow<{ standby: boolean }>(
    client,
    'select pg_catalog.pg_is_in_recovery() as standby',
  );
  if (standby) {
    throw new CouldNotRun(
      'this server is a standby, which takes no changes',
      'connect to the primary; what is done there reaches the standby by itself',
    );
  }
}

/** Server version, not a standby, right to create. Outside a transaction. */
export async function requireServer(client: pg.Client): Promise<void> {
  await requirePrimary(client);
  const server = await queryRow<{
    number: number;
    version: string;
    may_create: boolean;
    schema_exists: boolean;
    grant_create: string;
  }>(
    client,
    `select pg_catalog.current_setting('server_version_num')::int as number,
       pg_catalog.current_setting('server_version') as version,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create') as may_create,
       pg_catalog.to_regnamespace('maint') is not null as schema_exists,
       pg_catalog.format('grant create on database %I to %I', pg_catalog.current_database(), current_user) as grant_create`,
  );
  if (server.number < oldestServer) {
    throw new CouldNotRun(
      `the server is PostgreSQL ${server.version}; pg-maint needs 15 or newer`,
      'upgrade the server, for instance with pg_upgrade',
    );
  }
  if (!server.may_create && !server.schema_exists) {
    throw new CouldNotRun('this role may not create a schema in this database', `${server.grant_create};`);
  }
}

export interface FoundSchema {
  owner: string;
  /** pg-maint's tables, or those of pg-boss, are in it. */
  ours: boolean;
  empty: boolean;
}

export interface FoundSchemas {
  maint: FoundSchema | null;
  queues: FoundSchema | null;
}

/**
 * The schemas that an installation would use and that are there already. By the catalog alone; throws where schema maint
 * holds something else, or pg-maint is here as an extension.
 */
export async function findSchemas(client: pg.ClientBase): Promise<FoundSchemas> {
  const { rows } = await client.query<FoundSchema & { name: string; of_extension: boolean }>(
    `select n.nspname::text as name, pg_catalog.pg_get_userbyid(n.nspowner)::text as owner,
       -- to_regclass would need the right to use the schema.
       (select pg_catalog.count(*) = 2 from pg_catalog.pg_class as c
         where c.relnamespace = n.oid and c.relkind in ('r', 'p')
           and c.relname = any (case n.nspname when 'maint' then '{migration,installation}'::name[] else '{version,job}' end))
         as ours,
       not exists (
         select from pg_catalog.pg_depend as d
         where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = n.oid
           and d.deptype = 'n' and d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass) as empty,
       exists (select from pg_catalog.pg_extension where extname = 'maint') as of_extension
     from pg_catalog.pg_namespace as n where n.nspname in ('maint', $1)`,
    [bossSchema],
  );
  const maint = rows.find(({ name }) => name === 'maint') ?? null;
  const queues = rows.find(({ name }) => name === bossSchema) ?? null;
  if (maint?.of_extension === true)
    throw new CouldNotRun(
      'pg-maint is installed here as the extension maint',
      'alter extension maint update;  -- or drop extension maint;',
    );
  if (maint !== null && !maint.ours && !maint.empty) throw notOurs('maint', 'is not of pg-maint');
  return { maint, queues };
}

function notOurs(schema: string, why: string): CouldNotRun {
  return new CouldNotRun(
    `there is a schema ${schema} that ${why}; nothing was changed`,
    `alter schema ${schema} rename to something_else;`,
  );
}

/**
 * Whoever owns a schema can replace what is in it. So a schema that is there is used only where it belongs to the role that
 * is to own it, also an empty one. Throws CouldNotRun.
 */
export function requireOwnSchema(schema: string, found: FoundSchema | null, owner: string): void {
  if (found === null) return;
  if (found.owner !== owner)
    throw new CouldNotRun(
      `there is a schema ${schema} already; it belongs to ${found.owner}, and pg-maint would belong to ${owner}; ` +
        'nothing was changed',
      (found.empty ? `drop schema ${schema}; -- or: ` : '') +
        `alter schema ${schema} rename to something_else;`,
    );
  if (!found.ours && !found.empty) throw notOurs(schema, 'holds something else');
}

/** Everything is to belong to the owner of the schema, whoever installs. */
export async function actAs(client: pg.Client, role: string): Promise<void> {
  await client.query(`set local role ${pg.escapeIdentifier(role)}`);
}
