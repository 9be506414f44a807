/** The rows of maint.action as the worker moves them on. Each change is one statement, committed by itself. */
import type pg from 'pg';
import { FailureError, failureOf } from '../core/program.ts';
import { sqlstateOf } from './errors.ts';
import type { ActionRow, Plan, Verification } from './actions/action.ts';
import { claimedHere } from './session.ts';

/** Takes up a running action whose session is gone; false where it is still there, or the action is not running any more. */
export async function takeOver(client: pg.ClientBase, actionId: number): Promise<boolean> {
  const { rowCount } = await client.query(
    `update maint.action as a set ${claimedHere}
     where a.action_id = $1 and a.status = 'running' and not maint.session_alive(a.session_pid, a.session_started)`,
    [actionId],
  );
  return rowCount === 1;
}

/** Leaves a running action to the next one that looks. */
export async function letGo(client: pg.ClientBase, actionId: number): Promise<void> {
  await client.query(
    `update maint.action as a set session_pid = null, session_started = null
     where a.action_id = $1 and a.status = 'running' and a.session_pid = pg_catalog.pg_backend_pid()`,
    [actionId],
  );
}

/** A claimed action: its row, and how long it has been waited for. */
export interface Claimed {
  action: ActionRow;
  waitedSeconds: number;
}

interface RunningRow extends Claimed {
  statement: string | null;
  inverse: Plan['inverse'];
  size: number | null;
  intent: Plan['intent'] | null;
}

const runningRow = `pg_catalog.jsonb_build_object('action_id', a.action_id, 'kind', a.kind, 'target', a.target,
    'step_number', a.step_number, 'finding_id', a.finding_id, 'reason', a.reason, 'evidence', a.evidence,
    'attempts', a.attempts) as action,
  extract(epoch from pg_catalog.clock_timestamp() - a.queued_at)::float8 as "waitedSeconds",
  a.statement, a.inverse, a.size_before::float8 as size, a.intent`;

/** Takes the action; null when it is not queued any more. */
export async function claim(
  client: pg.ClientBase,
  actionId: number,
  workerId: string,
): Promise<Unfinished | null> {
  const { rows } = await client.query<RunningRow>(
    `update maint.action as a set status = 'running', attempts = a.attempts + 1, worker_id = $2, ${claimedHere},
       started_at = pg_catalog.clock_timestamp(), not_before = null, outcome = null, error = null
     where a.action_id = $1 and a.status = 'queued'
     returning ${runningRow}`,
    [actionId, workerId],
  );
  return asUnfinished(rows[0]);
}

/** Nothing of the statement that was under way is left. */
export async function forgetIntent(client: pg.ClientBase, action: ActionRow): Promise<void> {
  await client.query('update maint.action set intent = null where action_id = $1', [action.action_id]);
}

/** What is about to be done, before it is; with the event that counts it. */
export async function recordIntent(client: pg.ClientBase, action: ActionRow, plan: Plan): Promise<void> {
  await client.query(
    `with intended as (
       update maint.action as a set statement = $2, inverse = $3::jsonb, size_before = $4, intent = $5::jsonb
       where a.action_id = $1
       returning a.action_id, a.kind)
     insert into maint.safeguard_event (action_id, kind, event)
     select i.action_id, i.kind, 'attempt' from intended as i`,
    [
      action.action_id,
      plan.statement,
      plan.inverse === null ? null : JSON.stringify(plan.inverse),
      plan.sizeBefore,
      JSON.stringify(plan.intent),
    ],
  );
}

export interface Unfinished extends Claimed {
  /** What an attempt began, and what of it may be left; null when there is nothing. */
  plan: Plan | null;
}

/** A running action as it was left. Null when it is not running any more. */
export async function unfinished(client: pg.ClientBase, actionId: number): Promise<Unfinished | null> {
  const { rows } = await client.query<RunningRow>(
    `select ${runningRow} from maint.action as a where a.action_id = $1 and a.status = 'running'`,
    [actionId],
  );
  return asUnfinished(rows[0]);
}

function asUnfinished(row: RunningRow | undefined): Unfinished | null {
  if (row === undefined) return null;
  const { action, waitedSeconds, statement, inverse, size, intent } = row;
  const plan: Plan | null =
    statement === null || intent === null
      ? null
      : { ok: true, statement, inverse, sizeBefore: size, on: null, waitsOn: null, intent };
  return { action, waitedSeconds, plan };
}

export async function finish(
  client: pg.ClientBase,
  action: ActionRow,
  status: 'succeeded' | 'failed' | 'skipped' | 'expired',
  outcome: string,
  more: { verification?: Verification; error?: unknown } = {},
): Promise<void> {
  await client.query(
    `update maint.action set status = $2, outcome = $3, session_pid = null, session_started = null, size_after = $4, error = $5::jsonb,
       inverse = inverse || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('built_oid', $6::int8)),
       finished_at = pg_catalog.clock_timestamp()
     where action_id = $1`,
    [
      action.action_id,
      status,
      outcome,
      more.verification?.sizeAfter ?? null,
      more.error === undefined ? null : JSON.stringify(failureOf(asFailure(more.error))),
      more.verification?.builtOid ?? null,
    ],
  );
}

const foundDone = 'found done after a crash';

/**
 * The statement has done what it was to do; with the event that counts it. `found`: the end of the statement was not observed,
 * only its effect, and what it left is removed; a text that is added to the outcome. Returns the outcome.
 */
export async function succeed(
  client: pg.ClientBase,
  action: ActionRow,
  { reason, sizeAfter, builtOid }: Verification,
  found: string | null = null,
): Promise<string> {
  const note = found === null ? null : foundDone;
  const outcome = note === null ? reason : `${reason}: ${note}${found ?? ''}`;
  await client.query(
    `with done as (
       update maint.action as a set status = 'succeeded', outcome = $2, session_pid = null, session_started = null, size_after = $3, error = null,
         finished_at = pg_catalog.clock_timestamp(), intent = case when $5::text is null then a.intent end,
         inverse = a.inverse || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('built_oid', $4::int8))
       where a.action_id = $1
       returning a.action_id, a.kind)
     insert into maint.safeguard_event (action_id, kind, event, reason)
     select d.action_id, d.kind, 'success', $5 from done as d`,
    [action.action_id, outcome, sizeAfter, builtOid ?? null, note],
  );
  return outcome;
}

function asFailure(error: unknown): unknown {
  const code = sqlstateOf(error);
  return code === null ? error : new FailureError({ sqlstate: code, message: (error as Error).message });
}

/** Gives the action back. One that was kept from acting has not used up an attempt. */
export async function giveBack(
  client: pg.ClientBase,
  action: ActionRow,
  reason: string,
  options: { seconds: number; keepAttempt: boolean },
): Promise<void> {
  await client.query(
    `update maint.action set status = 'queued', outcome = $2, attempts = attempts - $3::int, worker_id = null,
       session_pid = null, session_started = null,
       not_before = pg_catalog.clock_timestamp() + $4::float8 * interval '1 s'
     where action_id = $1`,
    [action.action_id, reason, options.keepAttempt ? 0 : 1, options.seconds],
  );
}
