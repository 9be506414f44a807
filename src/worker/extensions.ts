/** The extensions that steps use, created where that was asked for. */
import pg from 'pg';
import { sqlstateOf } from './errors.ts';
import type { Journal } from './journal.ts';

/** What CREATE EXTENSION may fail with because of the server's set-up; anything else is no reason to go on without. */
const unusable = /^(42501|0A000|55000|58|F0)/;

/** Names that the steps ask for. The engine's is engine.ts's. */
const used = ['amcheck', 'pageinspect', 'pgstattuple', 'pg_stat_statements'];

/**
 * Creates an extension, where nothing but pg_catalog is in the search path, and returns null, or why it can't be had. Its
 * objects go where its files say, else into schema public.
 */
export async function createExtension(
  client: pg.ClientBase,
  name: string,
  journal: Journal,
): Promise<string | null> {
  const { rows } = await client.query<{ fixed: boolean; schema: boolean }>(
    `select v.schema is not null as fixed, pg_catalog.to_regnamespace('public') is not null as schema
     from pg_catalog.pg_available_extensions as e
     join pg_catalog.pg_available_extension_versions as v on v.name = e.name and v.version = e.default_version
     where e.name = $1`,
    [name],
  );
  const [available] = rows;
  if (available === undefined) return `the server does not offer the extension ${name}`;
  if (!available.fixed && !available.schema)
    return `there is no schema public to create extension ${name} in`;
  await client.query('savepoint extension');
  try {
    await journal.perform(
      `create extension ${pg.escapeIdentifier(name)}${available.fixed ? '' : ' schema public'}`,
    );
  } catch (error) {
    const code = sqlstateOf(error);
    if (code === null || !unusable.test(code)) throw error;
    await client.query('rollback to savepoint extension');
    return (error as Error).message;
  }
  await client.query('release savepoint extension');
  return null;
}

/** Those that are missing, if `wanted`. `notes` says which could not be created, and why. */
export async function createExtensions(
  client: pg.ClientBase,
  wanted: boolean,
  journal: Journal,
): Promise<{ names: string[]; notes: string[] }> {
  const names: string[] = [];
  const notes: string[] = [];
  if (!wanted) return { names, notes };
  const { rows } = await client.query<{ name: string }>(
    `select u.name from pg_catalog.unnest($1::pg_catalog.text[]) as u (name)
     where not exists (select from pg_catalog.pg_extension as e where e.extname = u.name) order by u.name`,
    [used],
  );
  for (const { name } of rows) {
    const problem = await createExtension(client, name, journal);
    if (problem === null) names.push(name);
    else notes.push(`extension ${name} was not created: ${problem}`);
  }
  return { names, notes };
}
