/** Takes pg-maint out of a database again. */
import type pg from 'pg';
import { sqlstate } from '../core/sqlstate.ts';
import { installLock, runLock } from '../core/advisory-locks.ts';
import { lockOutRuns } from './install.ts';
import { lockAmongTrusted } from './trusted-lock.ts';
import { inTransaction, queryRow, withConnection } from './connection.ts';
import { CouldNotRun, sqlstateOf } from './errors.ts';
import { connectedRole } from './owner.ts';
import { actAs, bossSchema, findSchemas, requireOwnSchema, requirePrimary } from './preflight.ts';
import { privilegedSchema, requirePrivilegedSchema } from './privileged.ts';
import { requireMayAct, schemaTrust } from './trust.ts';

export interface UninstallReport {
  outcome: 'uninstalled' | 'not_installed';
  database: string;
  /** What was dropped although it was outside of our schemas: with `force` only. */
  droppedDependents: string[];
  /** The role it belonged to and the roles whose rights that has. They stay: roles are of the whole server. */
  owner: string | null;
  grants: string[];
}

/**
 * Drops schemas maint, maint_boss and maint_privileged with all they hold; roles and extensions stay. Objects elsewhere that depend on it are named and
 * stop it, unless `force` has them dropped as well. All or nothing. Throws CouldNotRun.
 */
export async function uninstall(
  url: string | undefined,
  options: { force?: boolean } = {},
): Promise<UninstallReport> {
  return await withConnection(url, async (client) => {
    await requirePrimary(client);
    return await inTransaction(client, async () => {
      try {
        return await uninstallFrom(client, options.force ?? false);
      } catch (error) {
        if (sqlstateOf(error) !== sqlstate.lockNotAvailable) throw error;
        throw new CouldNotRun('a run or an installation is under way', 'try again later', { cause: error });
      }
    });
  });
}

async function uninstallFrom(client: pg.Client, force: boolean): Promise<UninstallReport> {
  await client.query(`set local search_path = pg_catalog, pg_temp; set local client_min_messages = warning;
    set local lock_timeout = '60s'`);
  await lockAmongTrusted(client, installLock, { seconds: 60 });
  await lockAmongTrusted(client, runLock, { seconds: 60 });
  const { database } = await queryRow<{ database: string }>(client, 'select current_database() as database');
  const { maint, queues } = await findSchemas(client);
  if (maint === null || (maint.empty && !maint.ours))
    return { outcome: 'not_installed', database, droppedDependents: [], owner: null, grants: [] };
  const { owner } = maint;
  // No trust is needed: nothing in the schemas is called.
  requireMayAct(await schemaTrust(client));
  requireOwnSchema(bossSchema, queues, owner);
  const privileged = await requirePrivilegedSchema(client);
  const grants = await grantsOf(client, owner);
  const ours = ['maint', ...(queues === null ? [] : [bossSchema]), ...(privileged ? [privilegedSchema] : [])];
  const { superuser } = await connectedRole(client);
  if (privileged && !superuser)
    throw new CouldNotRun(
      `schema ${privilegedSchema} belongs to a superuser, and only a superuser can drop it`,
      `connect as a superuser, or have one run: drop schema ${privilegedSchema} cascade;`,
    );
  await actAs(client, owner);
  await lockOutRuns(client);
  const dependents = await outsideDependents(client, ours);
  if (dependents.length > 0 && !force) {
    throw new CouldNotRun(
      `these are not of pg-maint and depend on it:\n${dependents.map((each) => `  ${each}`).join('\n')}`,
      'drop them first, or have them dropped with --force',
    );
  }
  await client.query(`drop schema ${ours.filter((name) => name !== privilegedSchema).join(', ')} cascade`);
  // A worker that sleeps learns it now, and not from what it misses.
  await client.query(`select pg_notify('maint_work', 'uninstalled')`);
  await client.query('set local role none');
  if (privileged) await client.query(`drop schema ${privilegedSchema} cascade`);
  return { outcome: 'uninstalled', database, droppedDependents: dependents, owner, grants };
}

/** Roles that the owner is a direct member of. Others may have granted them too, so they stay. */
async function grantsOf(client: pg.Client, owner: string): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>(
    `select distinct g.rolname::text as role
     from pg_auth_members as m join pg_roles as g on g.oid = m.roleid join pg_roles as o on o.oid = m.member
     where o.rolname = $1 order by role`,
    [owner],
  );
  return rows.map(({ role }) => role);
}

/** What lies outside of our schemas and would have to go with it. Tables go with their views, rules and defaults. */
async function outsideDependents(client: pg.Client, ours: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ description: string }>(
    `with schema as (
      select n.oid from pg_namespace as n where n.nspname = any ($1)
    ), inside (classid, objid) as (
      select 'pg_namespace'::regclass, s.oid from schema as s
      union all select 'pg_class'::regclass, c.oid from pg_class as c, schema as s where c.relnamespace = s.oid
      union all select 'pg_proc'::regclass, p.oid from pg_proc as p, schema as s where p.pronamespace = s.oid
      union all select 'pg_type'::regclass, t.oid from pg_type as t, schema as s where t.typnamespace = s.oid
    ), dependents as (
      select distinct
        case when w.oid is null and a.oid is null and t.oid is null and k.conrelid is null then d.classid
          else 'pg_class'::regclass end as classid,
        coalesce(w.ev_class, a.adrelid, t.tgrelid, nullif(k.conrelid, 0), d.objid) as objid,
        d.classid as part_classid, d.objid as part_objid, d.objsubid as part_subid
      from inside as i
      join pg_depend as d on d.refclassid = i.classid and d.refobjid = i.objid and d.deptype = 'n'
      left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
      left join pg_attrdef as a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
      left join pg_trigger as t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
      left join pg_constraint as k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
    )
    select distinct case when e.part_classid = 'pg_rewrite'::regclass
        then pg_describe_object(e.classid, e.objid, 0)
        else pg_describe_object(e.part_classid, e.part_objid, e.part_subid) end as description
    from dependents as e
    where not exists (select from inside as i where i.classid = e.classid and i.objid = e.objid)
    order by description`,
    [ours],
  );
  return rows.map(({ description }) => description);
}
