/**
 * Brings rows, jobs and catalog together again: at worker start, and once a minute. A row that is `running` while
 * the session that claimed it is gone was left by a worker or server that ended; whether its statement was done, the catalog says.
 */
import type pg from 'pg';
import { isHeldUp } from '../core/sqlstate.ts';
import { finish, forgetIntent, giveBack, letGo, succeed, takeOver, unfinished } from './action-log.ts';
import type { Unfinished } from './action-log.ts';
import type { Plan } from './actions/action.ts';
import { actionKind } from './actions/index.ts';
import { heartbeatSeconds } from './boss.ts';
import { inTransaction } from './connection.ts';
import { workerConfig } from './worker-config.ts';
import { HeldUp, MayNotAct, sqlstateOf } from './errors.ts';
import { recordEvent } from './safeguards/event.ts';

export interface Reconciled {
  /** Actions that were left and are settled now, in words. */
  settled: string[];
  /** Running actions whose statement still goes on. */
  underWay: number;
}

/** On a connection of its own: what it removes may take time. */
export async function reconcile(client: pg.Client): Promise<Reconciled> {
  const { rows } = await client.query<{ id: number }>(
    `select a.action_id::float8 as id from maint.action as a where a.status = 'running' order by a.action_id`,
  );
  const settled: string[] = [];
  for (const { id } of rows) {
    if (!(await takeOver(client, id))) continue;
    try {
      const left = await unfinished(client, id);
      if (left === null) continue;
      // Before the row: as long as it runs, nobody else takes a new job for it.
      await deleteJobs(client, id);
      settled.push(`action ${id}: ${await settle(client, left)}`);
    } catch (error) {
      // In the way of cleaning up: it stays as it is until the next look.
      const state = sqlstateOf(error);
      if (!(error instanceof HeldUp) && (state === null || !isHeldUp(state))) throw error;
    } finally {
      await letGo(client, id);
    }
  }
  await replaceJobs(client);
  return { settled, underWay: rows.length - settled.length };
}

async function settle(client: pg.Client, left: Unfinished): Promise<string> {
  const { action, plan } = left;
  if (plan === null) {
    await giveBack(client, action, 'its worker ended before it began', { seconds: 0, keepAttempt: false });
    return 'had not begun';
  }
  const config = await workerConfig(client);
  const kind = actionKind(action.kind);
  await client.query(`set lock_timeout = ${config.lock_timeout}`);
  try {
    const verification = await kind.verify(client, action, plan);
    const also = await cleanUp(client, left, plan);
    if (verification.ok) return await succeed(client, action, verification, also);
    return await inTransaction(client, async () => {
      await forgetIntent(client, action);
      const reason = `${verification.reason} after a crash${also}`;
      await recordEvent(client, action, 'failure', { reason });
      if (action.attempts >= config.attempts)
        await finish(client, action, 'failed', reason, { verification });
      else await giveBack(client, action, reason, { seconds: 0, keepAttempt: true });
      return reason;
    });
  } finally {
    await client.query('set lock_timeout = 0');
  }
}

/** Removes what the statement left; says what that was, or that the worker may not remove it: steps 2 and 3 find it then. */
async function cleanUp(client: pg.Client, { action }: Unfinished, plan: Plan): Promise<string> {
  try {
    const removed = (await actionKind(action.kind).cleanUp?.(client, action, plan)) ?? [];
    return removed.length === 0 ? '' : `; removed ${removed.join(', ')}`;
  } catch (error) {
    if (!(error instanceof MayNotAct)) throw error;
    return `; what it left can't be removed: ${error.message}`;
  }
}

/** Under the action's lock: whoever had the job is gone. */
async function deleteJobs(client: pg.Client, actionId: number): Promise<void> {
  await client.query(
    `delete from maint_boss.job where name = 'maint_action' and state = 'active' and data ->> 'action_id' = $1`,
    [String(actionId)],
  );
}

/**
 * Takes away jobs whose worker is silent, or did not get to say that its action is over: they keep others of the same
 * table waiting. Gives each queued action that has none a new one, but not where the dead letter of the last one still
 * waits: the new job would have all its attempts before it, and keep the letter from being heard.
 */
async function replaceJobs(client: pg.Client): Promise<void> {
  await client.query(
    `delete from maint_boss.job as j
     where j.name = 'maint_action' and j.state = 'active'
       and case (select a.status from maint.action as a where a.action_id::text = j.data ->> 'action_id')
         when 'running' then false
         when 'queued' then coalesce(j.heartbeat_on, j.started_on)
           < pg_catalog.clock_timestamp() - $1::float8 * interval '1 s'
         else true end`,
    [heartbeatSeconds],
  );
  await client.query(
    `select maint.enqueue_action(a.action_id,
       greatest(a.not_before - pg_catalog.clock_timestamp(), interval '0'))
     from maint.action as a
     where a.status = 'queued' and not exists (
       select from maint_boss.job as j
       where j.name in ('maint_action', 'maint_dead') and j.state <= 'active' and j.data ->> 'action_id' = a.action_id::text)
     order by a.action_id`,
  );
}
