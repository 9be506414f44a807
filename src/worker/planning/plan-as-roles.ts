/** Plans statements, each as the role that ran it. No role's statements can keep another's from being planned. */
import { shortened } from '../../core/text.ts';
import type pg from 'pg';
import { HardLimitReached } from '../hard-limit.ts';
import { messageOf, sqlstateOf } from '../errors.ts';
import { plannedRole } from './planned-role.ts';
import type { PlannedRole } from './planned-role.ts';
import { PlanningSession } from './planning-session.ts';
import type { PlanningContext } from './planning-session.ts';

export interface StatementOfRole {
  text_id: number;
  user_oid: number;
  text: string;
}

export interface NotPlanned {
  problem: 'not_planned' | 'not_permitted' | 'role_dropped';
  /** In words. */
  reason: string;
  sqlstate: string | null;
}

/** All of one role's statements. Enough for some hundred with large plans; a role that needs more may be doing so on purpose. */
const secondsOfRole = 60;
/** Sessions of one role that had to be ended, or were lost, before the rest of its statements is left for another time. */
const mostSessions = 3;
/** A statement whose planning had to be ended by force is left alone for this long. */
const setAsideHours = 24;
const longestReason = 500;

/**
 * Calls `plan` for each statement with a session of its role, and `failed` where there is none or `plan` throws. `client` is
 * the worker's own, as the owner of schema maint. Throws where the worker is stopping or `client` is lost.
 */
export async function planAsRoles<Of extends StatementOfRole>(
  client: pg.ClientBase,
  context: PlanningContext,
  statements: readonly Of[],
  plan: (session: PlanningSession, statement: Of) => Promise<void>,
  failed: (statement: Of, why: NotPlanned) => void | Promise<void>,
): Promise<void> {
  const setAside = await readSetAside(client);
  const byRole = new Map<number, Of[]>();
  for (const each of statements) byRole.set(each.user_oid, [...(byRole.get(each.user_oid) ?? []), each]);
  for (const [oid, all] of byRole) {
    context.signal.throwIfAborted();
    const theirs: Of[] = [];
    for (const each of all) {
      const reason = setAside.get(keyOf(each));
      if (reason === undefined) theirs.push(each);
      else await failed(each, { problem: 'not_planned', reason, sqlstate: null });
    }
    const role = await plannedRole(client, oid);
    if (role === null || role.missing_grant !== null) {
      const why: NotPlanned =
        role === null
          ? { problem: 'role_dropped', reason: 'its role is gone', sqlstate: null }
          : {
              problem: 'not_permitted',
              reason: `the worker may not act as ${role.name}: ${role.missing_grant ?? ''}`,
              sqlstate: null,
            };
      for (const each of theirs) await failed(each, why);
    } else await planAsRole(client, context, role, theirs, plan, failed);
  }
}

async function planAsRole<Of extends StatementOfRole>(
  client: pg.ClientBase,
  context: PlanningContext,
  role: PlannedRole,
  statements: readonly Of[],
  plan: (session: PlanningSession, statement: Of) => Promise<void>,
  failed: (statement: Of, why: NotPlanned) => void | Promise<void>,
): Promise<void> {
  const until = performance.now() + secondsOfRole * 1000;
  let session: PlanningSession | null = null;
  let lost = 0;
  try {
    for (const each of statements) {
      context.signal.throwIfAborted();
      const spent =
        lost >= mostSessions
          ? `${lost} sessions of this role were lost or had to be ended`
          : performance.now() > until
            ? `planning the other statements of this role took longer than ${secondsOfRole} s`
            : null;
      if (spent !== null) {
        await failed(each, { problem: 'not_planned', reason: spent, sqlstate: null });
        continue;
      }
      try {
        session ??= await PlanningSession.open(role, context);
        await plan(session, each);
      } catch (error) {
        if (error instanceof HardLimitReached && error.because === 'stopping') throw error;
        const reason = shortened(messageOf(error), longestReason);
        if (error instanceof HardLimitReached) await setStatementAside(client, each, reason);
        if (session === null || error instanceof HardLimitReached || !session.usable) {
          lost += 1;
          await session?.close();
          session = null;
        }
        await failed(each, {
          problem: 'not_planned',
          reason,
          sqlstate: error instanceof HardLimitReached ? error.sqlstate : sqlstateOf(error),
        });
      }
    }
  } finally {
    await session?.close();
  }
}

const keyOf = ({ text_id, user_oid }: { text_id: number; user_oid: number }): string =>
  `${text_id} ${user_oid}`;

async function readSetAside(client: pg.ClientBase): Promise<Map<string, string>> {
  await client.query(`delete from maint.plan_set_aside where until <= pg_catalog.clock_timestamp()`);
  const { rows } = await client.query<{ text_id: number; user_oid: number; reason: string }>(
    `select s.text_id, s.user_oid::int8::float8 as user_oid, s.reason from maint.plan_set_aside as s`,
  );
  return new Map(rows.map((row) => [keyOf(row), `set aside: ${row.reason}`]));
}

async function setStatementAside(
  client: pg.ClientBase,
  { text_id, user_oid }: StatementOfRole,
  reason: string,
): Promise<void> {
  await client.query(
    `insert into maint.plan_set_aside (text_id, user_oid, until, reason)
     select t.text_id, $2::int8::oid, pg_catalog.clock_timestamp() + $3 * interval '1 hour', $4
     from maint.query_text as t where t.text_id = $1
     on conflict (text_id, user_oid) do update set until = excluded.until, reason = excluded.reason`,
    [text_id, user_oid, setAsideHours, reason],
  );
}
