/** What must hold before an installation begins; each refusal says what to do. */
import pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';

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

/**
 * The role that owns schema maint where it is ours or empty, null where there is none; throws when it is someone
 * else's.
 */
export async function ownerOfSchema(client: pg.Client): Promise<string | null> {
  const schema = await queryRow<{
    exists: boolean;
    ours: boolean;
    empty: boolean;
    of_extension: boolean;
    owner: string | null;
    may_act: boolean | null;
  }>(
    client,
    `select n.oid is not null as exists,
       -- By the catalog: to_regclass would need the right to use the schema.
       (select pg_catalog.count(*) = 2 from pg_catalog.pg_class as c
         where c.relnamespace = n.oid and c.relname in ('migration', 'installation') and c.relkind = 'r') as ours,
       not exists (select from pg_catalog.pg_class where relnamespace = n.oid)
         and not exists (select from pg_catalog.pg_proc where pronamespace = n.oid)
         and not exists (select from pg_catalog.pg_type where typnamespace = n.oid) as empty,
       exists (select from pg_catalog.pg_extension where extname = 'maint') as of_extension,
       pg_catalog.pg_get_userbyid(n.nspowner)::text as owner,
       pg_catalog.pg_has_role(n.nspowner, 'member') as may_act
     from (values (1)) as one (row) left join pg_catalog.pg_namespace as n on n.nspname = 'maint'`,
  );
  if (schema.of_extension) {
    throw new CouldNotRun(
      'pg-maint is installed here as the extension maint',
      'alter extension maint update;  -- or drop extension maint;',
    );
  }
  if (!schema.exists) return null;
  if (!schema.ours && !schema.empty) {
    throw new CouldNotRun(
      'there is a schema maint that is not of pg-maint; nothing was changed',
      'alter schema maint rename to something_else;',
    );
  }
  if (schema.may_act !== true) {
    throw new CouldNotRun(
      `schema maint belongs to ${String(schema.owner)}, and this role can't act for it`,
      `connect as ${String(schema.owner)}, or as a superuser`,
    );
  }
  return schema.owner;
}

/** Everything is to belong to the owner of the schema, whoever installs. */
export async function actAs(client: pg.Client, role: string): Promise<void> {
  await client.query(`set local role ${pg.escapeIdentifier(role)}`);
}
