import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { repository } from '../../build/paths.ts';

/** A database of the test's own, dropped when the test ends. */
export interface TestDatabase {
  url: string;
  name: string;
  /** A connected client, closed when the test ends. */
  client(): Promise<pg.Client>;
  /** One query on a connection that the database's queries share. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, params?: unknown[]): Promise<Row[]>;
}

export interface DatabaseOptions {
  /** `plain` (default): empty, with the language. `installed`: with pg-maint installed. */
  template?: 'plain' | 'installed';
}

/** The server that `npm test` started, or one named by hand: `npm run cluster -- up --dir /tmp/dev`. */
export function testUrl(): string {
  const url = process.env['MAINT_TEST_URL'];
  if (url === undefined || url === '') {
    throw new Error(
      'MAINT_TEST_URL is not set: use "npm test", or set it to the URL of "npm run cluster -- up"',
    );
  }
  return url;
}

/** The URL of another database of the same server. */
export function urlOf(name: string): string {
  const url = new URL(testUrl());
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}

export async function createDatabase(
  t: ExecutionContext,
  options: DatabaseOptions = {},
): Promise<TestDatabase> {
  const template = options.template === 'installed' ? await installedTemplate() : 'template1';
  const name = `test_${process.pid}_${randomBytes(6).toString('hex')}`;
  await withAdministrator((administrator) => copyDatabase(administrator, name, template));
  const clients: pg.Client[] = [];
  t.teardown(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
    await withAdministrator((administrator) =>
      administrator.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
    );
  });
  const url = urlOf(name);
  const client = async (): Promise<pg.Client> => {
    const connected = await connect(url);
    clients.push(connected);
    return connected;
  };
  let shared: Promise<pg.Client> | undefined;
  return {
    url,
    name,
    client,
    async query<Row extends pg.QueryResultRow>(text: string, params: unknown[] = []): Promise<Row[]> {
      shared ??= client();
      return (await (await shared).query<Row>(text, params)).rows;
    },
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'test' });
  // A test may crash or stop its backend on purpose; the query under way fails then, which is what the test sees.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function withAdministrator<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = await connect(testUrl());
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Copying fails while anyone, such as autovacuum, is connected to the template (55006): try again. */
async function copyDatabase(administrator: pg.Client, name: string, template: string): Promise<void> {
  const sql = `create database ${pg.escapeIdentifier(name)} template ${pg.escapeIdentifier(template)}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await administrator.query(sql);
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== '55006' || attempt === 100) throw error;
      await sleep(50 + Math.random() * 100);
    }
  }
}

/** One key for the advisory lock under which a template is made: ava runs each test file in its own process. */
const templateLock = 0x706d_7465;

let known: Promise<string> | undefined;

/** The template with pg-maint installed: made by whoever comes first, once for one state of the sources. */
function installedTemplate(): Promise<string> {
  known ??= withAdministrator(async (administrator) => {
    const name = `installed_${installerHash()}`;
    await administrator.query('select pg_catalog.pg_advisory_lock($1)', [templateLock]);
    const found = await administrator.query('select from pg_catalog.pg_database where datname = $1', [name]);
    if (found.rowCount === 0) {
      await dropOldTemplates(administrator);
      // Under another name until it is complete: a killed installer leaves no half-made template.
      const unfinished = `${name}_unfinished`;
      await administrator.query(`drop database if exists ${unfinished} with (force)`);
      await copyDatabase(administrator, unfinished, 'template1');
      await install(urlOf(unfinished));
      await administrator.query(`alter database ${unfinished} rename to ${name}`);
    }
    return name;
  });
  return known;
}

async function install(url: string): Promise<void> {
  // Imported late: tests on a plain database run without it.
  const { install: installInto } = (await import(join(repository, 'src/worker/install.ts'))) as {
    install(url: string): Promise<unknown>;
  };
  await installInto(url);
}

async function dropOldTemplates(administrator: pg.Client): Promise<void> {
  const old = await administrator.query<{ datname: string }>(
    `select datname from pg_catalog.pg_database where datname ~ '^installed_[0-9a-f]{16}$'`,
  );
  for (const { datname } of old.rows) {
    await administrator.query(`drop database if exists ${datname} with (force)`);
  }
}

/** Changes with everything that an installation consists of: the SQL, the bundle and the installer. */
function installerHash(): string {
  const hash = createHash('sha256');
  for (const folder of ['sql', 'src', 'build/out/sql']) {
    const root = join(repository, folder);
    if (statSync(root, { throwIfNoEntry: false }) === undefined) continue;
    const files = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    for (const file of files) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

/** A client of a test's own server as a database that `run` takes. */
export function databaseOf(client: pg.Client): TestDatabase {
  return {
    url: '',
    name: 'shop',
    client: () => Promise.resolve(client),
    query: async (text, parameters) => (await client.query(text, parameters)).rows as never,
  };
}
