/** Puts pg-maint into a database: all of it in one transaction, so that there is never half of it. */
import pg from 'pg';
import { isWorthRetrying, sqlstate } from '../core/sqlstate.ts';
import { installLock, runLock } from '../core/advisory-locks.ts';
import { lockAmongTrusted } from './trusted-lock.ts';
import { pinFunctions } from '../core/pinned-settings.ts';
import { fillQueueSchema } from './boss.ts';
import { inTransaction, queryRow, withConnection } from './connection.ts';
import { chooseEngine } from './engine.ts';
import { CouldNotRun, sqlstateOf } from './errors.ts';
import {
  createDispatcher,
  createMigrationTable,
  dropCode,
  objectName,
  recordMigration,
  writeDefinitions,
  writeInstallation,
} from './install-script.ts';
import type { Engine } from './install-script.ts';
import { createExtensions } from './extensions.ts';
import { Journal } from './journal.ts';
import { readManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { connectedRole, grantNeeds, moveTo, provideOwner } from './owner.ts';
import { actAs, bossSchema, findSchemas, requireOwnSchema, requireServer } from './preflight.ts';
import { installPrivileged, requirePrivilegedSchema } from './privileged.ts';
import { privilegeNeeds } from './privileges.ts';
import type { PrivilegeNeed } from './privileges.ts';
import { defaultOwner, requireMayAct, requireTrust } from './trust.ts';

export interface InstallOptions {
  /** Forces an engine; otherwise the first of plv8, maint_v8 and worker that can be had. */
  engine?: Engine;
  /**
   * The role that everything is to belong to; what is there already is given to it. Otherwise what is there keeps its owner,
   * and what is new belongs to maint_owner where a superuser installs, else to the role that connects.
   */
  owner?: string;
  /** Creates the extensions that the engine and the steps use and the server offers. */
  createExtensions?: boolean;
  /** Does all of it and takes it back. */
  dryRun?: boolean;
  /** What to install; otherwise what the build made. */
  manifest?: Manifest;
}

export interface InstallReport {
  /** `already_installed`: this very version was there; whatever was missing or changed by hand is as it should be. */
  outcome: 'installed' | 'upgraded' | 'already_installed';
  /** Nothing of all this was kept. */
  dryRun: boolean;
  database: string;
  /** The role that everything belongs to and that runs have the rights of. */
  owner: string;
  version: string;
  previousVersion: string | null;
  engine: Engine;
  /** Why a better engine was not taken, or an extension not created. */
  engineNotes: string[];
  /** The extensions that were created. */
  createdExtensions: string[];
  /** The migrations applied this time. */
  migrations: string[];
  /** What was done to roles, rights, schemas and extensions: statements, and comments on what is long. */
  statements: string[];
  /** Which of the roles exist and got their rights. */
  roles: { maint_reader: boolean; maint_operator: boolean };
  privileges: PrivilegeNeed[];
}

/** Twenty installations at once, in as many databases, meet in the shared catalogs more than once. */
const attempts = 10;

/**
 * Installs or upgrades pg-maint in the database at `url`, or repairs what is there: schemas maint, maint_boss and, as a
 * superuser, maint_privileged, the owner's role and grants, and extensions where that was asked. One transaction: all of it
 * or nothing. Any number of calls at once wait for each other.
 * Throws CouldNotRun with the way to mend it when the database can't take it, and server errors as they are.
 */
export async function install(url: string | undefined, options: InstallOptions = {}): Promise<InstallReport> {
  return await withConnection(url, async (client) => {
    await requireServer(client);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await inTransaction(client, () => installInto(client, options), options.dryRun);
      } catch (error) {
        const code = sqlstateOf(error);
        if (code === sqlstate.lockNotAvailable)
          throw new CouldNotRun('a run or another installation is under way', 'try again later', {
            cause: error,
          });
        if (code === null || !(isWorthRetrying(code) || metAnother(error)) || attempt === attempts)
          throw error;
      }
    }
  });
}

/**
 * Roles and memberships are of the whole server: an installation in another database may change the same row. The server has no
 * SQLSTATE of its own for that, and does not translate the message.
 */
function metAnother(error: unknown): boolean {
  return (
    sqlstateOf(error) === sqlstate.internalError && /^tuple concurrently /.test((error as Error).message)
  );
}

async function lockOut(client: pg.Client): Promise<void> {
  // Others that install are quick; a run may take as long as its steps' time budgets.
  await lockAmongTrusted(client, installLock, { seconds: 300 });
  await client.query(`set local lock_timeout = '60s'`);
  await lockAmongTrusted(client, runLock, { seconds: 60 });
}

/** To the end of the transaction; as the owner of schema maint. Throws lock_not_available where a run goes on for too long. */
export async function lockOutRuns(client: pg.ClientBase): Promise<void> {
  const { there } = await queryRow<{ there: boolean }>(
    client,
    `select pg_catalog.to_regclass('maint.lock') is not null as there`,
  );
  if (there) await client.query(`select from maint.lock as l where l.name = 'run' for update`);
}

/** Decides whom it belongs to, and makes what has to be there: role and schemas. Returns the owner. */
async function prepareOwner(
  client: pg.Client,
  { owner: named }: InstallOptions,
  journal: Journal,
): Promise<string> {
  const { maint, queues } = await findSchemas(client);
  // What is there stays whose it is; by naming its owner one trusts it.
  const current = maint?.ours === true ? maint.owner : null;
  if (current !== null) requireMayAct(await requireTrust(client, current === named ? [named] : []));
  const { superuser } = await connectedRole(client);
  const owner =
    current !== null && (named ?? current) === current && current !== defaultOwner
      ? current
      : await provideOwner(client, named ?? current ?? undefined, journal);
  if (current !== null && current !== owner) {
    if (!superuser)
      throw new CouldNotRun(
        `only a superuser can give what belongs to ${current} to ${owner}`,
        'connect as a superuser',
      );
    requireOwnSchema(bossSchema, queues, current);
    await moveTo(client, owner, journal);
    return owner;
  }
  requireOwnSchema('maint', maint, owner);
  requireOwnSchema(bossSchema, queues, owner);
  const authorization = pg.escapeIdentifier(owner);
  if (maint === null) await journal.perform(`create schema maint authorization ${authorization}`);
  if (queues === null) await journal.perform(`create schema ${bossSchema} authorization ${authorization}`);
  return owner;
}

async function installInto(client: pg.Client, options: InstallOptions): Promise<InstallReport> {
  const manifest = options.manifest ?? readManifest();
  const journal = new Journal(client);
  await lockOut(client);
  await requirePrivilegedSchema(client);
  const owner = await prepareOwner(client, options, journal);
  const { superuser } = await connectedRole(client);
  const choice = await chooseEngine(
    client,
    options.engine,
    owner,
    options.createExtensions ?? false,
    journal,
  );
  const created = await createExtensions(client, options.createExtensions ?? false, journal);
  if (superuser) {
    await grantNeeds(client, owner, choice.engine, journal);
    await installPrivileged(client, manifest, owner, journal);
  }

  await actAs(client, owner);
  const before = await installed(client);
  await client.query(createMigrationTable);
  await lockOutRuns(client);
  const migrations = await migrate(client, manifest);
  if (migrations.length > 0) journal.note(`migrations in schema maint: ${migrations.join(', ')}`);
  await client.query(writeDefinitions(manifest));
  await client.query('set local check_function_bodies = off');
  await replaceCode(client, manifest, choice.engine);
  journal.note(`${manifest.routines.length} functions and ${manifest.views.length} views in schema maint`);
  await client.query(writeInstallation(manifest, `'${choice.engine}'`));
  const { roles } = await queryRow<{ roles: InstallReport['roles'] }>(
    client,
    'select maint.apply_grants() as roles',
  );
  const privileges = await privilegeNeeds(client);
  await fillQueueSchema(client);
  journal.note(`queues of pg-boss in schema ${bossSchema}`);
  const { database } = await queryRow<{ database: string }>(
    client,
    'select pg_catalog.current_database() as database',
  );
  const unchanged =
    before !== null &&
    before.version === manifest.version &&
    before.bundle_sha256 === manifest.bundleSha256 &&
    before.engine === choice.engine &&
    migrations.length === 0;
  return {
    outcome: before === null ? 'installed' : unchanged ? 'already_installed' : 'upgraded',
    dryRun: options.dryRun ?? false,
    database,
    owner,
    version: manifest.version,
    previousVersion: before?.version ?? null,
    engine: choice.engine,
    engineNotes: [...choice.notes, ...created.notes],
    createdExtensions: [...(choice.created === null ? [] : [choice.created]), ...created.names],
    migrations,
    statements: journal.lines,
    roles,
    privileges,
  };
}

interface Installation {
  version: string;
  engine: Engine;
  bundle_sha256: string;
}

async function installed(client: pg.Client): Promise<Installation | null> {
  const { exists } = await queryRow<{ exists: boolean }>(
    client,
    `select pg_catalog.to_regclass('maint.installation') is not null as exists`,
  );
  if (!exists) return null;
  const found = await client.query<Installation>(
    'select version, engine, bundle_sha256 from maint.installation',
  );
  return found.rows[0] ?? null;
}

/** Applies the migrations that are missing and returns their names. */
async function migrate(client: pg.Client, manifest: Manifest): Promise<string[]> {
  const applied = await client.query<{ version: number; name: string }>(
    'select version, name from maint.migration order by version',
  );
  for (const { version, name } of applied.rows) {
    const known = manifest.migrations.find(({ number }) => number === version);
    if (known === undefined) {
      throw new CouldNotRun(
        `the database was installed by a newer pg-maint: it has the migration ${version} (${name}), ` +
          `which ${manifest.version} does not know`,
        'use that newer pg-maint',
      );
    }
    if (known.name !== name) {
      throw new CouldNotRun(
        `migration ${version} is ${name} in the database but ${known.name} in this pg-maint`,
        'use the pg-maint that installed it',
      );
    }
  }
  const done = new Set(applied.rows.map(({ version }) => version));
  const missing = manifest.migrations
    .filter(({ number }) => !done.has(number))
    .sort((a, b) => a.number - b.number);
  for (const migration of missing) {
    await client.query(migration.sql);
    await client.query(recordMigration(migration));
  }
  return missing.map(({ number, name }) => `${String(number).padStart(4, '0')}_${name}`);
}

/** A changed result type, changed parameter names, changed columns of a view: what can't be replaced in place. */
const mustBeDropped = new Set<string>([sqlstate.invalidFunctionDefinition, sqlstate.invalidTableDefinition]);

/** Brings routines and views to the state of the manifest. In place where possible: others may have views on ours. */
async function replaceCode(client: pg.Client, manifest: Manifest, engine: Engine): Promise<void> {
  await client.query('savepoint code');
  try {
    const old = await routines(client);
    await createCode(client, manifest, engine);
    const now = await routines(client);
    // A row version that is still the same was not replaced: the manifest does not have this routine.
    for (const [identity, rowVersion] of now) {
      if (old.get(identity) === rowVersion) await client.query(`drop routine ${identity}`);
    }
  } catch (error) {
    const code = sqlstateOf(error);
    if (code === null || !mustBeDropped.has(code)) throw nameDependents(error);
    await client.query('rollback to savepoint code');
    try {
      await client.query(dropCode);
    } catch (dropError) {
      throw nameDependents(dropError);
    }
    await createCode(client, manifest, engine);
  }
  await client.query(pinFunctions);
  await client.query('release savepoint code');
}

function nameDependents(error: unknown): unknown {
  if (sqlstateOf(error) !== sqlstate.dependentObjectsStillExist) return error;
  const detail = (error as pg.DatabaseError).detail ?? (error as Error).message;
  return new CouldNotRun(
    `something of yours depends on a function or view that this version changes:\n${detail}`,
    'drop that first and create it again afterwards',
    { cause: error },
  );
}

async function createCode(client: pg.Client, manifest: Manifest, engine: Engine): Promise<void> {
  for (const { file, sql } of [...manifest.routines, ...manifest.views]) {
    try {
      await client.query(sql);
    } catch (error) {
      if (error instanceof Error) error.message += ` (in ${file})`;
      throw error;
    }
  }
  if (engine !== 'worker') await client.query(createDispatcher(manifest, engine));
  const names = manifest.views.map(({ file }) => objectName(file));
  const vanished = await client.query<{ view: string }>(
    `select pg_catalog.format('maint.%I', c.relname) as view from pg_catalog.pg_class as c
     where c.relnamespace = 'maint'::regnamespace and c.relkind = 'v' and c.relname <> all ($1)
     order by c.relname`,
    [names],
  );
  if (vanished.rows.length > 0) {
    await client.query(`drop view ${vanished.rows.map(({ view }) => view).join(', ')}`);
  }
}

/** Identity -> version of its catalog row, for all routines of the schema that belong to no extension. */
async function routines(client: pg.Client): Promise<Map<string, string>> {
  const found = await client.query<{ identity: string; row_version: string }>(
    `select pg_catalog.format('maint.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as identity,
       pg_catalog.format('%s %s %s', p.oid, p.xmin, p.ctid) as row_version
     from pg_catalog.pg_proc as p
     where p.pronamespace = 'maint'::regnamespace
       and not exists (select from pg_catalog.pg_depend as d
         where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
     order by identity`,
  );
  return new Map(found.rows.map((row) => [row.identity, row.row_version]));
}

export type { Engine, Manifest, PrivilegeNeed };
