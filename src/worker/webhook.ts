/** Posts alerts to the webhook: at least once each, the oldest first, with pauses that grow while it does not answer. */
import type pg from 'pg';
import { queryRow } from './connection.ts';
import { messageOf } from './errors.ts';

export interface WebhookOptions {
  url: string;
  minSeverity: string;
  repeatHours: number;
  attempts: number;
  /** Value of the header Authorization; from the environment, as settings can be read by others. */
  authorization: string | undefined;
  signal: AbortSignal;
}

interface Waiting {
  alert_id: number;
  attempts: number;
  body: { text: string; alert: Record<string, unknown> };
}

/** One post may take so long: a receiver that is slower is as good as down. */
const answerWithinMs = 10_000;
/** At a time: the rest waits for the next look. */
const atATime = 20;

/** Of alert `a`, for $1 the least severity. */
const notTakenUp = `a.created_at > pg_catalog.clock_timestamp() - interval '1 day'
    and array_position(array['info', 'warning', 'critical'], a.severity)
      >= array_position(array['info', 'warning', 'critical'], $1)
    and not exists (select from maint.alert_delivery as d where d.alert_id = a.alert_id)`;

/** Of delivery `d`. */
const isDue = `d.status = 'waiting' and d.next_attempt_at <= pg_catalog.clock_timestamp()`;

/** Takes up alerts that nobody has looked at. Those from before the webhook was configured are old news after a day. */
const takeUp = `
  insert into maint.alert_delivery (alert_id, status)
  select a.alert_id, case when exists (
      select from maint.alert_delivery as d
      join maint.alert as b on b.alert_id = d.alert_id
      where b.step_number = a.step_number and b.message = a.message and d.status in ('waiting', 'delivered')
        and b.created_at > a.created_at - pg_catalog.make_interval(hours => $2::int))
      or exists (
        select from maint.alert as b
        where b.step_number = a.step_number and b.message = a.message and b.alert_id < a.alert_id
          and b.severity = a.severity
          and b.created_at > a.created_at - pg_catalog.make_interval(hours => $2::int)
          and b.created_at > pg_catalog.clock_timestamp() - interval '1 day'
          and not exists (select from maint.alert_delivery as d where d.alert_id = b.alert_id))
    then 'repeated' else 'waiting' end
  from maint.alert as a
  where ${notTakenUp}
  order by a.alert_id`;

const due = `
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('alert_id', w.alert_id, 'attempts', w.attempts,
      'body', pg_catalog.jsonb_build_object(
        'text', pg_catalog.format('pg-maint, database %s: %s: %s', pg_catalog.current_database(), w.severity, w.message),
        'alert', pg_catalog.jsonb_build_object('database', pg_catalog.current_database(), 'alert_id', w.alert_id,
          'run_id', w.run_id, 'step', w.step_number, 'severity', w.severity, 'message', w.message, 'detail', w.detail,
          'created_at', w.created_at))) order by w.alert_id), '[]') as waiting
  from (
    select d.alert_id, d.attempts, a.run_id, a.step_number, a.severity, a.message, a.detail, a.created_at
    from maint.alert_delivery as d
    join maint.alert as a on a.alert_id = d.alert_id
    where ${isDue}
    order by d.alert_id
    limit ${atATime}) as w`;

/** What came of one post: null for delivered. */
interface Refusal {
  error: string;
  /** It would be refused again. */
  final: boolean;
  /** What the receiver asked for. */
  afterSeconds: number | null;
}

/** Too many requests, a conflict of time, a timeout: the same post may be taken later. */
const worthRetrying = new Set([408, 425, 429]);

async function post(options: WebhookOptions, { alert_id: id, body }: Waiting): Promise<Refusal | null> {
  const { url, authorization, signal } = options;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'pg-maint',
        // Where an answer was lost the same alert comes again: the receiver can tell by this.
        'idempotency-key': `pg-maint-${String(body.alert['database'])}-${id}`.replace(/[^!-~]/g, '_'),
        ...(authorization !== undefined && { authorization }),
      },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    });
    await response.body?.cancel();
    if (response.ok) return null;
    const { status } = response;
    const after = Number(response.headers.get('retry-after') ?? NaN);
    return {
      error: `it answered ${status} ${response.statusText}`.trim(),
      final: status < 500 && !worthRetrying.has(status),
      afterSeconds: Number.isFinite(after) ? after : null,
    };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { error: messageOf(cause), final: false, afterSeconds: null };
  }
}

/** 10 s, 20 s, 40 s … an hour. */
function pauseSeconds(attempts: number, { afterSeconds }: Refusal): number {
  return Math.min(3600, Math.max(afterSeconds ?? 0, 10 * 2 ** (attempts - 1)));
}

function isStopped({ signal }: WebhookOptions): boolean {
  return signal.aborted;
}

/** Whether deliverAlerts would find anything to do. */
export async function alertsAreWaiting(client: pg.ClientBase, minSeverity: string): Promise<boolean> {
  const { waiting } = await queryRow<{ waiting: boolean }>(
    client,
    `select exists (select from maint.alert as a where ${notTakenUp})
       or exists (select from maint.alert_delivery as d where ${isDue}) as waiting`,
    [minSeverity],
  );
  return waiting;
}

/** Returns what could not be delivered and will not be tried again, for the log. Stops at the signal. */
export async function deliverAlerts(client: pg.ClientBase, options: WebhookOptions): Promise<string[]> {
  await client.query(takeUp, [options.minSeverity, options.repeatHours]);
  const { waiting } = await queryRow<{ waiting: Waiting[] }>(client, due);
  const lost: string[] = [];
  for (const each of waiting) {
    if (isStopped(options)) break;
    const refusal = await post(options, each);
    // Cut off by the stop: it counts as not tried.
    if (refusal !== null && isStopped(options)) break;
    const attempts = each.attempts + 1;
    const failed = refusal !== null && (refusal.final || attempts >= options.attempts);
    await client.query(
      `update maint.alert_delivery set status = $2, attempts = $3, error = $4,
         delivered_at = case when $2 = 'delivered' then pg_catalog.clock_timestamp() end,
         next_attempt_at = pg_catalog.clock_timestamp() + $5::float8 * interval '1 s'
       where alert_id = $1`,
      [
        each.alert_id,
        refusal === null ? 'delivered' : failed ? 'failed' : 'waiting',
        attempts,
        refusal?.error ?? null,
        refusal === null ? 0 : pauseSeconds(attempts, refusal),
      ],
    );
    if (failed) lost.push(`alert ${each.alert_id} could not be posted: ${refusal.error}`);
    // A receiver that is down is not asked for each of them.
    if (refusal !== null && !refusal.final) break;
  }
  return lost;
}
