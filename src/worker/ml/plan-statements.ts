/**
 * Plans statements of the query history as the roles that ran them, never with rights those roles don't have: planning
 * calls functions, and functions are anybody's.
 */
import pg from 'pg';
import { explainQuery } from '../../catalog/query-risk/explain.ts';
import { featureVersion } from '../../catalog/query-risk/feature-names.ts';
import { runAsync } from '../../core/drivers.ts';
import { queryRow } from '../connection.ts';
import { connectionHost } from '../host.ts';

export interface KnownStatement {
  text_id: number;
  user_oid: number;
  text: string;
}

export interface PlannedStatement {
  text_id: number;
  user_oid: number;
  features: number[] | null;
  cost: number | null;
  problem: string | null;
  sqlstate: string | null;
}

interface Role {
  name: string;
  is_self: boolean;
  /** As its sessions in this database have it. */
  search_path: string;
}

/** The longest that planning one statement may take. */
const planTimeoutMs = 5000;

/** What was last called by at least one statement of theirs, and pg-maint's own left out: the most called ones. */
export async function statementsToPlan(client: pg.ClientBase, most: number): Promise<KnownStatement[]> {
  const { rows } = await client.query<KnownStatement>(
    `select t.text_id, s.user_oid::int8::float8 as user_oid, t.text
     from maint.query_statement as s
     join maint.query_text as t on t.text_id = s.text_id
     join maint.query_sample as q on q.statement_id = s.statement_id
     where s.toplevel and not t.own and t.length = pg_catalog.length(t.text)
       and t.verb in ('select', 'insert', 'update', 'delete', 'merge', 'with')
       and s.database_oid = (
         select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
     group by t.text_id, s.user_oid, t.text
     order by pg_catalog.sum(q.calls) desc, t.text_id, s.user_oid
     limit $1`,
    [most],
  );
  return rows;
}

async function roleOf(client: pg.ClientBase, oid: number): Promise<Role | null> {
  const { rows } = await client.query<Role>(
    `select r.rolname as name, r.rolname = current_user as is_self, coalesce((
         select pg_catalog.substr(c.setting, pg_catalog.length('search_path=') + 1)
         from pg_catalog.pg_db_role_setting as d, pg_catalog.unnest(d.setconfig) as c (setting)
         where d.setrole in (0, r.oid) and d.setdatabase in (0, (
             select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database()))
           and c.setting like 'search\\_path=%'
         order by d.setrole <> 0 and d.setdatabase <> 0 desc, d.setrole <> 0 desc, d.setdatabase <> 0 desc
         limit 1), '"$user", public') as search_path
     from pg_catalog.pg_roles as r where r.oid = $1`,
    [oid],
  );
  return rows[0] ?? null;
}

const plannerSignature = 'explain_generic(text, int, text, text)';

/**
 * Makes pg_temp.explain_generic: the body of maint.explain_generic with the rights of the role. A function with the rights
 * of its owner is the one place from which SET ROLE and RESET ROLE lead nowhere.
 */
async function makePlanner(client: pg.ClientBase, role: Role): Promise<void> {
  const { body } = await queryRow<{ body: string }>(
    client,
    `select p.prosrc as body from pg_catalog.pg_proc as p
     where p.oid = 'maint.${plannerSignature}'::pg_catalog.regprocedure`,
  );
  const create = `create function pg_temp.explain_generic(query text, parameters int, as_null text, own text)
    returns json language plpgsql volatile security definer set search_path from current as ${pg.escapeLiteral(body)}`;
  await client.query(`drop function if exists pg_temp.${plannerSignature}`);
  await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [role.search_path]);
  await client.query(create);
  await client.query(`set local search_path = pg_catalog, pg_temp`);
  await client.query(`alter function pg_temp.${plannerSignature} owner to ${pg.escapeIdentifier(role.name)}`);
}

/** Plans all of one role's statements in a transaction that is rolled back. */
async function planAs(
  client: pg.ClientBase,
  role: Role,
  statements: readonly KnownStatement[],
): Promise<PlannedStatement[]> {
  const planned: PlannedStatement[] = [];
  await client.query('begin');
  try {
    if (!role.is_self) await makePlanner(client, role);
    await client.query('set local transaction_read_only = on');
    await client.query(`set local statement_timeout = ${planTimeoutMs}`);
    if (role.is_self)
      await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [role.search_path]);
    const planner = role.is_self ? 'maint.explain_generic' : 'pg_temp.explain_generic';
    for (const { text_id, user_oid, text } of statements) {
      const known = { text_id, user_oid };
      await client.query('savepoint plan');
      try {
        const explained = await runAsync(explainQuery(text, planner), connectionHost(client));
        planned.push(
          'features' in explained
            ? { ...known, ...explained, problem: null, sqlstate: null }
            : {
                ...known,
                features: null,
                cost: null,
                problem: explained.problem,
                sqlstate: 'sqlstate' in explained ? explained.sqlstate : null,
              },
        );
        await client.query('release savepoint plan');
      } catch (error) {
        if (!(error instanceof Error) || !('failure' in error)) throw error;
        // A statement that takes too long to plan, for one.
        await client.query('rollback to savepoint plan');
        const { sqlstate } = error.failure as { sqlstate: string };
        planned.push({ ...known, features: null, cost: null, problem: 'not_planned', sqlstate });
      }
    }
    return planned;
  } finally {
    await client.query('rollback');
  }
}

/**
 * The plans of the statements, each as its role. Another role than the owner of schema maint can only be stood in for by a
 * superuser; its statements are `not_permitted` otherwise. `signal` ends it between two roles.
 */
export async function planStatements(
  client: pg.ClientBase,
  statements: readonly KnownStatement[],
  signal: AbortSignal,
): Promise<PlannedStatement[]> {
  const { superuser } = await queryRow<{ superuser: boolean }>(
    client,
    `select pg_catalog.current_setting('is_superuser')::boolean as superuser`,
  );
  const byRole = new Map<number, KnownStatement[]>();
  for (const each of statements) byRole.set(each.user_oid, [...(byRole.get(each.user_oid) ?? []), each]);
  const planned: PlannedStatement[] = [];
  for (const [oid, theirs] of byRole) {
    signal.throwIfAborted();
    const role = await roleOf(client, oid);
    if (role !== null && (role.is_self || superuser)) planned.push(...(await planAs(client, role, theirs)));
    else
      planned.push(
        ...theirs.map(({ text_id, user_oid }) => ({
          text_id,
          user_oid,
          features: null,
          cost: null,
          problem: role === null ? 'role_dropped' : 'not_permitted',
          sqlstate: null,
        })),
      );
  }
  return planned;
}

/** Keeps the plans as those of now. */
export async function storePlans(client: pg.ClientBase, planned: readonly PlannedStatement[]): Promise<void> {
  await client.query(
    `insert into maint.query_plan (text_id, user_oid, planned_at, feature_version, features, cost, problem, sqlstate)
     select p.text_id, p.user_oid::oid, pg_catalog.now(), $2, p.features, p.cost, p.problem, p.sqlstate
     from pg_catalog.jsonb_to_recordset($1::jsonb) as p (text_id int, user_oid int8, features real[], cost float8,
       problem text, sqlstate text)
     -- A text may have been forgotten meanwhile.
     where exists (select from maint.query_text as t where t.text_id = p.text_id)`,
    [JSON.stringify(planned), featureVersion],
  );
}
