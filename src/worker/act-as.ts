/**
 * Statements on a table run as its owner, and with no more rights than that. Code of the table's owner, in an index or a
 * statistics object, then meets what the owner has anyway. The server runs it in a security-restricted operation, where
 * nothing leads back to the role of the session. What is ours, as rows of maint.action, stays with the owner of schema maint.
 */
import type pg from 'pg';
import { pinnedSettings, settingsOfEntries } from '../core/pinned-settings.ts';
import { leaveTransaction, queryRow } from './connection.ts';
import { MayNotAct } from './errors.ts';

/**
 * What the statement needs: `maintain` is REINDEX or ANALYZE, which PostgreSQL 17 and newer also allow with the privilege
 * MAINTAIN; `create` also needs CREATE on the table's schema; `own` is all else.
 */
export type Need = 'own' | 'create' | 'maintain';

interface Actor extends Record<string, unknown> {
  owner: string;
  owner_is_superuser: boolean;
  session: string;
  is_owner: boolean;
  may_become: boolean;
  may_maintain: boolean;
  may_create: boolean;
  schema: string;
  table: string;
  /** An event trigger that would run code of a role that could take the rights of the session; and that role. */
  trigger: string | null;
  trigger_owner: string | null;
  /** Where the owner is a superuser: a function of another role in an index or a statistics object of the table. */
  foreign_function: string | null;
  foreign_owner: string | null;
  become: string;
  back: string;
  /** Statements that would allow it. */
  grant_role: string;
  grant_maintain: string | null;
  grant_create: string;
}

/** A role is granted with SET since 16: membership alone does not allow SET ROLE there. */
const actorQuery = `
  select o.rolname::text as owner, o.rolsuper as owner_is_superuser, session_user::text as session,
    c.relowner = me.oid as is_owner,
    pg_catalog.pg_has_role(s.oid, c.relowner, case when v.version >= 160000 then 'SET' else 'MEMBER' end) as may_become,
    case when v.version >= 170000 then pg_catalog.has_table_privilege(me.oid, c.oid, 'MAINTAIN') else false end as may_maintain,
    pg_catalog.has_schema_privilege(c.relowner, n.oid, 'CREATE') as may_create,
    pg_catalog.quote_ident(n.nspname) as schema, pg_catalog.format('%I.%I', n.nspname, c.relname) as "table",
    pg_catalog.quote_ident(t.evtname) as trigger, t.owner as trigger_owner, f.name as foreign_function,
    f.owner as foreign_owner, pg_catalog.format('set role %I', o.rolname) as become,
    pg_catalog.format('set role %I', current_user) as back,
    pg_catalog.format('grant %I to %I', o.rolname, session_user) as grant_role,
    case when v.version >= 170000 then pg_catalog.format('grant maintain on %I.%I to %I', n.nspname, c.relname, current_user)
      end as grant_maintain,
    pg_catalog.format('grant create on schema %I to %I', n.nspname, o.rolname) as grant_create
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_roles as o on o.oid = c.relowner
  join pg_catalog.pg_roles as s on s.rolname = session_user
  join pg_catalog.pg_roles as me on me.rolname = current_user
  cross join (values (pg_catalog.current_setting('server_version_num')::int)) as v (version)
  left join lateral (
    select e.evtname, pg_catalog.pg_get_userbyid(p.proowner)::text as owner
    from pg_catalog.pg_event_trigger as e
    join pg_catalog.pg_proc as p on p.oid = e.evtfoid
    where e.evtenabled in ('O', 'A') and e.evtevent <> 'login' and p.proowner <> e.evtowner
      and not pg_catalog.pg_has_role(p.proowner, s.oid, 'MEMBER')
    order by e.evtname
    limit 1) as t on true
  left join lateral (
    select p.oid::pg_catalog.regprocedure::text as name, pg_catalog.pg_get_userbyid(p.proowner)::text as owner
    from (
      select x.indexrelid as objid, 'pg_catalog.pg_class'::pg_catalog.regclass as classid
      from pg_catalog.pg_index as x where x.indrelid = c.oid
      union all
      select e.oid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
      from pg_catalog.pg_statistic_ext as e where e.stxrelid = c.oid
      union all
      -- An entry is checked where an expression makes it a value of a domain, by that domain and those below it.
      select k.oid, 'pg_catalog.pg_constraint'::pg_catalog.regclass
      from (
        with recursive domain (oid) as (
          select d.refobjid
          from pg_catalog.pg_index as x
          join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.objid = x.indexrelid and d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
          where x.indrelid = c.oid
          union
          select y.typbasetype
          from domain as o join pg_catalog.pg_type as y on y.oid = o.oid and y.typbasetype <> 0)
        select o.oid from domain as o
      ) as o
      join pg_catalog.pg_constraint as k on k.contypid = o.oid
    ) as x
    join pg_catalog.pg_depend as d on d.classid = x.classid and d.objid = x.objid
    left join pg_catalog.pg_operator as r
      on d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass and r.oid = d.refobjid
    join pg_catalog.pg_proc as p
      on p.oid = case when d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass then d.refobjid else r.oprcode end
    where o.rolsuper and not pg_catalog.pg_has_role(p.proowner, c.relowner, 'MEMBER')
    order by 1
    limit 1) as f on true
  where c.oid = $1::oid`;

/** Why it may not be done, with what would allow it; null where it may. */
function refusalOf(actor: Actor, need: Need): string | null {
  const { owner, session, table } = actor;
  const asOwner = actor.is_owner || actor.may_become;
  if (!asOwner && !(need === 'maintain' && actor.may_maintain)) {
    const ways = actor.owner_is_superuser
      ? [`give ${table} an owner that is no superuser, or let the worker connect as a superuser`]
      : [actor.grant_role];
    if (need === 'maintain' && actor.grant_maintain !== null) ways.push(actor.grant_maintain);
    return `${table} belongs to ${owner}, and ${session} may not act as that role: ${ways.join(', or: ')}`;
  }
  // ANALYZE calls no event trigger, and REINDEX does since 17: both are left alone then, rather than tell them apart.
  if (actor.trigger !== null)
    return `event trigger ${actor.trigger} would run a function of ${actor.trigger_owner ?? ''}, who could take the rights of ${session} then: give the function to the role that made the trigger`;
  if (asOwner && actor.foreign_function !== null)
    return `${actor.foreign_function} of ${actor.foreign_owner ?? ''}, in an index or a statistics object of ${table}, would run with the rights of superuser ${owner}: give the table another owner, or the function to ${owner}`;
  if (need === 'create' && !actor.may_create)
    return `${owner}, the owner of ${table}, may not create anything in schema ${actor.schema}: ${actor.grant_create}`;
  return null;
}

/** Throws MayNotAct where asOwnerOf would. */
export async function checkMayAct(client: pg.ClientBase, tableOid: number, need: Need): Promise<void> {
  await actorFor(client, tableOid, need);
}

async function actorFor(client: pg.ClientBase, tableOid: number, need: Need): Promise<Actor> {
  const [actor] = (await client.query<Actor>(actorQuery, [tableOid])).rows;
  if (actor === undefined) throw new MayNotAct('the table is gone');
  const refusal = refusalOf(actor, need);
  if (refusal !== null) throw new MayNotAct(refusal);
  return actor;
}

/**
 * Runs `work`, statements on one table and nothing of ours, as the table's owner; as the owner of schema maint where only
 * MAINTAIN is granted. A statement that computes entries of indexes does so under the settings of the database. Throws MayNotAct where neither is allowed, and where the table is gone. The role is what it was
 * before, also after an error; a session where that fails is closed.
 */
export async function asOwnerOf<Value>(
  client: pg.Client,
  tableOid: number,
  need: Need,
  work: () => Promise<Value>,
): Promise<Value> {
  const actor = await actorFor(client, tableOid, need);
  const becomes = !actor.is_owner && actor.may_become;
  const computes = need !== 'own';
  if (!becomes && !computes) return await work();
  const change = [...(becomes ? [actor.become] : []), ...(computes ? [entriesAsOthers] : [])].join('; ');
  const back = [...(computes ? [entriesPinned] : []), ...(becomes ? [actor.back] : [])].join('; ');
  const withinTransaction = client.getTransactionStatus() === 'T';
  await client.query(change);
  let result: Value;
  try {
    result = await work();
  } catch (error) {
    // The rollback brings the role and the settings back, and before it nothing can be set.
    if (!withinTransaction) await goBack(client, back).catch(() => undefined);
    throw error;
  }
  await goBack(client, back);
  return result;
}

/** What database and server say, as in the sessions of the application. */
const entriesAsOthers = settingsOfEntries.map((name) => `reset ${name}`).join('; ');

const entriesPinned = settingsOfEntries.map((name) => `set ${name} = '${pinnedSettings[name]}'`).join('; ');

async function goBack(client: pg.Client, statement: string): Promise<void> {
  try {
    await client.query(statement);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/**
 * Runs `work` as the role that connected: to stop a session of the worker, which is of that role. It must call functions of
 * the server and nothing else.
 */
export async function asSessionRole<Value>(
  client: pg.Client,
  work: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  const { back } = await queryRow<{ back: string }>(
    client,
    `select pg_catalog.format('set role %I', current_user) as back`,
  );
  await client.query('reset role');
  try {
    return await work(client);
  } finally {
    await leaveTransaction(client);
    await goBack(client, back);
  }
}
