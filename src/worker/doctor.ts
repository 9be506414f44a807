/** What keeps pg-maint from doing all it could in a database, and the command that mends each. */
import type pg from 'pg';
import { sqlstate } from '../core/sqlstate.ts';
import { queryRow } from './connection.ts';
import { checkAccess } from './doctor-access.ts';
import { ok } from './doctor-check.ts';
import type { Check } from './doctor-check.ts';
import { sqlstateOf } from './errors.ts';
import type { Engine } from './install-script.ts';
import { readManifest } from './manifest.ts';
import { privilegeNeeds } from './privileges.ts';

interface Server {
  version: string;
  number: number;
  standby: boolean;
  database: string;
  /** Null where this role may not see it. */
  preloaded: string[] | null;
  track_counts: boolean;
  autovacuum: boolean;
  plv8: boolean;
  maint_v8: boolean;
}

async function serverFacts(client: pg.ClientBase): Promise<Server> {
  return await queryRow<Server & pg.QueryResultRow>(
    client,
    `select pg_catalog.current_setting('server_version') as version,
       pg_catalog.current_setting('server_version_num')::int as number,
       pg_catalog.pg_is_in_recovery() as standby, pg_catalog.current_database()::text as database,
       (select case when s.setting is not null then array(
            select pg_catalog.btrim(l.name) from pg_catalog.unnest(pg_catalog.string_to_array(s.setting, ',')) as l (name)
            where l.name <> '')
          end
        from (values (1)) as one (row)
        left join pg_catalog.pg_settings as s on s.name = 'shared_preload_libraries') as preloaded,
       pg_catalog.current_setting('track_counts')::boolean as track_counts,
       pg_catalog.current_setting('autovacuum')::boolean as autovacuum,
       exists (select from pg_catalog.pg_available_extensions as e where e.name = 'plv8') as plv8,
       exists (select from pg_catalog.pg_available_extensions as e where e.name = 'maint_v8') as maint_v8`,
  );
}

function checkServer(server: Server): Check[] {
  const checks = [
    server.number >= 150_000
      ? ok('server', `PostgreSQL ${server.version}`)
      : {
          about: 'server',
          status: 'problem' as const,
          says: `PostgreSQL ${server.version}: pg-maint needs 15 or newer`,
          fix: '-- upgrade the server, for instance with pg_upgrade',
        },
  ];
  if (server.standby)
    checks.push({
      about: 'server',
      status: 'problem',
      says: 'this is a standby, which takes no changes: runs are skipped here',
      fix: '-- connect to the primary',
    });
  for (const [name, on, why] of [
    [
      'track_counts',
      server.track_counts,
      'use of indexes, changes of tables and the workload are not counted',
    ],
    ['autovacuum', server.autovacuum, 'nothing vacuums, and everything swells'],
  ] as const) {
    if (!on)
      checks.push({
        about: name,
        status: 'problem',
        says: `${name} is off: ${why}`,
        fix: `alter system set ${name} = on; select pg_reload_conf();`,
      });
  }
  return checks;
}

function preload(preloaded: readonly string[], library: string): string {
  const all = [...preloaded, library].map((each) => `'${each.replaceAll("'", "''")}'`).join(', ');
  return `alter system set shared_preload_libraries = ${all}; -- then restart the server`;
}

function checkPreload({ preloaded }: Server): Check {
  if (preloaded === null)
    return {
      about: 'preload',
      status: 'advice',
      says: 'not looked at: shared_preload_libraries is for members of pg_read_all_settings to see',
      fix: null,
    };
  return preloaded.includes('pg_stat_statements')
    ? ok('preload', `shared_preload_libraries: ${preloaded.join(', ')}`)
    : {
        about: 'preload',
        status: 'problem',
        says: 'pg_stat_statements is not preloaded: query patterns and the workload by statement are not seen',
        fix: preload(preloaded, 'pg_stat_statements'),
      };
}

function checkEngine({ engine, problems }: State, server: Server): Check[] {
  const missing = problems?.find(({ problem }) => problem === 'engine_missing');
  if (missing) return [{ about: 'engine', status: 'problem', says: missing.detail, fix: missing.fix }];
  if (engine !== 'worker') return [ok('engine', `${engine}: checks run in the server`)];
  const better = server.plv8 ? 'plv8' : server.maint_v8 ? 'maint_v8' : null;
  const advice: Check = {
    about: 'engine',
    status: 'advice',
    says: 'worker: this server runs no JavaScript, so checks come from outside and maint.run() needs a worker',
    fix: better === null ? null : `create extension ${better}; -- then: pg-maint install`,
  };
  return [advice];
}

interface State {
  version: string;
  engine: Engine;
  enabled: boolean;
  worker: { alive: number; workers: { version: string; host: string }[] } | null;
  bypasses: { feature: string; until: string }[];
  last_run: { started_at: string } | null;
  overdue: boolean;
  /** Absent in what an older version has installed. */
  problems?: { problem: string; detail: string; fix: string }[];
}

function checkWorker({ worker }: State, own: string): Check {
  const alive = worker?.alive ?? 0;
  if (alive === 0)
    return {
      about: 'worker',
      status: 'problem',
      says: 'no worker is alive: what runs queue is not done',
      fix: 'pg-maint worker --database URL',
    };
  const other = worker?.workers.filter(({ version }) => version !== own) ?? [];
  if (other.length > 0)
    return {
      about: 'worker',
      status: 'problem',
      says: `a worker on ${other.map(({ host, version }) => `${host} is ${version}`).join(', ')}; this is ${own}`,
      fix: `npm install --global pg-maint@${own} # there, then restart it`,
    };
  return ok('worker', `${alive} alive`);
}

function checkRuns(state: State): Check {
  if (!state.enabled)
    return {
      about: 'runs',
      status: 'problem',
      says: 'maintenance is disabled',
      fix: `select maint.configure('operational.maintenance_tasks.enabled', 'true');`,
    };
  if (state.last_run === null)
    return {
      about: 'runs',
      status: 'problem',
      says: 'nothing has run yet',
      fix: 'select maint.run(force => true);',
    };
  if (state.overdue)
    return {
      about: 'runs',
      status: 'problem',
      says: `the last run began at ${state.last_run.started_at}: nothing starts them`,
      fix: 'select maint.run(force => true); -- and let a worker or a scheduler call it',
    };
  return ok('runs', `the last one began at ${state.last_run.started_at}`);
}

async function checkInstallation(client: pg.Client, server: Server): Promise<Check[]> {
  const own = readManifest().version;
  const { state } = await queryRow<{ state: State }>(
    client,
    `select s.status || pg_catalog.jsonb_build_object('overdue', coalesce(
       (s.status #>> '{last_run,started_at}')::timestamptz
         + 2 * pg_catalog.make_interval(secs => maint.config('operational.maintenance_tasks.interval')::int)
         < pg_catalog.clock_timestamp(), false)) as state
     from (select maint.status() as status) as s`,
  );
  const checks = [
    state.version === own
      ? ok('installation', `pg-maint ${own}`)
      : {
          about: 'installation',
          status: 'problem' as const,
          says: `the database has pg-maint ${state.version} and this program is ${own}`,
          fix: 'pg-maint install URL',
        },
    ...checkEngine(state, server),
    checkWorker(state, own),
    checkRuns(state),
  ];
  for (const { feature, until } of state.bypasses)
    checks.push({
      about: 'bypass',
      status: 'problem',
      says: `${feature} is bypassed until ${until}`,
      fix: `select maint.unbypass('${feature.replaceAll("'", "''")}');`,
    });
  if (!server.standby && (await isOwner(client))) {
    for (const { need, have, purpose, steps, statement } of await privilegeNeeds(client)) {
      checks.push(
        have
          ? ok('privileges', `${need}: ${purpose}`)
          : {
              about: 'privileges',
              status: 'problem',
              says: `${need} is missing: ${purpose} (step ${steps.join(', ')})`,
              fix: statement,
            },
      );
    }
  } else {
    checks.push({
      about: 'privileges',
      status: 'advice',
      says: 'not looked at: only the owner of schema maint can tell what it may do',
      fix: null,
    });
  }
  return checks;
}

async function isOwner(client: pg.ClientBase): Promise<boolean> {
  const { owner } = await queryRow<{ owner: boolean }>(
    client,
    `select coalesce(pg_catalog.pg_has_role(n.nspowner, 'usage'), false) as owner
     from pg_catalog.pg_namespace as n where n.nspname = 'maint'`,
  );
  if (!owner) return false;
  // What the owner may do, not what this role may.
  await client.query(`do $$begin execute pg_catalog.format('set role %I', (
    select pg_catalog.pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace as n where n.nspname = 'maint'));
  end$$`);
  return true;
}

async function checkRoles(client: pg.ClientBase): Promise<Check> {
  const { missing } = await queryRow<{ missing: string[] }>(
    client,
    `select coalesce(pg_catalog.array_agg(r.name order by r.name), '{}') as missing
     from (values ('maint_operator'), ('maint_reader')) as r (name)
     where not exists (select from pg_catalog.pg_roles as p where p.rolname = r.name)`,
  );
  return missing.length === 0
    ? ok('roles', 'maint_reader and maint_operator exist')
    : {
        about: 'roles',
        status: 'advice',
        says: `nobody but the owner may look or operate: ${missing.join(' and ')} do not exist`,
        fix: `${missing.map((role) => `create role ${role};`).join(' ')} -- then: pg-maint install`,
      };
}

/** All checks, in the order in which they are best mended. */
export async function examine(client: pg.Client): Promise<Check[]> {
  const server = await serverFacts(client);
  const checks = [...checkServer(server), checkPreload(server)];
  const { checks: access, goOn } = await checkAccess(client);
  if (!goOn) return [...access, ...checks];
  try {
    return [...access, ...checks, ...(await checkInstallation(client, server)), await checkRoles(client)];
  } catch (error) {
    if (sqlstateOf(error) !== sqlstate.insufficientPrivilege) throw error;
    const says = `this role may not look at all of it: ${(error as Error).message}`;
    return [...access, ...checks, { about: 'access', status: 'problem', says, fix: 'pg-maint install URL' }];
  }
}
