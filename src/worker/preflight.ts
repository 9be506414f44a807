/** What must hold before an installation begins; each refusal says what to do. */
import type pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';

const oldestServer = 150_000;

/** Server version, not a standby, right to create. Outside a transaction. */
export async function requireServer(client: pg.Client): Promise<void> {
  const server = await queryRow<{
    number: number;
    version: string;
    standby: boolean;
    may_create: boolean;
    schema_exists: boolean;
    grant_create: string;
  }>(
    client,
    `select pg_catalog.current_setting('server_version_num')::int as number,
       pg_catalog.current_setting('server_version') as version,
       pg_catalog.pg_is_in_recovery() as standby,
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
  if (server.standby) {
    throw new CouldNotRun(
      'this server is a standby, which takes no changes',
      'connect to the primary (several hosts in PGHOST with PGTARGETSESSIONATTRS=read-write find it); the standby gets it from there',
    );
  }
  if (!server.may_create && !server.schema_exists) {
    throw new CouldNotRun('this role may not create a schema in this database', `${server.grant_create};`);
  }
}

/** True when there is a schema maint that is ours or empty; throws when it is someone else's. */
export async function refuseForeignSchema(client: pg.Client): Promise<boolean> {
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
       n.nspowner::regrole::text as owner,
       pg_catalog.pg_has_role(n.nspowner, 'member') as may_act
     from (values (1)) as one (row) left join pg_catalog.pg_namespace as n on n.nspname = 'maint'`,
  );
  if (schema.of_extension) {
    throw new CouldNotRun(
      'pg-maint is installed here as the extension maint',
      'alter extension maint update;  -- or drop extension maint;',
    );
  }
  if (!schema.exists) return false;
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
  return true;
}

/** Everything is to belong to the owner of the schema, whoever installs. */
export async function actAsOwner(client: pg.Client, schemaExists: boolean): Promise<void> {
  if (!schemaExists) return;
  const { set_role: setRole } = await queryRow<{ set_role: string | null }>(
    client,
    `select pg_catalog.format('set local role %I', r.rolname) as set_role
     from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as r on r.oid = n.nspowner
     where n.nspname = 'maint'`,
  );
  await client.query(String(setRole));
}
