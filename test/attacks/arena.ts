/**
 * A database under attack: roles of the attacker and of others, honest use, and an oracle that says whether code of the
 * attacker ran with rights that are not the attacker's.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import pg from 'pg';
import { install } from '../../src/worker/install.ts';
import type { InstallOptions, InstallReport } from '../../src/worker/install.ts';
import type { JsonObject } from '../../src/steps/step.ts';
import { createDatabase, testUrl } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { waitForRow } from '../support/maintenance.ts';
import type { RunResult } from '../support/maintenance.ts';
import { provideRoles } from '../support/roles.ts';

/** `evil` logs in, may create schemas and owns what it makes; the others are what their names say. */
export type RoleName = 'evil' | 'operator' | 'reader' | 'app';

const roleNames: readonly RoleName[] = ['evil', 'operator', 'reader', 'app'];

/** Whether runs are done by the worker, as on a server without a JavaScript language. */
export const workerRuns = process.env['MAINT_TEST_HOST'] === 'node';

export interface Loot {
  /** The trap that was triggered. */
  trap: string;
  /** The role that its code ran as. */
  role: string;
}

export interface Arena {
  database: TestDatabase;
  /** The names of the roles, which are of this test alone. Safe in SQL without quotes. */
  roles: Readonly<Record<RoleName, string>>;
  /** The URL of the database for a role that logs in. */
  urlFor(role: RoleName): string;
  /** A session that logged in as the role. Closed at the end of the test. */
  as(role: RoleName): Promise<pg.Client>;
  /** Runs SQL in a session of its own that logged in as the role. */
  sql(role: RoleName, text: string): Promise<void>;
  /** Installs pg-maint as the superuser, with the runtime under test. */
  install(options?: InstallOptions): Promise<InstallReport>;
  /** Creates those of the extensions that the server offers, as the superuser. Returns them. */
  extensions(...names: string[]): Promise<string[]>;
  /**
   * Makes schema `evil` with `evil.pay(trap text) returns boolean`, the payload: it leaves loot where it runs with another
   * role's rights, or can get them, and makes the attacker a superuser where it may.
   */
  arm(): Promise<void>;
  /** What the payload has left so far, each trap and role once. Works however the code ran, also where nothing may be written. */
  loot(): Promise<Loot[]>;
  /** Whether one of the roles of the test is a superuser or a member of a role that was not granted to it here. */
  promoted(): Promise<string[]>;
  /** One run as the superuser, to its end. A worker must be there for the runtime worker. */
  run(only?: readonly string[]): Promise<RunResult>;
}

/** A database of the superuser's, in which evil may create schemas; pg-maint is not installed yet. */
export async function arena(t: ExecutionContext, options: { owner?: RoleName } = {}): Promise<Arena> {
  const token = randomBytes(5).toString('hex');
  const roles = Object.fromEntries(roleNames.map((role) => [role, `a${token}_${role}`])) as Record<
    RoleName,
    string
  >;
  await asSuperuser(async (client) => {
    for (const role of roleNames) await client.query(`create role ${roles[role]} login`);
  });
  // Registered before the database's own, so that it runs after the database is gone.
  t.teardown(() =>
    asSuperuser(async (client) => {
      for (const role of roleNames) await client.query(`drop role if exists ${roles[role]}`);
    }),
  );
  const database = await createDatabase(t);
  await provideRoles(database);
  await database.query(`grant create on database ${database.name} to ${roles.evil}, ${roles.app}`);
  await database.query(`grant maint_operator to ${roles.operator}`);
  await database.query(`grant maint_reader to ${roles.reader}`);
  if (options.owner) await database.query(`alter database ${database.name} owner to ${roles[options.owner]}`);
  const log = await serverLog(database);
  const from = statSync(log).size;

  const clients: pg.Client[] = [];
  t.teardown(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
  });
  const urlFor = (role: RoleName): string => {
    const url = new URL(database.url);
    url.username = roles[role];
    return url.href;
  };
  const as = async (role: RoleName): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: urlFor(role), application_name: 'attacker' });
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  const sql = async (role: RoleName, text: string): Promise<void> => {
    const client = await as(role);
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  };
  return {
    database,
    roles,
    urlFor,
    as,
    sql,
    install: (given = {}) => install(database.url, { ...(workerRuns && { engine: 'worker' }), ...given }),
    async extensions(...names) {
      const rows = await database.query<{ name: string }>(
        'select name::text from pg_available_extensions where name = any ($1) order by name',
        [names],
      );
      for (const { name } of rows) await database.query(`create extension if not exists ${name}`);
      return rows.map(({ name }) => name);
    },
    arm: () =>
      sql('evil', `create schema evil; grant usage on schema evil to public; ${payload(token, roles.evil)}`),
    loot: () => Promise.resolve(lootIn(log, from, token)),
    promoted: async () => await promotedOf(database, Object.values(roles)),
    run: (only) => runOnce(database, only),
  };
}

/**
 * Runs as whatever role it is called as. RAISE LOG needs no rights, works in read-only transactions and is not rolled back;
 * a role can't turn it off. The payload looks for other rights as it is called, and again after each way out of SET ROLE
 * and of a function with the rights of its owner that it can try: a cursor WITH HOLD is read by the server at COMMIT, outside.
 */
function payload(token: string, evil: string): string {
  return `
    create function evil.pay(trap text) returns boolean language plpgsql volatile
      set search_path = pg_catalog, pg_temp as $pay$
    declare
      attempt text;
    begin
      foreach attempt in array array['', 'reset role', 'set session authorization default', 'set role none'] loop
        exit when session_user = '${evil}';
        begin
          if attempt <> '' then execute attempt; end if;
          if current_user <> '${evil}' then
            raise log 'LOOT ${token} [%] as [%]', trap, current_user;
            execute 'alter role ${evil} superuser';
          end if;
        exception when others then null;
        end;
      end loop;
      if session_user <> '${evil}' and trap not like '% at commit' then
        begin
          execute pg_catalog.format('declare %I cursor with hold for select evil.pay(%L)',
            'c' || pg_catalog.random()::text, trap || ' at commit');
        exception when others then null;
        end;
      end if;
      return true;
    end $pay$;
    -- For what must be immutable: the payload is volatile, so that what it calls may write.
    create function evil.fact(trap text) returns boolean language plpgsql immutable
      set search_path = pg_catalog, pg_temp as $fact$ begin perform evil.pay(trap); return true; end $fact$;`;
}

async function asSuperuser<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: testUrl(), application_name: 'test' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function serverLog(database: TestDatabase): Promise<string> {
  const [row] = await database.query<{ data: string }>(
    `select pg_catalog.current_setting('data_directory') as data`,
  );
  return join(dirname(row!.data), 'server.log');
}

function lootIn(log: string, from: number, token: string): Loot[] {
  const file = openSync(log, 'r');
  try {
    const bytes = Buffer.alloc(fstatSync(file).size - from);
    readSync(file, bytes, 0, bytes.length, from);
    const found = [...bytes.toString().matchAll(/LOG: {2}LOOT (\w+) \[(.*?)\] as \[(.*?)\]/g)]
      .filter(([, whose]) => whose === token)
      .map(([, , trap = '', role = '']) => JSON.stringify({ trap, role }));
    return [...new Set(found)].sort().map((each) => JSON.parse(each) as Loot);
  } finally {
    closeSync(file);
  }
}

async function promotedOf(database: TestDatabase, roles: readonly string[]): Promise<string[]> {
  const rows = await database.query<{ what: string }>(
    `select r.rolname || ' is superuser' as what from pg_roles as r where r.rolname = any ($1) and
       (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls)
     union all
     select r.rolname || ' is a member of ' || g.rolname
     from pg_roles as r, pg_roles as g
     where r.rolname = any ($1) and r.rolname <> g.rolname and pg_has_role(r.oid, g.oid, 'member')
       and g.rolname <> 'pg_database_owner' and g.rolname <> case when r.rolname like '%operator' then 'maint_operator'
         when r.rolname like '%reader' then 'maint_reader' else '' end
     order by what`,
    [roles],
  );
  return rows.map(({ what }) => what);
}

async function runOnce(database: TestDatabase, only?: readonly string[]): Promise<RunResult> {
  const [row] = await database.query<{ result: RunResult }>('select maint.run(true, $1) as result', [
    only ?? null,
  ]);
  const { result } = row!;
  if (result.status !== 'queued') return result;
  await waitForRow(database, `select from maint.run_log where run_id = $1 and finished_at is not null`, [
    result.run_id,
  ]);
  const [done] = await database.query<{ result: RunResult & JsonObject }>(
    'select maint.result($1) as result',
    [result.run_id],
  );
  return done!.result;
}
