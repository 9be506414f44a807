/** Loads the fixtures of the corpus, and makes each in a database of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type pg from 'pg';
import { ownCluster, urlOf } from '../cluster/own-cluster.ts';
import type { OwnCluster } from '../cluster/own-cluster.ts';
import { createDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { run } from '../support/maintenance.ts';
import { readAnnotations } from './labels.ts';
import type { Annotations } from './labels.ts';

/** What of a test the helpers need: to be told when it is over. */
export type Scope = Pick<ExecutionContext, 'teardown'>;

export interface Fixture extends Annotations {
  name: string;
  /** SQL, cut at its `run` lines; or a set-up for what SQL alone can't make. */
  parts: string[];
  setUp: SetUp | null;
}

/** Makes the state of a TypeScript fixture. `cluster` is there where the fixture has a server of its own. */
export type SetUp = (
  database: TestDatabase,
  scope: ExecutionContext,
  cluster: OwnCluster | null,
) => Promise<void>;

function sqlFixture(file: string): Fixture {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  const annotations = readAnnotations(file, text);
  const lines = text.split('\n');
  const cuts = [0, ...annotations.runs, lines.length];
  const parts = cuts.slice(1).map((end, place) => lines.slice(cuts[place], end).join('\n'));
  return { ...annotations, name: basename(file, '.sql'), parts, setUp: null };
}

async function typeScriptFixture(file: string): Promise<Fixture> {
  const path = join(import.meta.dirname, file);
  const module = (await import(path)) as { default: SetUp };
  const annotations = readAnnotations(file, readFileSync(path, 'utf8'));
  return { ...annotations, name: basename(file, '.setup.ts'), parts: [], setUp: module.default };
}

export async function loadCorpus(): Promise<Fixture[]> {
  const files = readdirSync(import.meta.dirname).sort();
  const scripted = files.filter((name) => name.endsWith('.setup.ts')).map(typeScriptFixture);
  return [...files.filter((name) => name.endsWith('.sql')).map(sqlFixture), ...(await Promise.all(scripted))];
}

/** A database in the fixture's state, or null where the server is too old for it. */
export async function makeFixture(scope: Scope, fixture: Fixture): Promise<TestDatabase | null> {
  const context = scope as ExecutionContext;
  const cluster = fixture.ownServer ? await ownCluster(context, { autovacuum: 'off' }) : null;
  const database = cluster
    ? reconnectingDatabase(cluster)
    : await createDatabase(context, { template: 'installed' });
  const [server] = await database.query<{ major: number }>(
    `select current_setting('server_version_num')::int / 10000 as major`,
  );
  if (server!.major < fixture.requires) return null;
  for (const { path, value, scope: where } of fixture.configured) {
    await database.query(`select maint.configure($1, $2::jsonb, coalesce($3, 'database'))`, [
      path,
      JSON.stringify(value),
      where,
    ]);
  }
  // One session makes it all, and stays: its temporary tables are part of the fixture.
  const maker = await database.client();
  for (const [place, part] of fixture.parts.entries()) {
    if (place > 0) await run(database);
    await execute(maker, part, fixture.name);
  }
  if (fixture.setUp) await fixture.setUp(database, context, cluster);
  return database;
}

/** Its connections are made anew for each query: a set-up may stop the server in between. */
function reconnectingDatabase(cluster: OwnCluster): TestDatabase {
  return {
    url: urlOf(cluster.port()),
    name: 'shop',
    client: () => cluster.connect(),
    async query<Row extends pg.QueryResultRow>(text: string, params: unknown[] = []): Promise<Row[]> {
      const client = await cluster.connect();
      try {
        return (await client.query<Row>(text, params)).rows;
      } finally {
        await client.end();
      }
    },
  };
}

async function execute(client: pg.Client, sql: string, name: string): Promise<void> {
  try {
    await client.query(sql);
    // What was counted is to be seen now, not within the ten seconds that a session may keep it.
    await client.query('select pg_stat_force_next_flush()');
    await client.query('select 1');
  } catch (error) {
    if (error instanceof Error) error.message = `fixture ${name}: ${error.message}`;
    throw error;
  }
}
