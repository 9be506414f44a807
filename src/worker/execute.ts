/**
 * One action from its claim to its outcome, on a connection of its own: claim → safeguards → probe again → wait for
 * those in the way → intent → statement → verification → outcome. Each is committed before the next begins, so that
 * whatever ends the worker leaves a row that says how far it came; with its event, so that both are there or neither.
 */
import type pg from 'pg';
import { isHeldUp, maySucceedLater, saysGone, sqlstate } from '../core/sqlstate.ts';
import { asOwnerOf, checkMayAct } from './act-as.ts';
import { claim, finish, forgetIntent, giveBack, recordIntent, succeed } from './action-log.ts';
import type { Claimed, Unfinished } from './action-log.ts';
import { RefusedUnderLock } from './actions/action.ts';
import type { ActionRow, Kind, Plan, Refusal, Verification } from './actions/action.ts';
import { actionKind } from './actions/index.ts';
import { inTransaction } from './connection.ts';
import { HeldUp, MayNotAct, sqlstateOf } from './errors.ts';
import { HardLimitReached, underHardLimit } from './hard-limit.ts';
import { waitForOthers } from './hold-ups.ts';
import { recordEvent } from './safeguards/event.ts';
import { checkSafeguards } from './safeguards/index.ts';
import { outOfQueues } from './table-queue.ts';
import type { Onlooker } from './table-queue.ts';
import { actionSettings } from './worker-config.ts';
import type { WorkerConfig } from './worker-config.ts';

/** Not done: the action is queued still, and wants to be looked at after so many seconds. */
export type Executed = ({ done: true } | { done: false; seconds: number }) & {
  /** An error was met, and its outcome recorded. */
  failed?: true;
};

const done: Executed = { done: true };

export interface ExecuteOptions {
  actionId: number;
  workerId: string;
  /** Fires when the worker is stopping: a statement that was cancelled then is no failure. */
  signal: AbortSignal;
  /** Where to connect. */
  url: string | undefined;
  /** Looks on while a build is under way, and calls it back from a queue. */
  onlooker: Onlooker;
}

/** The longer it has waited, the longer it waits: doubling in effect, without a counter. */
function backoff(waitedSeconds: number): number {
  return Math.min(300, Math.max(2, Math.round(waitedSeconds / 2)));
}

/** Throws only where the connection is lost: then the row stays `running`, and reconciliation takes it up. */
export async function execute(client: pg.Client, options: ExecuteOptions): Promise<Executed> {
  const { actionId, workerId } = options;
  const claimed = await claim(client, actionId, workerId);
  return claimed === null ? done : await perform(client, claimed, options);
}

async function perform(client: pg.Client, claimed: Unfinished, options: ExecuteOptions): Promise<Executed> {
  const { action } = claimed;
  const { worker: config, safeguards } = await actionSettings(client);
  let plan: Plan;
  try {
    // What is asked of an index or a table locks it for a moment, and may have to queue behind DDL for that.
    await client.query(`set lock_timeout = ${config.lock_timeout}`);
    if (claimed.plan !== null && (await wasDone(client, claimed, claimed.plan))) return done;
    if (claimed.plan !== null) await cleanUp(client, claimed, claimed.plan, config);
    const verdict = await checkSafeguards(client, action, safeguards);
    if (!verdict.allowed) {
      const { safeguard, reason, retryAfterSeconds } = verdict;
      const said = `${safeguard}: ${reason}`;
      if (retryAfterSeconds === null) {
        await finish(client, action, 'skipped', said);
        return done;
      }
      return await later(client, claimed, said, retryAfterSeconds);
    }
    const prepared = await prepare(client, claimed, config, options.signal);
    if (!prepared.ok) return await refused(client, claimed, prepared, config);
    plan = prepared;
    await client.query('set lock_timeout = 0');
  } catch (error) {
    return { ...(await failed(client, claimed, error, config, options.signal)), failed: true };
  }
  await recordIntent(client, action, plan);
  return await act(client, claimed, plan, config, options);
}

/** Whether an attempt that nobody saw the end of has done it: then that is recorded, and it is not done again. */
async function wasDone(client: pg.Client, { action }: Claimed, plan: Plan): Promise<boolean> {
  const kind = actionKind(action.kind);
  const verification = await kind.verify(client, action, plan);
  if (!verification.ok) return false;
  await kind.cleanUp?.(client, action, plan);
  await succeed(client, action, verification, '');
  return true;
}

/** Probes, waits until nobody is in the way, and probes again where that took time. */
async function prepare(
  client: pg.Client,
  { action }: Claimed,
  config: WorkerConfig,
  signal: AbortSignal,
): Promise<Plan | Refusal> {
  const kind = actionKind(action.kind);
  const plan = await kind.prepare(client, action);
  if (!plan.ok) return plan;
  if (plan.on !== null) await checkMayAct(client, plan.on.tableOid, plan.on.need);
  if (plan.waitsOn === null) return plan;
  const started = performance.now();
  const inTheWay = await waitForOthers(client, plan.waitsOn, {
    seconds: config.wait_for_transactions,
    olderThanMs: config.lock_timeout,
    signal,
  });
  if (inTheWay !== null) return { ok: false, outcome: 'later', reason: `held up: ${inTheWay}` };
  return performance.now() - started < 250 ? plan : await kind.prepare(client, action);
}

async function refused(
  client: pg.Client,
  claimed: Claimed,
  refusal: Refusal,
  config: WorkerConfig,
): Promise<Executed> {
  const { outcome, reason } = refusal;
  if (outcome !== 'later') {
    await finish(client, claimed.action, outcome, reason);
    return done;
  }
  return await heldUp(client, claimed, reason, config);
}

async function heldUp(
  client: pg.Client,
  claimed: Claimed,
  reason: string,
  config: WorkerConfig,
): Promise<Executed> {
  const { action, waitedSeconds } = claimed;
  return await inTransaction(client, async () => {
    await recordEvent(client, action, 'lock_timeout', { reason });
    if (waitedSeconds < config.patience) return await later(client, claimed, reason, backoff(waitedSeconds));
    await finish(client, action, 'skipped', reason);
    return done;
  });
}

async function later(
  client: pg.Client,
  { action }: Claimed,
  reason: string,
  seconds: number,
  keepAttempt = false,
): Promise<Executed> {
  await giveBack(client, action, reason, { seconds, keepAttempt });
  return { done: false, seconds };
}

async function act(
  client: pg.Client,
  claimed: Claimed,
  plan: Plan,
  config: WorkerConfig,
  options: ExecuteOptions,
): Promise<Executed> {
  const { action } = claimed;
  let verification: Verification;
  try {
    verification = await actAndVerify(client, action, plan, config, options);
  } catch (error) {
    if (error instanceof HardLimitReached) throw error;
    const left = await cleanUp(client, claimed, plan, config).then(
      (removed) => (removed.length === 0 ? null : `removed ${removed.join(', ')}`),
      (problem: unknown) => {
        // The next attempt begins with it; after the last one, the next run queues the removal.
        if (!(problem instanceof HeldUp || problem instanceof MayNotAct) && sqlstateOf(problem) === null)
          throw problem;
        return `what it left can't be removed now: ${(problem as Error).message}`;
      },
    );
    if (error instanceof RefusedUnderLock)
      return { ...(await refused(client, claimed, error.refusal, config)), failed: true };
    const gone = await whyGone(client, action, error);
    if (gone !== null) {
      await finish(client, action, gone.outcome, gone.reason);
      return { ...done, failed: true };
    }
    return { ...(await failed(client, claimed, error, config, options.signal, left)), failed: true };
  }
  await succeed(client, action, verification);
  return done;
}

/**
 * Somebody else may have removed the object between the last probe and the statement: what the probe says now is the
 * outcome then, and nothing has failed. Null where that was not it.
 */
async function whyGone(
  client: pg.Client,
  action: ActionRow,
  error: unknown,
): Promise<{ outcome: 'skipped' | 'expired'; reason: string } | null> {
  const state = sqlstateOf(error);
  if (!(error instanceof MayNotAct) && (state === null || !saysGone(state))) return null;
  try {
    const probe = await actionKind(action.kind).prepare(client, action);
    return probe.ok || probe.outcome === 'later' ? null : { outcome: probe.outcome, reason: probe.reason };
  } catch (problem) {
    if (sqlstateOf(problem) === null) throw problem;
    // Not even that can be asked: the first error is what is told.
    return null;
  }
}

/** Which setting limits it: these run code of the table's owner, which may not end, and may catch a cancel. */
function limitOf(kind: Kind): 'analyze_timeout' | 'build_timeout' | null {
  if (kind === 'analyze_table') return 'analyze_timeout';
  return kind === 'create_index' || kind === 'reindex_index' ? 'build_timeout' : null;
}

/** After the worker has cancelled the statement, before it ends the session of one that goes on. */
const cancelMs = 3000;

function afterCancel(signal: AbortSignal): AbortSignal {
  const ending = new AbortController();
  const begin = (): void => {
    setTimeout(() => {
      ending.abort();
    }, cancelMs).unref();
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return ending.signal;
}

/** Throws also where the statement ended without an error and the catalog does not show what it was to do. */
async function actAndVerify(
  client: pg.Client,
  action: ActionRow,
  plan: Plan,
  config: WorkerConfig,
  { onlooker, url, signal }: ExecuteOptions,
): Promise<Verification> {
  const kind = actionKind(action.kind);
  const statement = async (): Promise<void> => {
    if (kind.act) await kind.act(client, action, plan);
    else if (plan.on === null) await client.query(plan.statement);
    else await asOwnerOf(client, plan.on.tableOid, plan.on.need, () => client.query(plan.statement));
  };
  const lockTimeout = plan.lockTimeout ?? 'lock_timeout';
  await client.query(`set lock_timeout = ${config[lockTimeout]}`);
  const quickly = (): Promise<void> =>
    lockTimeout === 'lock_timeout'
      ? statement()
      : outOfQueues(client, onlooker, config.lock_timeout, statement);
  const setting = limitOf(action.kind);
  if (setting === null) await quickly();
  else {
    const ending = afterCancel(signal);
    await underHardLimit(
      client,
      { purpose: 'acts on a table', seconds: config[setting], url, onlooker, signal: ending },
      quickly,
    );
  }
  await client.query('set lock_timeout = 0');
  const verification = await kind.verify(client, action, plan);
  if (!verification.ok) throw new Error(`the statement ended without an error, but ${verification.reason}`);
  return verification;
}

/** Removes what the statement left. */
async function cleanUp(
  client: pg.Client,
  { action }: Claimed,
  plan: Plan,
  config: WorkerConfig,
): Promise<string[]> {
  await client.query(`set lock_timeout = ${config.lock_timeout}`);
  const removed = (await actionKind(action.kind).cleanUp?.(client, action, plan)) ?? [];
  await forgetIntent(client, action);
  return removed;
}

async function failed(
  client: pg.Client,
  claimed: Claimed,
  error: unknown,
  config: WorkerConfig,
  signal: AbortSignal,
  left: string | null = null,
): Promise<Executed> {
  const { action, waitedSeconds } = claimed;
  const state = sqlstateOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const said = left === null ? message : `${message}; ${left}`;
  if (error instanceof HeldUp || (state !== null && isHeldUp(state)))
    return await heldUp(client, claimed, said, config);
  if (error instanceof MayNotAct) {
    await finish(client, action, 'skipped', said);
    return done;
  }
  // Fails where the connection is lost, as it should.
  if (state === sqlstate.queryCanceled && signal.aborted)
    return await later(client, claimed, 'the worker stopped', 0);
  const again = state !== null && state !== sqlstate.queryCanceled && maySucceedLater(state);
  return await inTransaction(client, async () => {
    await recordEvent(client, action, 'failure', { reason: said });
    if (again && action.attempts < config.attempts)
      return await later(client, claimed, said, backoff(waitedSeconds), true);
    await finish(client, action, 'failed', said, { error });
    return done;
  });
}
