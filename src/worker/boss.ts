/** pg-boss in a maintained database: the queues, and the one connection it has. */
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { Queue } from 'pg-boss';
import { installLock } from '../core/advisory-locks.ts';
import { inTransaction, queryRow } from './connection.ts';
import { lockAmongTrusted } from './trusted-lock.ts';
import type { TrustedLockOptions } from './trusted-lock.ts';
import { bossSchema, findSchemas, requireOwnSchema, requirePrimary } from './preflight.ts';

/** A job whose worker has not been heard of for this long is given to another. */
export const heartbeatSeconds = 20;

/** How long a worker that starts waits for an installation, and for others that start; then it tries again. */
const startSeconds = 60;

const forever = 23 * 3600;

/** All queues. A policy that changes here changes what is there: see ensureQueues. */
export const queues = {
  /** What was given up, until a worker has told it. */
  maint_dead: { policy: 'standard', retryLimit: 20, retryDelay: 30, retryBackoff: true },
  /** One run at a time, and one waiting counts as that one. */
  maint_run: { policy: 'exclusive', retryLimit: 2, retryDelay: 30, retryBackoff: true },
  /** Any number wait; of those with one key, a table's, one is active. */
  maint_action: {
    policy: 'singleton',
    retryLimit: 20,
    retryDelay: 2,
    retryBackoff: true,
    retryDelayMax: 300,
  },
  maint_training: { policy: 'exclusive', retryLimit: 1, retryDelay: 300 },
} as const satisfies Record<string, Omit<Queue, 'name'>>;

export type QueueName = keyof typeof queues;

function optionsOf(name: QueueName): Omit<Queue, 'name'> {
  if (name === 'maint_dead') return queues[name];
  return { ...queues[name], expireInSeconds: forever, heartbeatSeconds, deadLetter: 'maint_dead' };
}

/**
 * A pg-boss over this connection, which nothing else may open a transaction on. Start and stop it. `within`: a transaction
 * is open, and what pg-boss would do in its own becomes part of it.
 */
function bossOver(client: pg.ClientBase, within = false): PgBoss {
  let last: Promise<unknown> = Promise.resolve();
  return new PgBoss({
    schema: bossSchema,
    db: {
      executeSql(text, values) {
        const sql = within ? withoutTransaction(text) : text;
        // One after the other: pg-boss takes its adapter for a pool.
        const result = last.then(() =>
          values === undefined || values.length === 0 ? client.query(sql) : client.query(sql, values),
        );
        last = result.catch(() => undefined);
        return result;
      },
    },
    createSchema: false,
    schedule: false,
    supervise: !within,
    // What it would do more often costs an idle server queries, and nothing here is waiting for it.
    flowIntervalSeconds: forever,
    bamIntervalSeconds: 600,
    // How long a job may go unnoticed whose worker is silent; actions are looked after by reconciliation.
    superviseIntervalSeconds: 120,
    monitorIntervalSeconds: 120,
    registerInstance: false,
    queueCacheIntervalSeconds: 600,
    // Its indexes are looked after like all others.
    reindex: false,
  });
}

/** pg-boss creates and upgrades its tables in one text that begins with BEGIN and ends with COMMIT. */
function withoutTransaction(text: string): string {
  return text.replace(/^\s*BEGIN;/, '').replace(/COMMIT;\s*$/, '');
}

/** Rejects with nothing: errors of its timers go to `onError`. */
export async function startBoss(client: pg.ClientBase, onError: (error: Error) => void): Promise<PgBoss> {
  const boss = bossOver(client);
  boss.on('error', onError);
  await boss.start();
  return boss;
}

/**
 * Creates or upgrades the tables of pg-boss and the queues in schema maint_boss, which exists. As the role that owns it, in
 * an open transaction, which may end with other time limits than it had.
 */
export async function fillQueueSchema(client: pg.ClientBase): Promise<void> {
  const boss = bossOver(client, true);
  const failures: Error[] = [];
  boss.on('error', (error: Error) => failures.push(error));
  try {
    await boss.start({});
    await createMissing(boss);
  } finally {
    await boss.stop({ graceful: false, close: false });
  }
  const [failure] = failures;
  if (failure) throw failure;
}

/**
 * What a worker does as it starts: its pg-boss may be newer than the one that installed, and somebody may have dropped the
 * queues. The role that owns schema maint is set before and after. Any number at once wait for each other.
 */
export async function ensureQueues(
  client: pg.Client,
  waiting: Pick<TrustedLockOptions, 'signal' | 'log'> = {},
): Promise<void> {
  await requirePrimary(client);
  await inTransaction(client, async () => {
    await lockAmongTrusted(client, installLock, { seconds: startSeconds, ...waiting });
    const { queues } = await findSchemas(client);
    const { owner } = await queryRow<{ owner: string }>(client, 'select current_user::text as owner');
    requireOwnSchema(bossSchema, queues, owner);
    if (queues === null) {
      // By whoever connects: the owner needs no right to create schemas.
      await client.query('set local role none');
      await client.query(`create schema ${bossSchema} authorization ${pg.escapeIdentifier(owner)}`);
      await client.query(`set local role ${pg.escapeIdentifier(owner)}`);
    }
    await fillQueueSchema(client);
  });
}

async function createMissing(boss: PgBoss): Promise<void> {
  const there = new Map((await boss.getQueues()).map((queue) => [queue.name, queue]));
  for (const name of Object.keys(queues) as QueueName[]) {
    const { policy, ...options } = optionsOf(name);
    if (!there.has(name)) await boss.createQueue(name, { policy: policy ?? 'standard', ...options });
    else if (Object.keys(options).length > 0) await boss.updateQueue(name, options);
  }
}
