/**
 * Schema maint_privileged: the few functions that need a superuser, with fixed arguments, each in a file of
 * sql/privileged. It belongs to the superuser who installs, and only the owner of schema maint may call them.
 */
import pg from 'pg';
import { queryRow } from './connection.ts';
import { CouldNotRun } from './errors.ts';
import type { Journal } from './journal.ts';
import type { Manifest } from './manifest.ts';

export const privilegedSchema = 'maint_privileged';

/** Refuses one that somebody else made: whoever owns a schema can replace what is in it. */
export async function requirePrivilegedSchema(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ owner: string; superuser: boolean }>(
    `select r.rolname::text as owner, r.rolsuper as superuser
     from pg_catalog.pg_namespace as n join pg_catalog.pg_roles as r on r.oid = n.nspowner
     where n.nspname = $1`,
    [privilegedSchema],
  );
  const [schema] = rows;
  if (schema === undefined) return false;
  if (!schema.superuser)
    throw new CouldNotRun(
      `there is a schema ${privilegedSchema} that belongs to ${schema.owner}, who is no superuser; nothing was changed`,
      `drop schema ${privilegedSchema}; -- or: alter schema ${privilegedSchema} rename to something_else;`,
    );
  return true;
}

/** Brings the schema to the state of the manifest. As a superuser, in a transaction. */
export async function installPrivileged(
  client: pg.ClientBase,
  manifest: Manifest,
  owner: string,
  journal: Journal,
): Promise<void> {
  const exists = await requirePrivilegedSchema(client);
  const grantee = pg.escapeIdentifier(owner);
  if (!exists) await journal.perform(`create schema ${privilegedSchema}`);
  await closeToOthers(client, owner);
  await client.query(`grant usage on schema ${privilegedSchema} to ${grantee}`);
  // An older version's go as well, and what an earlier owner was granted.
  const { rows } = await client.query<{ identity: string }>(
    `select p.oid::pg_catalog.regprocedure::text as identity from pg_catalog.pg_proc as p
     where p.pronamespace = $1::pg_catalog.text::pg_catalog.regnamespace order by identity`,
    [privilegedSchema],
  );
  for (const { identity } of rows) await client.query(`drop routine ${identity}`);
  for (const { sql } of manifest.privileged) await client.query(sql);
  const { functions } = await queryRow<{ functions: string[] }>(
    client,
    `select array(
       select p.oid::pg_catalog.regprocedure::text from pg_catalog.pg_proc as p
       where p.pronamespace = $1::pg_catalog.text::pg_catalog.regnamespace order by 1) as functions`,
    [privilegedSchema],
  );
  for (const each of functions)
    await client.query(
      `revoke all on routine ${each} from public; grant execute on routine ${each} to ${grantee}`,
    );
  if (functions.length > 0)
    journal.note(`with the rights of this superuser, for ${owner} alone: ${functions.join(', ')}`);
}

/** Takes the schema from PUBLIC and from an owner that pg-maint had before. */
async function closeToOthers(client: pg.ClientBase, owner: string): Promise<void> {
  const { rows } = await client.query<{ grantee: string }>(
    `select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(r.rolname) end as grantee
     from pg_catalog.pg_namespace as n
     cross join lateral pg_catalog.aclexplode(n.nspacl) as a
     left join pg_catalog.pg_roles as r on r.oid = a.grantee
     where n.nspname = $1 and a.grantee <> n.nspowner and r.rolname is distinct from $2
     order by grantee`,
    [privilegedSchema, owner],
  );
  for (const { grantee } of rows)
    await client.query(`revoke all on schema ${privilegedSchema} from ${grantee}`);
}
